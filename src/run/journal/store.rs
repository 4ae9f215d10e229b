//! A run's journal in S3: one object for each group of records, created only where there is none, so that a stale process is fenced out.

use crate::account::{Account, AccountError, Kind, When};
use futures_util::future::join_all;
use std::sync::Arc;
use std::time::Duration;

/// Times that a doubtful reply is followed up before it is given up.
const TRIES: u32 = 5;
const AGAIN: Duration = Duration::from_secs(1);
/// Objects that are read at once.
const AT_ONCE: usize = 16;

/// The folder of one run's objects.
#[derive(Clone, Debug)]
pub struct Store {
    account: Arc<Account>,
    bucket: String,
    /// Ends with `/`.
    folder: String,
}

/// What a store holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fetched {
    pub objects: u64,
    /// All of them, one after the other: the bytes of the journal.
    pub bytes: Vec<u8>,
}

/// Why the journal in S3 could not be read or written.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has written this record: it carries the run on.
    #[error("another process has written {url}: it carries this run on")]
    Fenced { url: String },
    #[error("{url} is missing: somebody deleted a part of the journal")]
    Gap { url: String },
    /// It may have been written or not.
    #[error("it is not known whether {url} was written")]
    Doubt { url: String },
    #[error(transparent)]
    Account(#[from] AccountError),
}

impl Store {
    /// `folder` is `bgx/runs/beta/abc123/`.
    pub fn new(account: Arc<Account>, bucket: &str, folder: &str) -> Store {
        Store { account, bucket: bucket.to_owned(), folder: folder.to_owned() }
    }

    /// By the URL that a journal's first event names.
    pub fn at(account: Arc<Account>, url: &str) -> Option<Store> {
        let (bucket, folder) = url.strip_prefix("s3://")?.split_once('/')?;
        folder.ends_with('/').then(|| Store::new(account, bucket, folder))
    }

    pub fn url(&self) -> String {
        format!("s3://{}/{}", self.bucket, self.folder)
    }

    fn key(&self, number: u64) -> String {
        format!("{}{number:08}.jsonl", self.folder)
    }

    fn object_url(&self, number: u64) -> String {
        format!("s3://{}/{}", self.bucket, self.key(number))
    }

    /// Everything that was written, in order; nothing of it may be missing.
    pub async fn fetch(&self) -> Result<Fetched, StoreError> {
        let listed = self.account.list_objects(&self.bucket, &self.folder).await?;
        let mut fetched = Fetched::default();
        for keys in listed.chunks(AT_ONCE) {
            let parts = join_all(keys.iter().map(|object| self.account.object(&self.bucket, &object.key))).await;
            for (object, part) in keys.iter().zip(parts) {
                let gap = || StoreError::Gap { url: self.object_url(fetched.objects) };
                let part = part?.ok_or_else(gap)?;
                if object.key != self.key(fetched.objects) {
                    return Err(gap());
                }
                fetched.objects += 1;
                fetched.bytes.extend_from_slice(&part.body);
            }
        }
        Ok(fetched)
    }

    /// The ids of the runs in a folder of runs, `bgx/runs/beta/`, that begin so.
    pub async fn runs(account: &Account, bucket: &str, folder: &str, begin: &str) -> Result<Vec<String>, AccountError> {
        let folders = account.list_folders(bucket, &format!("{folder}{begin}")).await?;
        Ok(folders.iter().filter_map(|found| Some(found.strip_prefix(folder)?.trim_end_matches('/').to_owned())).collect())
    }
}

/// A journal in S3 as its one writer sees it.
#[derive(Debug)]
pub(super) struct Remote {
    pub store: Store,
    /// Number of the next object.
    next: u64,
    /// What is in the file and not there yet.
    pub pending: Vec<u8>,
    /// Another process writes it now.
    fenced: Option<StoreError>,
}

impl Remote {
    pub fn new(store: Store, next: u64, pending: Vec<u8>) -> Remote {
        Remote { store, next, pending, fenced: None }
    }

    /// Puts all that is pending into the next object.
    pub async fn send(&mut self) -> Result<(), StoreError> {
        if let Some(fenced) = &self.fenced {
            return Err(fenced.clone());
        }
        if self.pending.is_empty() {
            return Ok(());
        }
        self.put().await.inspect_err(|error| {
            if matches!(error, StoreError::Fenced { .. }) {
                self.fenced = Some(error.clone());
            }
        })?;
        self.next += 1;
        self.pending.clear();
        Ok(())
    }

    async fn put(&self) -> Result<(), StoreError> {
        let (store, key) = (&self.store, self.store.key(self.next));
        let url = || store.object_url(self.next);
        for _ in 0..TRIES {
            let error = match store.account.put_object(&store.bucket, &key, &self.pending, When::Absent).await {
                Ok(_) => return Ok(()),
                Err(error) => error,
            };
            if !matches!(error.kind, Kind::Conflict | Kind::Lost) {
                return Err(error.into());
            }
            // The reply to our own first sending may have been lost. The records name their process and follow from all before them:
            // no other process writes the same bytes.
            match store.account.object(&store.bucket, &key).await? {
                Some(found) if found.body == self.pending => return Ok(()),
                Some(_) => return Err(StoreError::Fenced { url: url() }),
                None => tokio::time::sleep(AGAIN).await,
            }
        }
        Err(StoreError::Doubt { url: url() })
    }
}
