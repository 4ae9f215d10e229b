//! GitHub, as far as it is told what went live: one repository with its commits, pull requests and issues.
//!
//! GitHub pages "REST API endpoints for commits", "… for issue comments", "… for labels".

use super::{Rng, World};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Repository {
    /// `owner/name`
    pub name: String,
    /// The default branch, oldest first.
    pub commits: Vec<Commit>,
    /// Pull requests too: they share the numbers.
    pub issues: BTreeMap<u64, Issue>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Commit {
    pub sha: String,
    /// Pull requests that brought it.
    pub pulls: Vec<u64>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Issue {
    pub title: String,
    pub is_pull: bool,
    /// Issues that a pull request closes.
    pub closes: Vec<u64>,
    pub labels: BTreeSet<String>,
    pub comments: Vec<String>,
    /// Nobody may comment any more.
    pub locked: bool,
}

/// Why a comment or label was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoIssue {
    Absent,
    Locked,
}

impl Repository {
    /// Three commits for each build: a pull request that closes an issue, one that was pushed directly, and one of another pull request,
    /// which the build is made from.
    pub fn of_builds(name: &str, builds: impl IntoIterator<Item = String>) -> Repository {
        let mut repository = Repository { name: name.to_owned(), ..Repository::default() };
        for (build, sha) in (0..).zip(builds) {
            let seed = sha.bytes().fold(1_u64, |hash, byte| hash.wrapping_mul(31).wrapping_add(u64::from(byte)));
            let mut rng = Rng(seed);
            let [issue, fix, feature] = [1, 2, 3].map(|number| 10 * build + number);
            let plain = |title: String| Issue { title, ..Issue::default() };
            repository.issues.insert(issue, plain(format!("Crash {issue}")));
            repository.issues.insert(fix, Issue { is_pull: true, closes: vec![issue], ..plain(format!("Fix crash {issue}")) });
            repository.issues.insert(feature, Issue { is_pull: true, ..plain(format!("Add feature {feature}")) });
            let before = [vec![fix], Vec::new()].map(|pulls| Commit { sha: rng.hex(40), pulls });
            repository.commits.extend(before.into_iter().chain([Commit { sha, pulls: vec![feature] }]));
        }
        repository
    }

    /// What `head` has and `base` has not, and how the two stand; `None`: one of them is not known.
    pub fn compare(&self, base: &str, head: &str) -> Option<(&'static str, &[Commit])> {
        let place = |sha: &str| self.commits.iter().position(|commit| commit.sha == sha);
        let (base, head) = (place(base)?, place(head)?);
        Some(match base.cmp(&head) {
            std::cmp::Ordering::Less => ("ahead", &self.commits[base + 1..=head]),
            std::cmp::Ordering::Equal => ("identical", &[]),
            std::cmp::Ordering::Greater => ("behind", &[]),
        })
    }

    /// Numbers of the pull requests that brought a commit.
    pub fn pulls(&self, sha: &str) -> Option<&[u64]> {
        self.commits.iter().find(|commit| commit.sha == sha).map(|commit| commit.pulls.as_slice())
    }

    pub fn comment(&mut self, number: u64, text: &str) -> Result<(), NoIssue> {
        match self.issues.get_mut(&number) {
            None => Err(NoIssue::Absent),
            Some(issue) if issue.locked => Err(NoIssue::Locked),
            Some(issue) => {
                issue.comments.push(text.to_owned());
                Ok(())
            }
        }
    }

    /// A label that is there already is no error.
    pub fn label(&mut self, number: u64, label: &str) -> Result<(), NoIssue> {
        let issue = self.issues.get_mut(&number).ok_or(NoIssue::Absent)?;
        issue.labels.insert(label.to_owned());
        Ok(())
    }
}

impl World {
    /// A repository whose commits are those that the texts beside the bucket's builds name, in the order of their keys.
    pub fn add_repository(&mut self, name: &str, bucket: &str) {
        let objects = self.buckets.get(bucket).into_iter().flatten();
        let of_build = |(key, object): (&String, &super::Object)| {
            let text = String::from_utf8_lossy(&object.body).trim().to_owned();
            (key.ends_with(".txt") && text.len() == 40 && text.chars().all(|c| c.is_ascii_hexdigit())).then_some(text)
        };
        let builds: Vec<String> = objects.filter_map(of_build).collect();
        self.repository = Some(Repository::of_builds(name, builds));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repository() -> Repository {
        Repository::of_builds("o/r", ["a".repeat(40), "b".repeat(40)])
    }

    #[test]
    fn what_a_build_brings_lies_between_its_commit_and_the_one_before() {
        let repository = repository();
        let (a, b) = ("a".repeat(40), "b".repeat(40));
        let (status, commits) = repository.compare(&a, &b).unwrap();
        let pulls: Vec<&[u64]> = commits.iter().map(|commit| commit.pulls.as_slice()).collect();
        assert_eq!((status, pulls), ("ahead", vec![&[12][..], &[][..], &[13][..]]));
        assert_eq!(repository.compare(&b, &a), Some(("behind", &[][..])));
        assert_eq!(repository.compare(&b, &b), Some(("identical", &[][..])));
        assert_eq!(repository.compare(&b, "c"), None);
        assert_eq!(repository.issues[&12].closes, [11]);
    }

    #[test]
    fn a_locked_issue_takes_labels_and_no_comments() {
        let mut repository = repository();
        repository.issues.get_mut(&1).unwrap().locked = true;
        assert_eq!(repository.comment(1, "x"), Err(NoIssue::Locked));
        assert_eq!(repository.comment(99, "x"), Err(NoIssue::Absent));
        assert_eq!((repository.label(1, "live"), repository.label(1, "live")), (Ok(()), Ok(())));
        assert_eq!(repository.issues[&1].labels.len(), 1);
    }
}
