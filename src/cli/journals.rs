//! Journals that are in S3: found there, copied here, and newer there than here.

use super::failure::Failure;
use super::recovery::folder;
use crate::config::{Config, Environment, JournalIn, Target};
use crate::host::{self, Host, Options};
use crate::run::event::Outcome;
use crate::run::history::{self, HistoryError, Past};
use crate::run::journal::{self, Fetched, Journal, Store, StoreError};
use std::path::Path;

/// A run as it stands, wherever its journal is.
pub struct Latest {
    pub past: Past,
    /// Where its journal is in S3, and what was there.
    pub stored: Option<(Store, Fetched)>,
}

impl Latest {
    /// Goes on with its journal.
    pub fn reopen(&self) -> Result<(Journal, Vec<crate::run::event::Event>), std::io::Error> {
        let (journal, events) = Journal::reopen(&self.past.path)?;
        match &self.stored {
            Some((store, fetched)) => Ok((journal.stored(store.clone(), fetched)?, events)),
            None => Ok((journal, events)),
        }
    }
}

/// The folder of a run's journal in S3, where its environment keeps them there.
pub fn store(env: &Environment, host: &Host, run: &str) -> Option<Store> {
    let is_there = env.journal_in(&host.target) == JournalIn::S3;
    is_there.then(|| Store::new(host.account.clone(), &env.state.bucket, &format!("{}{run}/", env.runs_key())))
}

/// Brings the copy up to date with the journal in S3. A run that a process of this machine carries on has nothing newer there.
pub fn latest(host: &Host, past: Past) -> Result<Latest, Failure> {
    let Some(url) = past.began.journal.clone().filter(|_| !past.is_held()) else { return Ok(Latest { past, stored: None }) };
    let store = Store::at(host.account.clone(), &url).ok_or_else(|| Failure::usage(format!("`{url}` is no place of a journal")))?;
    let fetched = host.driver.block_on(store.fetch()).map_err(unreadable)?;
    let past = copied(&past.path, &fetched)?;
    Ok(Latest { past, stored: Some((store, fetched)) })
}

/// A run whose journal is not here, by its store; `None`: it is not there either.
pub fn fetch(config: &Config, host: &Host, store: &Store, run: &str) -> Result<Option<Past>, Failure> {
    let fetched = host.driver.block_on(store.fetch()).map_err(unreadable)?;
    if fetched.objects == 0 {
        return Ok(None);
    }
    copied(&folder(config, host.is_sandbox()).join(format!("{run}.jsonl")), &fetched).map(Some)
}

/// Looks for a run in the buckets of all environments that keep their journals in S3.
pub fn find(config: &Config, id: &str, options: &Options) -> Result<Option<Past>, Failure> {
    let mut found = Vec::new();
    let plain = !id.is_empty() && id.chars().all(|c| c.is_ascii_alphanumeric());
    for (host, envs) in places(config, options).into_iter().filter(|_| plain) {
        let host = host?;
        for env in envs {
            for run in runs(&host, env, id)? {
                if let Some(store) = store(env, &host, &run) {
                    found.extend(fetch(config, &host, &store, &run)?);
                }
            }
        }
    }
    match found.len() {
        0 | 1 => Ok(found.pop()),
        _ => {
            let runs = found.iter().map(Past::id).collect::<Vec<_>>().join(", ");
            Err(Failure::of(2, &HistoryError::Ambiguous { id: id.to_owned(), runs }))
        }
    }
}

/// Copies to here what the environments' buckets know of runs; the errors are of targets that could not be asked.
pub fn pull(config: &Config, only: Option<&str>, options: &Options) -> Result<Vec<Failure>, Failure> {
    let mut failures = Vec::new();
    for (host, envs) in places(config, options) {
        let host = match host {
            Ok(host) => host,
            Err(failure) => {
                failures.push(failure);
                continue;
            }
        };
        let here = history::list(&folder(config, host.is_sandbox())).map_err(|e| Failure::of(2, &e))?;
        for env in envs.into_iter().filter(|env| only.is_none_or(|only| env.name == only)) {
            for run in runs(&host, env, "")? {
                let known = here.iter().any(|past| past.id() == run && (past.is_over() || past.is_held()));
                if let Some(store) = store(env, &host, &run).filter(|_| !known) {
                    fetch(config, &host, &store, &run)?;
                }
            }
        }
    }
    Ok(failures)
}

type Place<'a> = (Result<Host, Failure>, Vec<&'a Environment>);

/// The targets whose journals are in S3, with their environments.
fn places<'a>(config: &'a Config, options: &Options) -> Vec<Place<'a>> {
    let mut targets: Vec<(Target, Vec<&Environment>)> = Vec::new();
    for env in config.envs.values() {
        let (target, _) = host::target_of(config, env, options);
        if env.journal_in(&target) == JournalIn::File {
            continue;
        }
        match targets.iter_mut().find(|(known, _)| *known == target) {
            Some((_, envs)) => envs.push(env),
            None => targets.push((target, vec![env])),
        }
    }
    targets.into_iter().map(|(target, envs)| (Host::open(config, &target, options).map_err(Failure::from), envs)).collect()
}

fn runs(host: &Host, env: &Environment, begin: &str) -> Result<Vec<String>, Failure> {
    let listed = host.driver.block_on(Store::runs(&host.account, &env.state.bucket, &env.runs_key(), begin));
    listed.map_err(|error| Failure::of(2, &error))
}

/// The copy, as it must be: what is in S3, or what only this machine has got behind that.
fn copied(path: &Path, fetched: &Fetched) -> Result<Past, Failure> {
    let failed = |error: std::io::Error| Failure::usage(format!("could not write the copy of a journal `{}`: {error}", path.display()));
    let own = match std::fs::read(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        read => read.map_err(failed)?,
    };
    let opened = journal::open(&own);
    let whole = &own[..own.len() - opened.torn];
    let sound = opened.fault.is_none();
    if !(sound && whole.starts_with(&fetched.bytes)) {
        if !(sound && fetched.bytes.starts_with(whole)) {
            // What a process wrote that was fenced out, or somebody by hand: not lost, and no journal.
            std::fs::rename(path, path.with_extension("jsonl.stale")).map_err(failed)?;
        }
        journal::copy_to(path, &fetched.bytes).map_err(failed)?;
    }
    history::read(path).map_err(|e| Failure::of(2, &e))
}

fn unreadable(error: StoreError) -> Failure {
    Failure { code: Outcome::Paused.code(), ..Failure::usage(format!("the journal cannot be read: {error}")) }
}
