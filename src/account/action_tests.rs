//! Fields, undo, read-back and words of each action.

use super::super::types::Forward;
use super::super::{GroupSettings, Object, Parameter};
use super::*;

const PREFIX: &str = "arn:aws:elasticloadbalancing:us-east-1:052730242331";

fn tg(name: &str) -> String {
    format!("{PREFIX}:targetgroup/{name}/73e2d6bc24d8a067")
}

fn route(label: &str) -> RouteRef {
    RouteRef { listener: format!("{PREFIX}:listener/app/Lb/1/{label}"), rule: None, label: label.into() }
}

fn weights(pairs: &[(&str, u32)]) -> BTreeMap<String, u32> {
    pairs.iter().map(|(name, weight)| (tg(name), *weight)).collect()
}

fn forward(labels: &[&str], pairs: &[(&str, u32)]) -> Action {
    Action::Forward { env: "beta".into(), routes: labels.iter().map(|l| route(l)).collect(), weights: weights(pairs) }
}

fn route_facts(found: &[(&str, &[(&str, u32)])]) -> Facts {
    let facts = |(label, pairs): &(&str, &[(&str, u32)])| RouteFacts {
        route: route(label),
        forward: Some(Forward { weights: weights(pairs), stickiness_seconds: None }),
        actions: Vec::new(),
    };
    Facts::Routes(found.iter().map(facts).collect())
}

fn group(min: u32, max: u32, desired: u32) -> Facts {
    Facts::Group(GroupSettings { name: "beta-green".into(), min, max, desired, suspended: BTreeSet::from(["AZRebalance".to_string()]) })
}

fn capacity(min: Option<u32>, max: Option<u32>, desired: Option<u32>) -> Action {
    Action::Capacity { asg: "beta-green".into(), min, max, desired }
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|n| n.to_string()).collect()
}

fn object(text: &str) -> Option<Object> {
    Some(Object { body: text.into(), etag: "\"e\"".into(), modified: None })
}

fn fields(pairs: &[(&str, Option<&str>)]) -> Fields {
    pairs.iter().map(|(name, value)| (name.to_string(), value.map(String::from))).collect()
}

#[test]
fn fields_are_exactly_those_that_are_set() {
    let action = capacity(Some(2), None, Some(4));
    assert_eq!(group(0, 9, 1).fields(&action), fields(&[("min", Some("0")), ("desired", Some("1"))]));
    assert_eq!(action.wanted(), fields(&[("min", Some("2")), ("desired", Some("4"))]));

    let action = Action::Processes { asg: "g".into(), suspend: set(&["AZRebalance", "Launch"]), resume: set(&["Terminate"]) };
    let found = fields(&[("AZRebalance", Some("suspended")), ("Launch", Some("running")), ("Terminate", Some("running"))]);
    assert_eq!(group(0, 9, 1).fields(&action), found);

    let action = Action::Parameter { name: "/p".into(), value: Some("green".into()) };
    assert_eq!(Facts::Parameter(None).fields(&action), fields(&[("value", None)]));
    let blue = Facts::Parameter(Some(Parameter { value: "blue".into(), version: 3 }));
    assert_eq!(blue.fields(&action), fields(&[("value", Some("blue"))]));
}

#[test]
fn a_weight_field_is_readable_and_its_arn_comes_back() {
    let (route, arn) = (route("https:443 /beta*"), tg("Beta-Blue"));
    assert_eq!(weight_field(&route, &arn), "https:443 /beta* → Beta-Blue/73e2d6bc24d8a067");
    for arn in [arn, "arn:other:account:targetgroup/X/1".to_string()] {
        assert_eq!(target_group_of(&route, &weight_field(&route, &arn)), Some(arn));
    }
    assert_eq!(target_group_of(&route, "http:80 default → Beta-Blue/73e2d6bc24d8a067"), None);
}

#[test]
fn a_route_has_a_field_for_each_target_group_before_and_after() {
    let action = forward(&["http:80"], &[("Blue", 0), ("Green", 1)]);
    let before = route_facts(&[("http:80", &[("Blue", 1), ("Grey", 0)])]).fields(&action);
    let values: Vec<_> = before.values().map(|v| v.as_deref()).collect();
    assert_eq!(values, [Some("1"), None, Some("0")]);
    let after = route_facts(&[("http:80", &[("Blue", 0), ("Green", 1)])]).fields(&action);
    assert_eq!(after, action.wanted());
}

