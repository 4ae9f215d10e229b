//! `bgx doctor`: an environment that is as it must be, and each thing that is not, with what to do about it.

use crate::program::{exit_code, project};
use crate::support::config;
use bgx::config::Target;
use bgx::host::{Host, Options};
use bgx::run::doctor::{Finding, Level, examine};
use bgx::sandbox::Sandbox;
use bgx::sandbox::fault::Rule as Spoil;
use bgx::sandbox::world::{Action, Actions, Condition, Policy, Rule, Statement};
use insta::assert_snapshot;

/// What is not ok in beta, in a sandbox that was changed so; each with what to do.
fn found(change: impl FnOnce(&mut Sandbox)) -> String {
    let config = config();
    let options = Options { seed: Some(3), in_memory: true, target: None };
    let host = Host::open(&config, &Target::Sandbox, &options).expect("a sandbox opens");
    change(&mut host.sandbox.clone().expect("it is one").lock().unwrap());
    let findings = host.driver.block_on(examine(&host.account, config.env("beta").expect("beta is in bgx.toml")));
    let wrong = findings.iter().filter(|finding| finding.level != Level::Ok);
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
    assert_snapshot!(project.bgx(&["doctor", "--env", "beta"]), @r#"
    beta: 10 ok, 0 warn, 0 fail
      ok   identity       account 123456789012, region us-east-1, as assumed-role/deployer/bgx
      ok   route          https:443 /beta* → Beta-Blue 1
      ok   group          beta-blue: 2/0/10 (desired/min/max), registers with its target group
      ok   group          beta-green: 0/0/10 (desired/min/max), registers with its target group
      ok   parameters     /compiler-explorer/beta/… can be read
      ok   version key    s3://compiler-explorer/version/beta, for both colours: a deploy freezes groups for minutes
      ok   lock           s3://compiler-explorer/bgx/locks/beta.json is free
      ok   addresses      of 2 instance(s) are known
      ok   alarms         beta-5xx
      ok   records        listener, SSM, version keys and instances agree
      Writes are not tried: docs/adopting.md, "Permissions", lists them.
      Terraform must leave alone, with lifecycle { ignore_changes = … }:
        aws_lb_listener_rule   [action]
        aws_autoscaling_group  [desired_capacity, min_size, suspended_processes]
        aws_ssm_parameter      [value]
        aws_s3_object          [content, etag]
    SANDBOX: nothing real is touched
    [exit status: 0]
    "#);
    assert_snapshot!(project.bgx(&["doctor"]), @"
    aarch64prod: 9 ok, 0 warn, 0 fail
    aarch64staging: 9 ok, 0 warn, 0 fail
    beta: 10 ok, 0 warn, 0 fail
    gpu: 9 ok, 0 warn, 0 fail
    prod: 11 ok, 0 warn, 0 fail
    staging: 9 ok, 0 warn, 0 fail
    winprod: 9 ok, 0 warn, 0 fail
    winstaging: 9 ok, 0 warn, 0 fail
    wintest: 9 ok, 0 warn, 0 fail
    SANDBOX: nothing real is touched
    [exit status: 0]
    ");
    let json = project.bgx(&["doctor", "--env", "beta", "--json"]);
    let line = json.lines().find(|line| line.starts_with('[')).expect("one document");
    let documents: serde_json::Value = serde_json::from_str(line).expect("JSON");
    assert_eq!(documents[0]["ignore_changes"]["aws_lb_listener_rule"], "[action]");
    assert_eq!(documents[0]["findings"][0]["level"], "ok");
    assert_eq!(exit_code(&json), Some(0));
}

#[test]
fn an_environment_that_is_not_known() {
    assert_snapshot!(project().bgx(&["doctor", "--env", "bta"]), @"
    ------- stderr -------
    error: there is no environment `bta` in bgx.toml; did you mean `beta`?
    [exit status: 2]
    ");
}

#[test]
fn records_that_disagree_come_with_the_command_that_repairs_them() {
    let stale = |sandbox: &mut Sandbox| {
        sandbox.world.put_parameter("/compiler-explorer/beta/active-color", "green", None, true).expect("it is there");
    };
    assert_snapshot!(found(stale), @"
    Fail drift: the listener sends traffic to blue, `/compiler-explorer/beta/active-color` says green
      do: bgx run switch --env beta --to blue
    ");
}

#[test]
fn a_call_that_is_denied_is_named() {
    let denied = |sandbox: &mut Sandbox| sandbox.faults.add(Spoil::denied("ssm", "GetParameters").always());
    assert_snapshot!(found(denied), @r#"
    Fail parameters: ssm:GetParameters is denied
      do: allow ssm:GetParameters: docs/adopting.md, "Permissions"
    "#);
}

#[test]
fn a_permission_that_is_not_the_calls_own_is_named_as_iam_names_it() {
    let all = |actions: &[&str]| Statement::allow(actions.iter().map(|text| (*text).to_owned()).collect(), vec!["*".to_owned()]);
    let rest = ["autoscaling:*", "elasticloadbalancing:*", "ssm:*", "s3:GetObject", "cloudwatch:*"];
    assert_snapshot!(found(|sandbox| sandbox.world.policy = Some(Policy::new(vec![all(&rest)]))), @r#"
    Fail lock: s3:ListBucket is denied
      do: allow s3:ListBucket: docs/adopting.md, "Permissions"
    "#);
    assert_eq!(found(|sandbox| sandbox.world.policy = Some(Policy::new(vec![all(&rest), all(&["s3:ListBucket"])]))), "");
}

#[test]
fn rules_that_take_the_requests_or_were_forgotten() {
    assert_snapshot!(found(|sandbox| beside(sandbox, "/b*", 1)), @"
    Fail route clash: the rule of priority 1 takes every request of https:443 /beta* before it
      do: give the route's rule a smaller priority, or take the other one away
    Fail forgotten rule: rule 1 (/b*) sends traffic to `Beta-Blue` too, and is no route of bgx.toml
      do: add it to `routes`, or it stays with the old colour at a switch
    ");
    assert_snapshot!(found(|sandbox| beside(sandbox, "/beta/api/*", 1)), @"
    Fail forgotten rule: rule 1 (/beta/api/*) sends traffic to `Beta-Blue` too, and is no route of bgx.toml
      do: add it to `routes`, or it stays with the old colour at a switch
    ");
    assert_snapshot!(found(|sandbox| beside(sandbox, "/beta*", 999)), @"
    Fail route: 2 rules of the load balancer match https:443 /beta*; it must be exactly one
      do: a route is one rule: correct bgx.toml or the listener
    ");
}

#[test]
fn forward_actions_that_are_not_one_colours() {
    let sticky = |sandbox: &mut Sandbox| {
        let rule = rule(sandbox);
        if let Action::Forward { stickiness_seconds, .. } = &mut rule.actions.api[0] {
            *stickiness_seconds = Some(60);
        }
    };
    assert_snapshot!(found(sticky), @"
    Warn stickiness: https:443 /beta* keeps users of a cookie on the colour that they have
      do: turn off target group stickiness of the forward action; canary refuses it
    ");
    let foreign = |sandbox: &mut Sandbox| {
        let strange = sandbox.world.target_groups.values().find(|group| group.name == "Gpu-Blue").expect("it is there").arn.clone();
        let Actions { api, .. } = &mut rule(sandbox).actions;
        if let Action::Forward { targets, .. } = &mut api[0] {
            targets[0].target_group = strange;
        }
    };
    assert_snapshot!(found(foreign), @"
    Fail forward: https:443 /beta* forwards to `Gpu-Blue` (weight 1), which is not this environment's
      do: send the route to one colour: bgx run switch asks first (id `traffic`)
    Fail drift: https:443 /beta* forwards to `Gpu-Blue`
      do: bgx run switch --env beta --to COLOUR
    ");
}

#[test]
fn groups_and_alarms_that_are_not_as_they_must_be() {
    let loose = |sandbox: &mut Sandbox| {
        let group = sandbox.world.groups.get_mut("beta-green").expect("it is there");
        group.target_groups.clear();
        group.health_check_type = "EC2".to_owned();
        sandbox.world.alarms.clear();
    };
    assert_snapshot!(found(loose), @"
    Fail group: beta-green does not register its instances with Beta-Green
      do: aws autoscaling attach-load-balancer-target-groups --auto-scaling-group-name beta-green --target-group-arns arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/Beta-Green/3645eb729366fe92
    Warn group: beta-green is checked by EC2: what fails its health checks is never replaced
      do: aws autoscaling update-auto-scaling-group --auto-scaling-group-name beta-green --health-check-type ELB
    Fail alarms: there is no alarm `beta-5xx`: it would never ring
      do: make it, or correct `alarms`
    ");
}

#[test]
fn before_blue_green_and_with_one_target_group_nothing_is_to_be_attached_or_recorded() {
    for (example, says) in [
        ("one-target-group", "its instances are registered one by one"),
        ("before-blue-green", "nobody has recorded a colour yet: the original serves"),
    ] {
        let text = std::fs::read(crate::support::root().join(format!("examples/{example}/bgx.toml"))).expect("the example is there");
        let told = crate::program::empty().file("bgx.toml", text).bgx(&["doctor", "--env", "beta"]);
        assert!(told.contains(says) && !told.contains("FAIL") && !told.contains("there is no"), "{told}");
    }
}
