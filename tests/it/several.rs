//! A run over several environments: all are locked, each is guarded by itself, and whatever goes on with it goes on with all.

use crate::program::{Project, exit_code, project};
use insta::assert_snapshot;

/// Sets a floor in each environment, and then fails, so that a run can be left paused.
const EACH: &str = r#"//! bgx: 1
//! environments: several
//! Sets a floor in each environment.
let fails = param("fails", #{ kind: "bool", otherwise: false, doc: "fail at the end" });
for name in envs() { in_env(name, || scale(colors().idle, #{ min: 0, desired: 1 })); }
if fails { fail("it was asked to"); }
"#;

fn with_each() -> Project {
    project().file("playbooks/each.rhai", EACH)
}

fn paused() -> Project {
    let project = with_each();
    let text = project.bgx(&["run", "each", "--env", "staging,beta", "--fails", "true", "--on-failure", "pause"]);
    assert_eq!(exit_code(&text), Some(4), "{text}");
    project
}

/// What a command says on standard output.
fn said(project: &Project, args: &[&str]) -> String {
    let text = project.bgx(args);
    let end = ["------- stderr", "[exit status"].iter().filter_map(|mark| text.find(mark)).min();
    text[..end.unwrap_or(text.len())].to_owned()
}

#[test]
fn a_playbook_for_one_environment_refuses_a_second_one() {
    assert_snapshot!(project().bgx(&["run", "deploy", "--env", "staging,beta"]), @"
    ------- stderr -------
    error: `playbooks/deploy.rhai` is for one environment
      hint: a playbook for several says `//! environments: several`, as playbooks/waves.rhai does
    [exit status: 2]
    ");
    assert_snapshot!(with_each().bgx(&["run", "each", "--env", "beta,beta"]), @"
    ------- stderr -------
    error: environment `beta` is named twice
    [exit status: 2]
    ");
    assert_snapshot!(with_each().bgx(&["run", "each", "--env", "beta,stagng"]), @"
    ------- stderr -------
    error: there is no environment `stagng` in bgx.toml; did you mean `staging`?
    [exit status: 2]
    ");
}

#[test]
fn each_environment_is_named_where_it_is_worked_on_and_its_users_by_themselves() {
    assert_snapshot!(with_each().bgx(&["run", "each", "--env", "staging,beta"]), @"
    changed:
      beta-green     desired 0 → 1
      staging-green  desired 0 → 1
    users of staging: 22 requests, 0 errors (5xx), mixed versions for 0.0 s, never fewer than 1 healthy target
    users of beta: 22 requests, 0 errors (5xx), mixed versions for 0.0 s, never fewer than 2 healthy targets
    done in 4.5 s of virtual time, 42 calls
    SANDBOX: nothing real is touched
    ------- stderr -------
    SANDBOX: nothing real is touched
    00:00 run yk88pu · playbooks/each.rhai on staging,beta
    00:00 → staging-green: desired 1, min 0
    00:02 in beta
    00:02 → beta-green: desired 1, min 0
    00:04 in staging
    00:04 committed: from here on nothing is undone by itself
    [exit status: 0]
    ");
}

#[test]
fn while_it_is_not_over_it_has_the_lock_of_every_environment_and_undo_releases_them() {
    let project = paused();
    let run = said(&project, &["lock", "--env", "beta"]);
    let id = run.split_whitespace().nth(1).expect("the run is named").to_owned();
    for env in ["staging", "beta"] {
        assert!(said(&project, &["lock", "--env", env]).contains(&format!("run {id} of playbooks/each.rhai has had {env}")));
        let other = project.bgx(&["run", "deploy", "--env", env]);
        assert_eq!(exit_code(&other), Some(7), "{other}");
        assert!(other.contains(&format!("run {id} of playbooks/each.rhai in {env} is not over")), "{other}");
        assert!(said(&project, &["runs", "--env", env]).contains(&id));
    }
    assert!(!said(&project, &["runs", "--env", "prod"]).contains(&id));
    let undone = project.bgx(&["undo", &id]);
    assert_eq!(exit_code(&undone), Some(0), "{undone}");
    let (beta, staging) = (undone.find("↩ beta-green"), undone.find("↩ staging-green"));
    assert!(beta.is_some() && beta < staging, "the last one first: {undone}");
    for env in ["staging", "beta"] {
        assert_eq!(said(&project, &["lock", "--env", env]), format!("{env} is free\n"));
        assert_eq!(said(&project, &["recover", "--env", env]), format!("{env}: there is nothing to recover\n"));
    }
}

#[test]
fn giving_it_up_releases_every_lock_and_recover_finds_it_from_each_environment() {
    let project = paused();
    for env in ["staging", "beta"] {
        let text = project.bgx(&["recover", "--env", env]);
        assert_eq!(exit_code(&text), Some(4), "{text}");
        assert!(text.contains("in staging,beta is not over, and a human must decide"), "{text}");
    }
    let id = said(&project, &["lock", "--env", "beta"]).split_whitespace().nth(1).expect("the run is named").to_owned();
    let text = project.bgx(&["abandon", &id, "--reason", "a test"]);
    assert_eq!(exit_code(&text), Some(0), "{text}");
    for env in ["staging", "beta"] {
        assert_eq!(said(&project, &["lock", "--env", env]), format!("{env} is free\n"));
    }
    assert!(said(&project, &["status", "--env", "staging,beta"]).contains("Status of beta"));
}
