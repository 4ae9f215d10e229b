//! `bgx run --plan FILE`: exactly the run that a plan shows, if the account is as it was then.

use super::failure::Failure;
use super::plan::Filed;
use super::run::{self, Order, text};
use super::signals;
use super::style::{Paint, short};
use crate::config::{Config, Target};
use crate::host::Host;
use crate::prove::plan::{FORMAT, Plan};
use crate::run::event::{Event, Outcome, What};
use crate::run::plan::Bound;
use crate::run::{Answers, Observer};
use crate::script::params;
use crate::script::session::Playbook;
use clap::ArgMatches;
use std::io::Write;

pub fn run(matches: &ArgMatches, config: &Config) -> Result<i32, Failure> {
    let Filed { plan, .. } = read(text(matches, "plan").unwrap_or_default())?;
    let envs = config.env_list(&plan.envs.join(","))?;
    let options = run::options(matches)?;
    let target: Target = plan.target.parse().map_err(Failure::usage)?;
    if let Some(other) = options.target.as_ref().filter(|other| **other != target) {
        return Err(Failure::usage(format!("the plan is for {target}, not for {other}")));
    }
    let texts = plan.sources.iter().cloned().collect();
    let playbook = Playbook::from_journal(texts, &plan.playbook, plan.stdlib.clone())
        .map_err(|problems| Failure::usage(problems.render(false).trim_end()))?;
    let params = params::parse(&playbook.params, &plan.params).map_err(|problems| run::bad_params(&problems))?;
    let interrupt = signals::listen().map_err(|e| Failure::usage(format!("could not listen for signals: {e}")))?;
    let host = Host::open(config, &target, &options)?;
    if host.identity.account != plan.account {
        return Err(Failure::usage(format!("the plan is for account {}, this is {}", plan.account, host.identity.account)));
    }
    let changed = plan.changed(&host.clone_of(&envs)?.rests_on(&envs));
    if !changed.is_empty() {
        let lines = changed.into_iter().map(|(what, then, now)| format!("\n  {what}: {} → {}", short(&then), short(&now)));
        return Err(refused(format!("the account is not as it was when the plan was made:{}", lines.collect::<String>())));
    }
    let confirm = text(matches, "confirm").map(str::to_owned);
    let answers = Answers { given: plan.answers.clone(), yes: false, confirm, terminal: None };
    run::carry_out(matches, config, Order { playbook: &playbook, envs, host, params, answers, interrupt, plan: Some(plan.bound()) })
}

/// Refused before anything is touched: what the operator does next is to plan again.
fn refused(text: String) -> Failure {
    let hint = Some("make a new one: bgx plan".to_owned());
    Failure { code: Outcome::Refused.code(), text, causes: Vec::new(), hint }
}

/// A plan that somebody saved, whole, by this version, and that comes to its end.
fn read(path: &str) -> Result<Filed, Failure> {
    let bytes = std::fs::read(path).map_err(|e| Failure::usage(format!("could not read `{path}`: {e}")))?;
    let filed: Filed = serde_json::from_slice(&bytes).map_err(|e| Failure::usage(format!("`{path}` is no plan: {e}")))?;
    let Plan { format, bgx, .. } = &filed.plan;
    if *format != FORMAT || bgx != env!("CARGO_PKG_VERSION") {
        return Err(refused(format!("`{path}` was made by bgx {bgx}, this is bgx {}", env!("CARGO_PKG_VERSION"))));
    }
    if filed.plan.hash() != filed.hash {
        return Err(Failure::usage(format!("`{path}` was changed after it was made")).hinted("make a new one: bgx plan"));
    }
    if !filed.plan.is_safe() {
        let why = filed.plan.why.iter().chain(&filed.plan.problems).next().cloned().unwrap_or_default();
        return Err(refused(format!("the plan itself says that this run would not come to a good end: {why}")));
    }
    Ok(filed)
}

/// Shows after each action where the run is in its plan.
pub fn progress(plan: &Bound, mut show: Observer, paint: Paint) -> Observer {
    let times: Vec<f64> = plan.actions.iter().map(|expected| expected.at_seconds).collect();
    let (mut began, mut done) = (None, 0);
    Box::new(move |event: &Event| {
        show(event);
        let began = *began.get_or_insert(event.at);
        if let What::Started { .. } = &event.what {
            let stamp = |seconds: f64| format!("{:02}:{:02}", seconds as u64 / 60, seconds as u64 % 60);
            let Some(planned) = times.get(done) else { return };
            done += 1;
            let now = event.at.duration_since(began).as_secs_f64();
            let line = format!("         plan {done} of {}: at {}, planned for {}", times.len(), stamp(now), stamp(*planned));
            let _ = writeln!(std::io::stderr(), "{}", paint.dim(&line));
        }
    })
}