#[test]
fn undo_sets_back_only_what_differed() {
    let action = capacity(Some(2), Some(9), Some(4));
    assert_eq!(action.undo(&group(0, 9, 1).fields(&action)), Some(capacity(Some(0), None, Some(1))));
    assert_eq!(action.undo(&group(2, 9, 4).fields(&action)), None);

    let action = Action::Processes { asg: "beta-green".into(), suspend: set(&["AZRebalance", "Launch"]), resume: set(&[]) };
    let undo = Action::Processes { asg: "beta-green".into(), suspend: set(&[]), resume: set(&["Launch"]) };
    assert_eq!(action.undo(&group(0, 9, 1).fields(&action)), Some(undo));
}

#[test]
fn undo_of_a_create_deletes_and_of_no_change_is_none() {
    let action = Action::Parameter { name: "/p".into(), value: Some("green".into()) };
    let delete = Action::Parameter { name: "/p".into(), value: None };
    assert_eq!(action.undo(&fields(&[("value", None)])), Some(delete.clone()));
    assert_eq!(action.undo(&fields(&[("value", Some("green"))])), None);
    assert_eq!(delete.undo(&fields(&[("value", Some("green"))])), Some(action));
}

#[test]
fn undo_of_a_forward_is_the_earlier_set() {
    let action = forward(&["http:80", "https:443"], &[("Blue", 0), ("Green", 1)]);
    let found = route_facts(&[("http:80", &[("Blue", 1)]), ("https:443", &[("Blue", 1)])]);
    assert_eq!(action.undo(&found.fields(&action)), Some(forward(&["http:80", "https:443"], &[("Blue", 1)])));
}

#[test]
fn undo_of_a_forward_leaves_routes_alone_that_did_not_change() {
    let action = forward(&["http:80", "https:443"], &[("Blue", 0), ("Green", 1)]);
    let found = route_facts(&[("http:80", &[("Blue", 0), ("Green", 1)]), ("https:443", &[("Blue", 1)])]);
    assert_eq!(action.undo(&found.fields(&action)), Some(forward(&["https:443"], &[("Blue", 1)])));
}

#[test]
fn routes_that_were_apart_go_back_apart() {
    let action = forward(&["http:80", "https:443"], &[("Green", 1)]);
    let found = route_facts(&[("http:80", &[("Blue", 1)]), ("https:443", &[("Blue", 1), ("Green", 0)])]);
    let undo = action.undo(&found.fields(&action)).unwrap();
    assert!(matches!(undo, Action::ForwardEach { .. }));
    assert_eq!(found.fields(&undo), undo.wanted());
    let switched = route_facts(&[("http:80", &[("Green", 1)]), ("https:443", &[("Green", 1)])]);
    assert_eq!(undo.undo(&switched.fields(&undo)), Some(action));
    assert!(undo.to_string().starts_with("beta routes: http:80 Blue 1; https:443 "), "{undo}");
}

#[test]
fn undo_of_a_copy_puts_the_earlier_text_back() {
    let action = Action::Copy { bucket: "b".into(), from: "a.json".into(), to: "c.json".into() };
    let put = |text: Option<&str>| Action::Object { bucket: "b".into(), key: "c.json".into(), text: text.map(String::from) };
    let facts = |to| Facts::Copy { from: object("new"), to };
    assert_eq!(action.undo(&facts(object("old")).fields(&action)), Some(put(Some("old"))));
    assert_eq!(action.undo(&facts(None).fields(&action)), Some(put(None)));
    assert_eq!(action.undo(&facts(object("new")).fields(&action)), None);
    assert!(action.seen(&Fields::new(), &facts(object("new"))) && !action.seen(&Fields::new(), &facts(object("old"))));
}

#[test]
fn a_capacity_is_seen_when_equal_or_moved_within_bounds() {
    let action = capacity(Some(1), Some(6), Some(4));
    let before = group(0, 6, 1).fields(&action);
    assert!(action.seen(&before, &group(1, 6, 4)));
    assert!(action.seen(&before, &group(1, 6, 5)), "autoscaling moved it");
    assert!(!action.seen(&before, &group(1, 6, 1)), "this is the value from before");
    assert!(!action.seen(&before, &group(0, 6, 4)), "the floor is not there yet");
    assert!(capacity(Some(1), None, None).seen(&before, &group(1, 6, 1)));
}

#[test]
fn everything_else_is_seen_when_equal() {
    let action = forward(&["http:80", "https:443"], &[("Green", 1)]);
    let found = |https: &str| route_facts(&[("http:80", &[("Green", 1)]), ("https:443", &[(https, 1)])]);
    assert!(action.seen(&Fields::new(), &found("Green")) && !action.seen(&Fields::new(), &found("Blue")));
    let delete = Action::Object { bucket: "b".into(), key: "k".into(), text: None };
    assert!(delete.seen(&Fields::new(), &Facts::Object(None)) && !delete.seen(&Fields::new(), &Facts::Object(object("x"))));
}

