//! Two services on the same instances, `examples/two-services`: they move together, and what else the load balancer does stays as it is.

use crate::audited::{findings, unexcused};
use crate::support::{Crash, Go, Lab, Outcome, lab};
use bgx::account::action::Action;
use bgx::run::event::{Outcome as Ending, What};
use bgx::sandbox::world::{Action as Does, World};
use std::collections::BTreeMap;

const EXAMPLE: &str = "examples/two-services";

fn shop(playbook: &str) -> Lab {
    lab("shop", playbook).project(EXAMPLE)
}

fn deploy() -> Lab {
    shop("playbooks/deploy.rhai").param("version", "latest")
}

/// Another playbook, in the account that a run left.
fn then(left: &Outcome, lab: Lab) -> Outcome {
    lab.seed(8).recover(&Crash { journal: Vec::new(), world: left.after.clone() }, Go::Run)
}

/// What each rule and default action sends where: port and condition to target groups with weights above 0.
fn traffic(world: &World) -> BTreeMap<String, Vec<String>> {
    let live = |actions: &[Does]| {
        let targets = actions.iter().filter_map(|action| if let Does::Forward { targets, .. } = action { Some(targets) } else { None });
        let names = targets.flatten().filter(|t| t.weight > 0).map(|t| world.target_groups[&t.target_group].name.clone());
        names.collect::<Vec<_>>()
    };
    let rules = world.rules.values().map(|rule| (rule.conditions[0].values[0].clone(), live(&rule.actions.api)));
    let defaults = world.listeners.values().map(|listener| (listener.port.to_string(), live(&listener.actions.api)));
    rules.chain(defaults).collect()
}

fn expected(shop: &str, trial: &str) -> BTreeMap<String, Vec<String>> {
    let rows = [
        ("443", format!("shop-web-{shop}")),
        ("shop.example.com", format!("shop-web-{shop}")),
        ("api.shop.example.com", format!("shop-api-{shop}")),
        ("/api/*", format!("shop-api-{shop}")),
        ("trial.example.com", format!("trial-web-{trial}")),
        ("api.trial.example.com", format!("trial-api-{trial}")),
    ];
    rows.into_iter().map(|(route, group)| (route.to_owned(), vec![group])).collect()
}

fn said(outcome: &Outcome) -> Vec<&str> {
    let said = outcome.events.iter().filter_map(|event| if let What::Said { text, .. } = &event.what { Some(text.as_str()) } else { None });
    said.collect()
}

#[test]
fn a_deploy_moves_both_services_and_nothing_else() {
    let outcome = deploy().run();
    assert_eq!(outcome.ended.outcome, Ending::Done, "{:?}", outcome.ended.why);
    assert_eq!(traffic(&outcome.before), expected("blue", "blue"));
    assert_eq!(traffic(&outcome.after), expected("green", "blue"));
    assert_eq!(outcome.users.errors, 0.0);
    let started =
        outcome.events.iter().filter_map(|event| if let What::Started { action, .. } = &event.what { Some(action) } else { None });
    let moved = started.filter(|action| matches!(action, Action::ForwardEach { .. } | Action::Forward { .. })).count();
    assert_eq!(moved, 2, "weight 0, and the switch: each is one action for all routes");
    let env = outcome_env();
    assert_eq!(unexcused(&findings(&outcome, &env), &env), Vec::<String>::new());
    assert_eq!(outcome.after.parameters["/shop/shop/active-color"].value, "green");
    assert!(outcome.after.parameters["/shop/shop/active-target-group-arn"].value.contains("/shop-web-green/"));
}

fn outcome_env() -> bgx::config::Environment {
    deploy().config.envs["shop"].clone()
}

#[test]
fn a_rollback_and_a_switch_move_both_back_and_forth() {
    let deployed = deploy().run();
    let back = then(&deployed, shop("playbooks/rollback.rhai").param("why", "a test").answer("rollback", "yes"));
    assert_eq!(back.ended.outcome, Ending::Done, "{:?}", back.ended.why);
    assert_eq!(traffic(&back.after), expected("blue", "blue"));
    let forth = then(&back, shop("playbooks/switch.rhai").param("to", "green").answer("switch", "yes"));
    assert_eq!(forth.ended.outcome, Ending::Done, "{:?}", forth.ended.why);
    assert_eq!(traffic(&forth.after), expected("green", "blue"));
    assert_eq!(back.users.errors + forth.users.errors, 0.0);
}

#[test]
fn a_deploy_that_is_stopped_takes_both_back() {
    let whole = deploy().run();
    let is_switch = |what: &What| matches!(what, What::Started { action, .. } if action.to_string().contains("shop-web-green 100"));
    let switch = whole.events.iter().find(|event| is_switch(&event.what)).expect("it switches").seq;
    let outcome = deploy().signal(switch + 2, "SIGTERM").run();
    assert_eq!(outcome.ended.outcome, Ending::Undone, "{:?}", outcome.ended.why);
    assert_eq!(traffic(&outcome.after), expected("blue", "blue"));
    let env = outcome_env();
    assert_eq!(unexcused(&findings(&outcome, &env), &env), Vec::<String>::new());
}

#[test]
fn an_instance_that_one_service_lacks_is_not_healthy() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let lame = |world: &mut World| {
        let api = world.target_groups.values_mut().find(|group| group.name == "shop-api-blue").expect("it is there");
        api.targets.pop_first();
    };
    let text = "//! bgx: 1\n//! Health.\n//! recover: undo\nlet h = target_health(colors().live); say(`${h.healthy} of ${h.total}`);";
    assert_eq!(said(&shop("").text(folder.path(), text).run()), ["2 of 2"]);
    assert_eq!(said(&shop("").text(folder.path(), text).prepare(lame).run()), ["1 of 2"]);
}

#[test]
fn instances_are_asked_on_the_ports_of_their_target_groups() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let text = r#"//! bgx: 1
//! Asks.
//! recover: undo
let one = instances(colors().live)[0];
say(one.version);
say(`${http(one, "/healthcheck").status} ${http(one, "/healthcheck", #{ port: 8080 }).status}`);
try { http(one, "/healthcheck", #{ port: 80 }); say("somebody is there"); } catch (e) { say(e.code); }
say(`${drift().len()}`);
"#;
    assert_eq!(said(&shop("").text(folder.path(), text).run()), ["7", "200 200", "unreachable", "0"]);
    let status = then(&deploy().run(), shop("playbooks/health-check.rhai"));
    assert_eq!(status.ended.outcome, Ending::Done, "{:?}", status.ended.why);
}
