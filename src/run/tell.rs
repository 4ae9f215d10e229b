//! Tells others how a run goes: notices to a webhook, and metrics in CloudWatch. Each is tried once, within seconds, and fails no run.

use super::event::{Ended, Outcome, What};
use super::{Opening, Run, RunError, short};
use crate::account::{HttpRequest, Kind, Measured};
use crate::config::Secret;
use std::time::Duration;

/// Neither the webhook nor CloudWatch holds a run up for longer.
const PATIENCE: Duration = Duration::from_secs(3);
/// In the sandbox no secret is read: what goes there, the sandbox itself answers and keeps.
const SANDBOX_WEBHOOK: &str = "https://webhook.sandbox/";
/// Of a text from the journal, so many characters fit a notice.
const WHY_CHARS_MAX: usize = 600;

pub const RUN_SECONDS: &str = "RunSeconds";
pub const RUNS_FAILED: &str = "RunsFailed";
pub const RUNS_WAITING: &str = "RunsWaiting";
pub const SWITCHES: &str = "Switches";
/// All that is published, in the namespace of `[metrics]`, by `Environment`, and by `Environment` and `Playbook`.
pub const METRICS: [&str; 4] = [RUN_SECONDS, RUNS_FAILED, RUNS_WAITING, SWITCHES];

/// What a notice says of a run besides how it went.
#[derive(Clone, Debug)]
pub(super) struct Tale {
    playbook: String,
    by: String,
    reason: Option<String>,
    /// What is told outside of AWS, the sandbox itself takes.
    pub(super) is_sandbox: bool,
    /// The account is a server's, and the world outside is not.
    pub(super) is_server: bool,
}

impl Tale {
    pub fn of(opening: &Opening) -> Tale {
        let began = &opening.began;
        let name = began.playbook.rsplit('/').next().unwrap_or(&began.playbook);
        Tale {
            playbook: name.trim_end_matches(".rhai").to_owned(),
            by: began.actor.clone().unwrap_or_else(|| began.user.clone()),
            reason: began.reason.clone(),
            is_sandbox: began.target == "sandbox",
            is_server: began.target.starts_with("http"),
        }
    }
}

impl Run {
    /// Before the first change of the run; one that only looks is nobody's news.
    pub(super) async fn tell_begun(&mut self) {
        if self.touched || self.env.notify.is_none() {
            return;
        }
        let text = begun(&self.tale, &self.envs().join(", "), &self.id);
        self.notify(text).await;
    }

    /// How it ended, where it changed something or waits for somebody.
    pub(super) async fn tell_ended(&mut self, told: &Ended) {
        let Ended { outcome, seconds, .. } = *told;
        let waits = matches!(outcome, Outcome::Paused | Outcome::Stuck | Outcome::Diverged);
        if !self.touched && !waits {
            return;
        }
        let (before, mut heard, mut failures) = (self.env.name.clone(), Vec::new(), Vec::new());
        let all = self.envs().join(", ");
        for name in self.envs().to_vec() {
            self.go_to(&name);
            // Environments may share a webhook.
            if let Some(webhook) = self.env.notify.clone().filter(|webhook| !heard.contains(webhook)) {
                let text = ended(&self.tale, (&all, &self.id), outcome, told.why.as_deref(), seconds, self.committed);
                failures.extend(self.not_heard(text).await);
                heard.push(webhook);
            }
            failures.extend(self.not_measured(told, waits).await);
        }
        // What is recorded from here on is about the environment that the journal is at.
        self.go_to(&before);
        failures.into_iter().for_each(|text| self.missed(text));
    }

    /// Publishes how the run went in the environment that it is about now; why that failed, if it did.
    async fn not_measured(&self, told: &Ended, waits: bool) -> Option<String> {
        let namespace = self.env.metrics.as_ref()?;
        let values = measured(told.outcome, waits, told.seconds, switched(&self.env.name, told));
        let by = [("Environment", self.env.name.as_str()), ("Playbook", self.tale.playbook.as_str())];
        let sent = self.account.publish(namespace, &by, &values, self.now());
        let failure = match tokio::time::timeout(PATIENCE, sent).await {
            Ok(Ok(())) => return None,
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no reply within {} s", PATIENCE.as_secs()),
        };
        Some(format!("CloudWatch has no metrics of this run: {failure}"))
    }

    /// Says something, to the webhook too; one that does not take it stops nothing.
    pub async fn announce(&mut self, text: &str) -> Result<(), RunError> {
        if self.say(text, true)? && self.env.notify.is_some() {
            self.notify(text.to_owned()).await;
        }
        Ok(())
    }

    async fn notify(&mut self, text: String) {
        if let Some(why) = self.not_heard(text).await {
            self.missed(why);
        }
    }

    /// Why the webhook did not get a notice, if it did not.
    async fn not_heard(&self, text: String) -> Option<String> {
        let sent = tokio::time::timeout(PATIENCE, self.post(text)).await;
        let failed = sent.unwrap_or_else(|_| Err(format!("no reply within {} s", PATIENCE.as_secs())));
        failed.err().map(|why| format!("the webhook did not get a notice: {why}"))
    }