#[test]
fn actions_read_as_sentences() {
    let cases = [
        (capacity(Some(2), None, Some(2)), "beta-green: desired 2, min 2"),
        (forward(&["http:80"], &[("Beta-Blue", 0), ("Beta-Green", 100)]), "beta routes: Beta-Blue 0, Beta-Green 100"),
        (
            Action::Processes { asg: "g".into(), suspend: set(&["AZRebalance", "Launch"]), resume: set(&["Terminate"]) },
            "g: suspend AZRebalance, Launch; resume Terminate",
        ),
        (Action::Parameter { name: "/ce/color".into(), value: Some("green".into()) }, "/ce/color: set to `green`"),
        (Action::Object { bucket: "b".into(), key: "k".into(), text: None }, "s3://b/k: delete"),
        (Action::Copy { bucket: "b".into(), from: "x".into(), to: "y".into() }, "s3://b/y: copy of x"),
    ];
    for (action, words) in cases {
        assert_eq!(action.to_string(), words);
    }
}

#[test]
fn every_action_goes_through_a_journal_unchanged() {
    let action = forward(&["http:80"], &[("Blue", 1)]);
    let line = serde_json::to_string(&action).unwrap();
    assert_eq!(serde_json::from_str::<Action>(&line).unwrap(), action);
}

#[test]
fn standby_is_a_lifecycle_state_that_is_taken_back_unless_aws_took_the_instance() {
    let action = |standby| Action::Standby { asg: "g".into(), instance: "i-1".into(), standby, replace: false };
    let member = |lifecycle: Option<&str>| Facts::Member {
        group: GroupSettings { name: "g".into(), min: 0, max: 4, desired: 2, suspended: BTreeSet::new() },
        lifecycle: lifecycle.map(String::from),
    };
    let found = |lifecycle| member(lifecycle).fields(&action(true));
    assert_eq!(found(Some("InService")), fields(&[("lifecycle", Some("InService"))]));
    assert_eq!(found(Some("EnteringStandby")), found(Some("Standby")), "it is on its way");
    assert_eq!(found(Some("Pending")), found(Some("InService")));
    assert!(action(true).seen(&found(Some("InService")), &member(Some("EnteringStandby"))));
    assert_eq!(action(true).undo(&found(Some("InService"))), Some(action(false)));
    assert_eq!(action(true).undo(&found(Some("Standby"))), None);
    for gone in [None, Some("Terminating"), Some("Terminated"), Some("Detached")] {
        assert!(action(true).is_moot(&found(gone)) && action(true).undo(&found(gone)).is_none(), "{gone:?}");
    }
    assert!(!action(true).is_moot(&found(Some("Standby"))));
    assert_eq!(action(true).to_string(), "i-1: to Standby in g");
}

#[test]
fn a_split_is_two_target_groups_with_requests_on_one_route() {
    let action = forward(&["80 default", "443 default"], &[("Blue", 50), ("Green", 50)]);
    let found =
        |first: &[(&str, u32)], second: &[(&str, u32)]| route_facts(&[("80 default", first), ("443 default", second)]).fields(&action);
    assert!(action.is_split(&found(&[("Blue", 95), ("Green", 5)], &[("Blue", 100), ("Green", 0)])));
    assert!(!action.is_split(&found(&[("Blue", 100), ("Green", 0)], &[("Blue", 100), ("Green", 0)])));
    assert!(!action.is_split(&found(&[("Blue", 1)], &[("Green", 1)])), "routes that differ are no split of one");
    assert!(!capacity(Some(1), None, None).is_split(&fields(&[("min", Some("1"))])));
}

/// A group with these instances, and these targets with their states.
fn targets(instances: &[&str], targets: &[(&str, &str)]) -> Facts {
    let instance = |id: &&str| crate::account::Instance {
        id: id.to_string(),
        lifecycle: "InService".into(),
        healthy: true,
        zone: "a".into(),
        instance_type: "t".into(),
        protected: false,
    };
    let group = crate::account::Group {
        name: "g".into(),
        min: 0,
        max: 4,
        desired: 2,
        target_groups: Vec::new(),
        health_check_type: "EC2".into(),
        grace_seconds: 0,
        suspended: BTreeSet::new(),
        instances: instances.iter().map(instance).collect(),
    };
    let target = |(id, state): &(&str, &str)| crate::account::Target {
        id: id.to_string(),
        state: state.to_string(),
        reason: if *state == "unused" { "Target.NotRegistered".into() } else { String::new() },
        description: String::new(),
    };
    Facts::Targets { group, targets: targets.iter().map(target).collect() }
}

