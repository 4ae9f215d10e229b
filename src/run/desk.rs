//! Where the answers of other people lie: beside the journal, or under the prefix of the state.
//!
//! Nothing here proves who wrote an answer; it says who claims to have. On AWS that is whom STS names, and CloudTrail can tell.

use super::RunError;
use crate::account::{Account, Kind, When};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::Arc;

/// A question that somebody else must answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asking {
    pub run: String,
    pub id: String,
    pub text: String,
    /// Who runs the playbook, and so may not answer.
    pub asked_by: String,
}

/// What somebody answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Given {
    pub id: String,
    pub key: String,
    pub by: String,
    pub host: String,
    pub at: Timestamp,
    pub reason: Option<String>,
}

/// Where a run looks for answers.
#[derive(Clone, Debug)]
pub enum Desk {
    /// A file of lines beside the journal.
    File(PathBuf),
    /// Objects under a prefix: one for the question, one for each who answers.
    Objects { account: Arc<Account>, bucket: String, prefix: String },
    /// Somebody who says yes at once, for proofs.
    Scripted,
    /// Nobody can answer.
    Empty,
}

impl Desk {
    /// Of a run in this account, by its environment's state.
    pub fn objects(account: &Arc<Account>, bucket: &str, state_prefix: &str, run: &str) -> Desk {
        Desk::Objects { account: account.clone(), bucket: bucket.to_owned(), prefix: format!("{state_prefix}answers/{run}/") }
    }

    /// Lays the question where one who answers from another machine finds it.
    pub async fn post(&self, asking: &Asking) -> Result<(), RunError> {
        let Desk::Objects { account, bucket, prefix } = self else { return Ok(()) };
        account.put_object(bucket, &format!("{prefix}{}/question.json", asking.id), &json(asking), When::Always).await?;
        Ok(())
    }

    /// The questions that were laid there.
    pub async fn posted(&self) -> Result<Vec<Asking>, RunError> {
        let Desk::Objects { account, bucket, prefix } = self else { return Ok(Vec::new()) };
        let mut found = Vec::new();
        for info in account.list_objects(bucket, prefix).await?.into_iter().filter(|info| info.key.ends_with("/question.json")) {
            found.extend(read(account, bucket, &info.key).await?);
        }
        Ok(found)
    }

    /// All answers to a question, oldest first where that can be told.
    pub async fn look(&self, id: &str) -> Result<Vec<Given>, RunError> {
        match self {
            Desk::File(path) => match std::fs::read_to_string(path) {
                Ok(text) => {
                    // A line that is still being written is read at the next look.
                    let whole = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
                    let all: Result<Vec<Given>, _> = whole.map(serde_json::from_str).collect();
                    let all = all.map_err(|error| RunError::failed(format!("`{}` holds what is no answer: {error}", path.display())))?;
                    Ok(all.into_iter().filter(|given| given.id == id).collect())
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
                Err(error) => Err(RunError::failed(format!("could not read `{}`: {error}", path.display()))),
            },
            Desk::Objects { account, bucket, prefix } => {
                let mut found: Vec<Given> = Vec::new();
                for info in account.list_objects(bucket, &format!("{prefix}{id}/answer-")).await? {
                    found.extend(read(account, bucket, &info.key).await?);
                }
                found.sort_by_key(|given| given.at);
                Ok(found)
            }
            Desk::Scripted => Ok(vec![Given {
                id: id.to_owned(),
                key: "yes".to_owned(),
                by: "another person".to_owned(),
                host: "a proof".to_owned(),
                at: Timestamp::UNIX_EPOCH,
                reason: None,
            }]),
            Desk::Empty => Ok(Vec::new()),
        }
    }

    /// Adds an answer; each identity has one.
    pub async fn put(&self, given: &Given) -> Result<(), RunError> {
        if self.look(&given.id).await?.iter().any(|known| known.by == given.by) {
            return Err(RunError::failed(format!("{} has answered `{}` already", given.by, given.id)));
        }
        match self {
            Desk::File(path) => {
                let written = append(path, given);
                written.map_err(|error| RunError::failed(format!("could not write `{}`: {error}", path.display())))
            }
            Desk::Objects { account, bucket, prefix } => {
                let key = format!("{prefix}{}/answer-{}.json", given.id, short(&given.by));
                match account.put_object(bucket, &key, &json(given), When::Absent).await {
                    Ok(_) => Ok(()),
                    Err(error) if error.kind == Kind::Conflict => {
                        Err(RunError::failed(format!("{} has answered `{}` already", given.by, given.id)))
                    }
                    Err(error) => Err(error.into()),
                }
            }
            Desk::Scripted | Desk::Empty => Err(RunError::failed("nobody can answer this run")),
        }
    }
}

/// An object that was listed; `None`: it is gone by now.
async fn read<T: serde::de::DeserializeOwned>(account: &Account, bucket: &str, key: &str) -> Result<Option<T>, RunError> {
    let Some(object) = account.object(bucket, key).await? else { return Ok(None) };
    let read = serde_json::from_slice(&object.body);
    read.map(Some).map_err(|error| RunError::failed(format!("`s3://{bucket}/{key}` is neither a question nor an answer: {error}")))
}

/// One whole line in one write: two who answer at once do not mix.
fn append(path: &PathBuf, given: &Given) -> io::Result<()> {
    let mut file = File::options().append(true).create(true).mode(0o600).open(path)?;
    let mut line = json(given);
    line.push(b'\n');
    file.write_all(&line)?;
    file.sync_data()
}

fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("it is plain text")
}

/// An identity as a part of a key.
fn short(by: &str) -> String {
    Sha256::digest(by).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn given(id: &str, by: &str) -> Given {
        let text = str::to_owned;
        Given { id: text(id), key: text("yes"), by: text(by), host: text("ci"), at: Timestamp::UNIX_EPOCH, reason: Some(text("seen")) }
    }

    #[tokio::test]
    async fn answers_in_a_file_are_found_by_question_and_each_identity_has_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.answers");
        let desk = Desk::File(path.clone());
        assert_eq!(desk.look("go").await, Ok(Vec::new()), "no file, no answer");
        desk.put(&given("go", "alice")).await.unwrap();
        desk.put(&given("other", "alice")).await.unwrap();
        desk.put(&given("go", "bob")).await.unwrap();
        assert!(desk.put(&given("go", "bob")).await.is_err());
        assert_eq!(desk.look("go").await.unwrap(), [given("go", "alice"), given("go", "bob")]);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[tokio::test]
    async fn a_line_that_is_half_written_is_no_answer_yet() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.answers");
        let line = json(&given("go", "alice"));
        std::fs::write(&path, &line[..line.len() / 2]).unwrap();
        assert_eq!(Desk::File(path).look("go").await, Ok(Vec::new()));
    }

    #[tokio::test]
    async fn a_whole_line_that_is_no_answer_is_an_error_and_not_silence() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.answers");
        std::fs::write(&path, "{\"yes\": 1}\n").unwrap();
        assert!(Desk::File(path).look("go").await.is_err());
    }
}
