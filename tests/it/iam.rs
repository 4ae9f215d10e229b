//! The policy that `bgx prove --iam` writes is enough for all that was played, and without any of its statements something fails.

use crate::program::{exit_code, project};
use crate::support::{Crash, Go, config, lab, root};
use bgx::prove::permissions::{Ids, policy};
use bgx::prove::{Extent, Mode, ProveError, Report, Rights, Start, Subject, prove};
use bgx::run::event::Outcome;
use bgx::sandbox::world::{Policy, Statement};
use bgx::script::session::Playbook;
use std::collections::BTreeMap;

fn deploy(rights: Rights) -> Subject {
    let config = config();
    let env = config.env("beta").expect("beta is in bgx.toml").clone();
    let playbook = Playbook::load(&root().join("playbooks/deploy.rhai"), &config, Some("team/compiler_explorer"))
        .unwrap_or_else(|p| panic!("{}", p.render(false)));
    let params = BTreeMap::from([("version", "latest"), ("bake", "1m")].map(|(name, value)| (name.to_owned(), value.to_owned())));
    Subject {
        config,
        env,
        also: Vec::new(),
        playbook,
        path: "deploy".to_owned(),
        params,
        answers: BTreeMap::new(),
        seed: 7,
        start: Start::Fresh,
        rights,
    }
}

/// Signals late in the run, so that all is taken back, and credentials that end: then it is resumed, and undone.
fn proved(subject: &Subject) -> Result<Vec<Report>, ProveError> {
    let some = |(fault, every): (&str, usize)| {
        let extent = Extent { mode: Mode::Single, fault: Some(fault.to_owned()), every, limit: None, most: None, threads: 2 };
        prove(subject, &extent, &|_| true)
    };
    [("SIGTERM", 40), ("credentials expired", 50)].into_iter().map(some).collect()
}

fn without(policy: &Policy, index: usize) -> Policy {
    let mut less = policy.clone();
    less.statement.remove(index);
    less
}

/// Whether a deploy or one of its recoveries fails with this policy.
fn fails(policy: Policy) -> bool {
    match proved(&deploy(Rights::enforced(policy))) {
        Err(ProveError::Baseline { .. }) => true,
        Err(other) => panic!("{other}"),
        Ok(reports) => reports.iter().any(|report| !report.is_clean()),
    }
}

#[test]
fn the_policy_is_enough_and_each_of_its_statements_is_needed() {
    let subject = deploy(Rights::default());
    assert!(proved(&subject).expect("it runs").iter().all(Report::is_clean));
    let written = policy(&subject.rights.seen(), &[&subject.env], Ids::Made(None));
    assert!(!fails(written.clone()), "it is enough");
    assert!(written.statement.len() >= 5, "{written:#?}");
    for index in 0..written.statement.len() {
        assert!(fails(without(&written, index)), "not needed: {:#?}", written.statement[index]);
    }
}

#[test]
fn the_next_deploy_which_goes_the_other_way_needs_no_more() {
    let subject = deploy(Rights::default());
    proved(&subject).expect("it runs");
    let written = policy(&subject.rights.seen(), &[&subject.env], Ids::Made(None));
    let deploy = || lab("beta", "playbooks/deploy.rhai").param("version", "latest").param("bake", "1m").in_s3();
    let enforced = written.clone();
    let first = deploy().prepare(move |world| world.policy = Some(enforced.clone())).run();
    assert_eq!(first.ended.outcome, Outcome::Done, "its journal is in the bucket: {:?}", first.ended);
    let crash = Crash { journal: Vec::new(), world: first.after };
    let next = deploy().seed(8).param("version", "41001").answer("existing", "fresh").recover(&crash, Go::Run);
    assert_eq!(next.ended.outcome, Outcome::Done, "{:?}", next.ended);
    assert!(next.after.policy.is_some() && next.before.policy == Some(written));
}

#[test]
fn the_policy_names_what_may_be_changed_and_nothing_of_another_environment() {
    let subject = deploy(Rights::default());
    proved(&subject).expect("it runs");
    let written = policy(&subject.rights.seen(), &[&subject.env], Ids::Made(Some("052730242331")));
    insta::assert_snapshot!(serde_json::to_string_pretty(&written).expect("it is JSON"), @"");
}

#[test]
fn a_denied_call_is_answered_as_aws_does_and_the_run_takes_back_what_it_did() {
    let all = |actions: &[&str]| Statement::allow(actions.iter().map(|text| (*text).to_owned()).collect(), vec!["*".to_owned()]);
    let no_switch = Policy::new(vec![all(&["autoscaling:*", "elasticloadbalancing:Describe*", "ssm:*", "s3:*", "cloudwatch:*"])]);
    let deploy = lab("beta", "playbooks/deploy.rhai").param("version", "latest").param("bake", "1m");
    let outcome = deploy.prepare(move |world| world.policy = Some(no_switch.clone())).run();
    assert_eq!(outcome.ended.outcome, Outcome::Undone, "{:?}", outcome.ended);
    let told = outcome.error.expect("it failed");
    assert!(told.contains("is not authorized to perform: elasticloadbalancing:ModifyRule on resource: arn:aws:"), "{told}");
}

#[test]
fn prove_writes_a_policy_and_plays_under_one() {
    let project = project();
    let prove = |more: &[&str]| project.bgx(&[&["prove", "start", "--env", "beta", "--world", "empty", "--sample", "400"], more].concat());
    let said = prove(&["--iam", "policy.json"]);
    assert_eq!(exit_code(&said), Some(0), "{said}");
    assert!(said.contains("statements: policy.json") && said.contains("those of a sample"), "{said}");
    let said = prove(&["--policy", "policy.json"]);
    assert_eq!(exit_code(&said), Some(0), "{said}");
    let written = project.read("policy.json").expect("it was written");
    project.write("less.json", written.replacen("autoscaling:UpdateAutoScalingGroup", "autoscaling:Nothing", 1));
    let said = prove(&["--policy", "less.json"]);
    assert_eq!(exit_code(&said), Some(2), "{said}");
    assert!(said.contains("autoscaling:UpdateAutoScalingGroup"), "{said}");
    project.write(
        "odd.json",
        r#"{ "Version": "2012-10-17", "Statement": [{ "Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {} }] }"#,
    );
    let said = prove(&["--policy", "odd.json"]);
    assert_eq!(exit_code(&said), Some(2), "{said}");
    assert!(said.contains("`odd.json` is no IAM policy that the sandbox can enforce: unknown field `Condition`"), "{said}");
}