#[test]
fn an_instance_is_a_target_until_it_drains_and_what_aws_took_is_nobodys_to_put_back() {
    let action = |ids: &[&str], registered| Action::Targets {
        asg: "g".into(),
        target_group: "arn:aws:elasticloadbalancing:us-east-1:1:targetgroup/Beta/1".into(),
        instances: set(ids),
        registered,
    };
    let there = targets(&["i-1", "i-2", "i-3"], &[("i-1", "healthy"), ("i-2", "draining"), ("i-3", "initial")]);
    let out = action(&["i-1", "i-2", "i-3"], false);
    let before = there.fields(&out);
    assert_eq!(before, fields(&[("i-1", Some("registered")), ("i-2", None), ("i-3", Some("registered"))]));
    assert_eq!(out.undo(&before), Some(action(&["i-1", "i-3"], true)), "what was out already stays out");
    let after = targets(&["i-1", "i-2"], &[("i-1", "unused")]);
    assert!(out.seen(&before, &after), "it is gone, and so no target");
    assert!(!action(&["i-1", "i-3"], true).seen(&before, &after));
    assert!(action(&["i-3"], true).is_moot(&after.fields(&action(&["i-3"], true))));
    assert!(!out.is_moot(&after.fields(&out)));
    assert_eq!(out.to_string(), "Beta: deregister 3 instance(s) of g: i-1, i-2, i-3");
}

#[test]
fn what_has_ended_is_seen_as_it_goes_and_never_taken_back() {
    let action = Action::Terminate { asg: "g".into(), instance: "i-1".into(), decrement: true };
    let member = |lifecycle: Option<&str>| Facts::Member {
        group: GroupSettings { name: "g".into(), min: 0, max: 4, desired: 2, suspended: BTreeSet::new() },
        lifecycle: lifecycle.map(String::from),
    };
    let before = member(Some("InService")).fields(&action);
    assert!(action.seen(&before, &member(Some("Terminating:Wait"))) && action.seen(&before, &member(None)));
    assert!(!action.seen(&before, &member(Some("InService"))));
    assert_eq!(action.undo(&before), None);
    assert_eq!(action.to_string(), "i-1: terminate in g, which wants one less");
}

fn refresh(version: &str) -> Action {
    let (asg, bucket, key) = ("beta-blue".into(), "b".into(), "version/beta".into());
    Action::Refresh { asg, bucket, key, version: version.into(), min_healthy: 75 }
}

/// The key says `version` since second 100, and the newest refresh has begun at `start`.
fn refreshed(version: &str, newest: Option<(&str, i64)>) -> Facts {
    let Facts::Group(group) = group(0, 9, 4) else { panic!("a group") };
    let at = |second| Some(jiff::Timestamp::from_second(second).unwrap());
    let key = Some(Object { body: version.into(), etag: "e".into(), modified: at(100) });
    let of = |(status, start): (&str, i64)| Refresh {
        id: "r1".into(),
        status: status.into(),
        reason: String::new(),
        start: at(start),
        percent: 0,
    };
    Facts::Refresh { group, key, newest: newest.map(of) }
}

#[test]
fn a_refresh_is_done_when_one_began_after_the_key_was_written() {
    let action = refresh("2");
    let says = |version, newest| refreshed(version, newest).fields(&action);
    assert_eq!(says("1", None), fields(&[("version", Some("1")), ("refresh", None)]));
    assert_eq!(says("2", Some(("Successful", 50))), fields(&[("version", Some("2")), ("refresh", Some("r1"))]), "an earlier one");
    assert_eq!(says("2", Some(("Pending", 100))), action.wanted());
    assert_eq!(says("2", Some(("Successful", 101))), action.wanted());
    assert_eq!(says("2", Some(("Cancelled", 101)))["refresh"].as_deref(), Some("r1"), "it replaces nothing more");
    let (before, failed) = (says("1", None), refreshed("2", Some(("Failed", 101))));
    assert!(action.seen(&before, &failed), "it has begun all the same");
    assert!(!action.seen(&before, &refreshed("1", Some(("InProgress", 101)))));
    assert!(!action.seen(&before, &refreshed("2", Some(("Successful", 50)))));
}

#[test]
fn a_refresh_goes_back_by_another_one_and_a_restart_is_only_cancelled() {
    let before = refreshed("1", None).fields(&refresh("2"));
    assert_eq!(refresh("2").undo(&before), Some(refresh("1")));
    let cancel = Action::CancelRefresh { asg: "beta-blue".into() };
    assert_eq!(refresh("1").undo(&before), Some(cancel.clone()));
    assert_eq!(refresh("2").undo(&fields(&[("version", None), ("refresh", None)])), None, "there is nothing to go back to");
    assert_eq!(cancel.undo(&before), None);
    assert_eq!(refreshed("1", Some(("InProgress", 101))).fields(&cancel), fields(&[("refresh", Some("under way"))]));
    for over in ["Cancelling", "Cancelled", "Successful"] {
        assert_eq!(refreshed("1", Some((over, 101))).fields(&cancel), cancel.wanted());
    }
}
