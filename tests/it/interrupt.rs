//! A signal at any moment before the commit: the account is as it was, users saw no error.

use crate::support::{lab, owned};
use bgx::run::event::{Outcome, What};
use bgx::sandbox::world::{Happening, Range, World};
use pretty::differences;

mod pretty {
    use std::collections::BTreeMap;

    /// Only what differs, so that a failure can be read.
    pub fn differences(a: &BTreeMap<String, String>, b: &BTreeMap<String, String>) -> Vec<String> {
        let keys: std::collections::BTreeSet<&String> = a.keys().chain(b.keys()).collect();
        keys.into_iter()
            .filter(|key| a.get(*key) != b.get(*key))
            .map(|key| format!("{key}: {:?} -> {:?}", a.get(key), b.get(key)))
            .collect()
    }
}

/// Weight 1 alone and weight 100 beside 0 send the same traffic; an undo puts the first one back to the letter.
fn check_every_event(env: &'static str, signal: &'static str) {
    // Autoscaling and spot interruptions would move sizes by themselves: here only the run moves them.
    let quiet = |world: &mut World| {
        for group in world.groups.values_mut() {
            (group.cpu_target, group.spot_interruptions_per_hour) = (None, 0.0);
        }
        world.instances.values_mut().for_each(|instance| instance.next_interruption = None);
    };
    let deploy = || lab(env, "playbooks/deploy.rhai").param("version", "latest").param("bake", "1m").prepare(quiet);
    let whole = deploy().run();
    assert_eq!(whole.ended.outcome, Outcome::Done, "{:?}", whole.ended);
    let kept = whole.events.iter().filter(|e| e.what.is_kept());
    let committed = kept.clone().find(|e| matches!(e.what, What::Committed { .. })).expect("a deploy commits").seq;
    for after in 0..committed {
        let outcome = deploy().signal(after, signal).run();
        assert_eq!(outcome.ended.outcome, Outcome::Undone, "{signal} after event {after}: {:?}", outcome.ended);
        assert_eq!(
            differences(&owned(&outcome.before, env), &owned(&outcome.after, env)),
            Vec::<String>::new(),
            "{signal} after event {after}"
        );
        assert_eq!(outcome.users.errors, 0.0, "{signal} after event {after}");
    }
}

#[test]
fn sigterm_after_any_event_of_a_beta_deploy_leaves_the_account_as_it_was() {
    check_every_event("beta", "SIGTERM");
}

#[test]
fn sigint_after_any_event_of_a_beta_deploy_leaves_the_account_as_it_was() {
    check_every_event("beta", "SIGINT");
}

#[test]
fn sigterm_after_any_event_of_a_deploy_with_two_listeners_leaves_the_account_as_it_was() {
    check_every_event("prod", "SIGTERM");
}

#[test]
fn an_undo_never_writes_a_version_key_that_is_as_it_was_already() {
    let deploy = || lab("beta", "playbooks/deploy.rhai").param("version", "latest").param("bake", "1m");
    let whole = deploy().run();
    let checked = whole.events.iter().find(|e| matches!(&e.what, What::Started { verb, .. } if verb == "set_weights"));
    let outcome = deploy().signal(checked.expect("the load balancer checks the new colour").seq, "SIGTERM").run();
    assert_eq!(outcome.ended.outcome, Outcome::Undone, "{:?}", outcome.ended);
    let key = |what: &Happening| matches!(what, Happening::Call { operation, resource, .. } if operation == "PutObject" && resource.ends_with("version/beta"));
    let writes = outcome.after.log.iter().filter(|entry| key(&entry.what)).count();
    assert_eq!(writes, 2, "written for the boot and put back after it, which the undo leaves as it is");
}

#[test]
fn a_target_group_stays_in_the_rule_for_as_long_as_a_node_may_send_users_there() {
    let lagging = |world: &mut World| world.timing.propagation = Range::seconds(0, 60);
    let deploy = || lab("beta", "playbooks/deploy.rhai").param("version", "latest").param("bake", "1m").prepare(lagging);
    let whole = deploy().run();
    let switched = whole.events.iter().find(|e| matches!(&e.what, What::Started { verb, .. } if verb == "switch_rule"));
    let outcome = deploy().signal(switched.expect("a deploy switches").seq + 1, "SIGTERM").run();
    assert_eq!(outcome.ended.outcome, Outcome::Undone, "{:?}", outcome.ended);
    let routes = outcome.after.log.iter().filter_map(|entry| match &entry.what {
        Happening::Rerouted { targets, .. } => Some((entry.at, targets.len())),
        _ => None,
    });
    // In at weight 0, switched, back, and out again.
    let [.., (back, 2), (out, 1)] = routes.collect::<Vec<_>>()[..] else { panic!("the rule is not put back as it was in two steps") };
    assert!(out.since(back) >= 60_000, "taken out after {} ms", out.since(back));
    assert_eq!(outcome.users.errors, 0.0);
}
