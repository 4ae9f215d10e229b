//! `bgx doctor`: an environment that is as it must be, and each thing that is not, with what to do about it.

use crate::program::{exit_code, project};
use crate::support::config;
use bgx::config::Target;
use bgx::host::{Host, Options};
use bgx::run::doctor::{Finding, Level, examine};
use bgx::sandbox::Sandbox;
use bgx::sandbox::fault::Rule as Spoil;
use bgx::sandbox::world::{Action, Actions, Condition, Rule};
use insta::assert_snapshot;

/// What is not ok in beta, in a sandbox that was changed so; each with what to do.
fn found(change: impl FnOnce(&mut Sandbox)) -> String {
    let config = config();
    let options = Options { seed: Some(3), in_memory: true, target: None };
    let host = Host::open(&config, &Target::Sandbox, &options).expect("a sandbox opens");
    change(&mut host.sandbox.clone().expect("it is one").lock().unwrap());
    let findings = host.driver.block_on(examine(&host.account, config.env("beta").expect("beta is in bgx.toml")));
    let shared = |finding: &&Finding| !finding.text.starts_with("both colours boot from one key");
    let wrong = findings.iter().filter(|finding| finding.level != Level::Ok).filter(shared);
    let line = |f: &Finding| format!("{:?} {}: {}\n  do: {}", f.level, f.about, f.text, f.act.clone().unwrap_or_default());
    wrong.map(line).collect::<Vec<_>>().join("\n")
}

/// The rule of `/beta*`.
fn rule(sandbox: &mut Sandbox) -> &mut Rule {
    sandbox.world.rules.values_mut().find(|rule| rule.conditions[0].values[0] == "/beta*").expect("it is there")
}

/// Another rule with the same action.
fn beside(sandbox: &mut Sandbox, path: &str, priority: u32) {
    let known = rule(sandbox).clone();
    let conditions = vec![Condition { field: "path-pattern".to_owned(), values: vec![path.to_owned()] }];
    let other = Rule { arn: format!("{}9", known.arn), priority, conditions, ..known };
    sandbox.world.rules.insert(other.arn.clone(), other);
}

#[test]
fn an_environment_that_is_as_it_must_be() {
    let project = project();
    assert_snapshot!(project.bgx(&["doctor", "--env", "beta"]), @"");
    assert_snapshot!(project.bgx(&["doctor"]), @"");
    let json = project.bgx(&["doctor", "--env", "beta", "--json"]);
    let line = json.lines().find(|line| line.starts_with('[')).expect("one document");
    let documents: serde_json::Value = serde_json::from_str(line).expect("JSON");
    assert_eq!(documents[0]["ignore_changes"]["aws_lb_listener_rule"], "[action]");
    assert_eq!(documents[0]["findings"][0]["level"], "ok");
    assert_eq!(exit_code(&json), Some(0));
}

#[test]
fn an_environment_that_is_not_known() {
    assert_snapshot!(project().bgx(&["doctor", "--env", "bta"]), @"");
}

#[test]
fn records_that_disagree_come_with_the_command_that_repairs_them() {
    let stale = |sandbox: &mut Sandbox| {
        sandbox.world.put_parameter("/compiler-explorer/beta/active-color", "green", None, true).expect("it is there");
    };
    assert_snapshot!(found(stale), @"");
}

#[test]
fn a_call_that_is_denied_is_named() {
    let denied = |sandbox: &mut Sandbox| sandbox.faults.add(Spoil::denied("ssm", "GetParameters").always());
    assert_snapshot!(found(denied), @"");
}

#[test]
fn rules_that_take_the_requests_or_were_forgotten() {
    assert_snapshot!(found(|sandbox| beside(sandbox, "/b*", 1)), @"");
    assert_snapshot!(found(|sandbox| beside(sandbox, "/beta/api/*", 1)), @"");
    assert_snapshot!(found(|sandbox| beside(sandbox, "/beta*", 999)), @"");
}

#[test]
fn forward_actions_that_are_not_one_colours() {
    let sticky = |sandbox: &mut Sandbox| {
        let rule = rule(sandbox);
        if let Action::Forward { stickiness_seconds, .. } = &mut rule.actions.api[0] {
            *stickiness_seconds = Some(60);
        }
    };
    assert_snapshot!(found(sticky), @"");
    let foreign = |sandbox: &mut Sandbox| {
        let strange = sandbox.world.target_groups.values().find(|group| group.name == "Gpu-Blue").expect("it is there").arn.clone();
        let Actions { api, .. } = &mut rule(sandbox).actions;
        if let Action::Forward { targets, .. } = &mut api[0] {
            targets[0].target_group = strange;
        }
    };
    assert_snapshot!(found(foreign), @"");
}

#[test]
fn groups_and_alarms_that_are_not_as_they_must_be() {
    let loose = |sandbox: &mut Sandbox| {
        let group = sandbox.world.groups.get_mut("beta-green").expect("it is there");
        group.target_groups.clear();
        group.health_check_type = "EC2".to_owned();
        sandbox.world.alarms.clear();
    };
    assert_snapshot!(found(loose), @"");
}