    /// The error never holds the address, which is a secret.
    async fn post(&self, text: String) -> Result<(), String> {
        let url = match &self.env.notify {
            _ if self.tale.is_sandbox => SANDBOX_WEBHOOK.to_owned(),
            Some(Secret::Env(name)) => std::env::var(name).map_err(|_| format!("`{name}` is not in the environment"))?,
            Some(Secret::Parameter(name)) => {
                let found = self.account.secret(name).await.map_err(|error| error.to_string())?;
                found.ok_or_else(|| format!("there is no parameter `{name}`"))?
            }
            None => return Ok(()),
        };
        let body = serde_json::json!({ "text": text }).to_string();
        let timeout_seconds = u32::try_from(PATIENCE.as_secs()).unwrap_or(u32::MAX);
        let request = HttpRequest {
            method: "POST".to_owned(),
            url: url.trim().to_owned(),
            body: Some(body),
            timeout_seconds,
            ..HttpRequest::default()
        };
        match self.account.http_to("the webhook", &request).await {
            Ok(reply) if (200..300).contains(&reply.status) => Ok(()),
            Ok(reply) => Err(format!("it answers {}", reply.status)),
            Err(error) => Err(match error.kind {
                Kind::Unreachable => "it cannot be reached".to_owned(),
                Kind::Lost => "it did not answer".to_owned(),
                Kind::Invalid => "its address is not one".to_owned(),
                Kind::NotFound | Kind::Denied | Kind::Expired | Kind::Throttled | Kind::Conflict | Kind::Unavailable => {
                    "it failed".to_owned()
                }
            }),
        }
    }

    /// A journal that cannot be written says so itself at the next event.
    fn missed(&mut self, text: String) {
        let step = self.step;
        let _ = self.record(What::Noticed { step, text });
    }
}

fn begun(tale: &Tale, env: &str, run: &str) -> String {
    let reason = tale.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
    format!("{env}: {} started by {}{reason}\n`bgx show {run}` follows it", tale.playbook, tale.by)
}

/// What happened, and the command to act.
fn ended(tale: &Tale, (env, run): (&str, &str), outcome: Outcome, why: Option<&str>, seconds: f64, committed: bool) -> String {
    let playbook = &tale.playbook;
    let why: String = why.map(|why| format!(": {why}")).unwrap_or_default().chars().take(WHY_CHARS_MAX).collect();
    let time = short(Duration::from_secs_f64(seconds.max(0.0).round()));
    let back = if committed { "abandon" } else { "undo" };
    match outcome {
        Outcome::Done => format!("{env}: {playbook} done in {time}"),
        Outcome::Undone => format!("{env}: {playbook} failed, and everything was taken back{why}\n`bgx why {run}`"),
        Outcome::Paused => format!("{env}: {playbook} is PAUSED as it is{why}\n`bgx resume {run}` or `bgx {back} {run}`"),
        Outcome::Stuck => format!("{env}: {playbook} is STUCK, somebody must look now{why}\n`bgx why {run}`"),
        Outcome::Diverged => {
            format!("{env}: {playbook} DIVERGED from its journal{why}\n`bgx why {run}`, then `bgx resume {run}` or `bgx abandon {run}`")
        }
        Outcome::Abandoned => format!("{env}: {playbook} was given up, and stays as it is{why}"),
        Outcome::Refused => format!("{env}: {playbook} was refused{why}"),
    }
}

fn measured(outcome: Outcome, waits: bool, seconds: f64, switched: bool) -> Vec<Measured> {
    let count = |name, holds: bool| Measured { name, value: if holds { 1.0 } else { 0.0 }, is_seconds: false };
    vec![
        Measured { name: RUN_SECONDS, value: seconds, is_seconds: true },
        count(RUNS_FAILED, outcome != Outcome::Done),
        count(RUNS_WAITING, waits),
        count(SWITCHES, switched),
    ]
}

/// Whether the run leaves the routes elsewhere than it found them.
fn switched(env: &str, ended: &Ended) -> bool {
    let routes = format!("{env} routes");
    ended.changes.iter().any(|change| change.resource == routes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tale() -> Tale {
        Tale { playbook: "deploy".into(), by: "ada".into(), reason: Some("a fix".into()), is_sandbox: true, is_server: false }
    }

    #[test]
    fn a_notice_says_who_and_what_for_and_how_to_follow() {
        assert_eq!(begun(&tale(), "beta", "abc"), "beta: deploy started by ada: a fix\n`bgx show abc` follows it");
    }

    #[test]
    fn each_end_names_the_command_to_act() {
        let text = |outcome, committed| ended(&tale(), ("beta", "abc"), outcome, Some("it broke"), 725.4, committed);
        assert_eq!(text(Outcome::Done, true), "beta: deploy done in 12m 5s");
        assert_eq!(text(Outcome::Undone, false), "beta: deploy failed, and everything was taken back: it broke\n`bgx why abc`");
        assert_eq!(text(Outcome::Paused, false), "beta: deploy is PAUSED as it is: it broke\n`bgx resume abc` or `bgx undo abc`");
        assert_eq!(text(Outcome::Paused, true), "beta: deploy is PAUSED as it is: it broke\n`bgx resume abc` or `bgx abandon abc`");
        assert_eq!(text(Outcome::Stuck, false), "beta: deploy is STUCK, somebody must look now: it broke\n`bgx why abc`");
    }

    #[test]
    fn a_long_reason_is_cut() {
        let text = ended(&tale(), ("beta", "abc"), Outcome::Undone, Some(&"x".repeat(9000)), 1.0, false);
        assert!(text.len() < 800 && text.ends_with("`bgx why abc`"), "{}", text.len());
    }
}
