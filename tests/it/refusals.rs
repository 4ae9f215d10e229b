//! Playbooks that do things in the wrong order are refused, and a caught refusal changes nothing.

use crate::support::{Outcome as Ran, lab, owned};
use bgx::run::event::{Outcome, What};
use bgx::sandbox::world::World;
use insta::assert_snapshot;

/// Plays a body in an environment whose sizes nothing but the run moves.
fn play(env: &'static str, header: &str, body: &str) -> Ran {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let text = format!("//! bgx: 1\n//! Given.\n{header}\n{body}");
    let mut ran = lab(env, "playbooks/deploy.rhai").text(folder.path(), &text).prepare(quiet).run();
    let there = folder.path().display().to_string();
    ran.error = ran.error.map(|error| error.replace(&there, "$FOLDER"));
    ran
}

fn quiet(world: &mut World) {
    for group in world.groups.values_mut() {
        (group.cpu_target, group.spot_interruptions_per_hour) = (None, 0.0);
    }
    world.instances.values_mut().for_each(|instance| instance.next_interruption = None);
}

/// Whatever happened, what runs may change is as before and no user met an error.
fn unharmed(ran: &Ran, env: &str) {
    assert_eq!(owned(&ran.before, env), owned(&ran.after, env), "{:?}", ran.ended);
    assert_eq!(ran.users.errors, 0.0, "{:?}", ran.users);
}

fn started(ran: &Ran) -> usize {
    ran.events.iter().filter(|e| matches!(e.what, What::Started { .. })).count()
}

/// Refused as the first action: nothing was sent, exit 7, and the error shows the line of the playbook.
fn refused(env: &'static str, body: &str) -> String {
    let ran = play(env, "", body);
    assert_eq!(ran.ended.outcome, Outcome::Refused, "{:?}", ran.ended);
    assert_eq!(started(&ran), 0, "{:?}", ran.events);
    unharmed(&ran, env);
    ran.error.unwrap_or_default()
}

/// Refused after a first action: that is taken back, exit 3.
fn undone(env: &'static str, body: &str) -> String {
    let ran = play(env, "", body);
    assert_eq!(ran.ended.outcome, Outcome::Undone, "{:?}", ran.ended);
    assert!(started(&ran) > 0, "{:?}", ran.events);
    unharmed(&ran, env);
    ran.ended.why.unwrap_or_default()
}

const BOOT: &str = "let c = colors();\nscale(c.idle, #{ desired: 2, min: 2 });\n";

#[test]
fn traffic_goes_to_no_colour_without_healthy_targets() {
    assert_snapshot!(refused("beta", "let c = colors();\nswitch_rule(c.idle);\n"), @r#"
    error: green has 0 healthy target(s) and needs 2 to take production traffic (no targets)
     --> $FOLDER/given.rhai:5:1
      |
    5 | switch_rule(c.idle);
      | ^^^^^^^^^^^
      |
    help: wait with wait_healthy(…) while it stands in the rule at weight 0, or ask for less with accept_less(…)
    "#);
    assert_snapshot!(undone("beta", &format!("{BOOT}switch_rule(c.idle);\n")), @r#"green has 0 healthy target(s) and needs 2 to take production traffic (no targets)"#);
}

#[test]
fn in_service_is_not_healthy() {
    let body = format!("{BOOT}wait_in_service(c.idle, #{{ count: 2 }});\nswitch_rule(c.idle);\n");
    let why = undone("beta", &body);
    assert!(why.starts_with("green has 0 healthy target(s) and needs 2 to take production traffic"), "{why}");
}

#[test]
fn one_healthy_target_is_not_enough_where_two_serve() {
    let body = "let c = colors();\nscale(c.idle, #{ desired: 1, min: 1 });\nwait_in_service(c.idle, #{ count: 1 });\n\
        set_weights(#{ live: c.live, idle: c.idle, share: 0 });\nwait_healthy(c.idle, #{ count: 1 });\nswitch_rule(c.idle);\n";
    assert_snapshot!(undone("beta", body), @r#"green has 1 healthy target(s) and needs 2 to take production traffic (1 healthy)"#);
}

#[test]
fn the_group_that_serves_is_never_emptied_or_shrunk() {
    assert_snapshot!(refused("beta", "let c = colors();\nscale(c.live, #{ min: 0, desired: 0 });\n"), @r#"
    error: `beta-blue` serves production traffic with 2 instance(s) and would shrink to 0
     --> $FOLDER/given.rhai:5:1
      |
    5 | scale(c.live, #{ min: 0, desired: 0 });
      | ^^^^^
      |
    help: switch traffic to the other colour first, or declare `//! allow: take_down "reason"` in the playbook
    "#);
    refused("beta", "let c = colors();\nscale(c.live, #{ max: 1 });\n");
    refused("prod", "let c = colors();\nscale(c.live, #{ desired: 5 });\n");
    undone("beta", &format!("{BOOT}scale(c.live, #{{ desired: 1 }});\n"));
}

#[test]
fn two_versions_serve_at_once_only_where_the_header_says_so() {
    let body = format!(
        "{BOOT}wait_in_service(c.idle, #{{ count: 2 }});\nset_weights(#{{ live: c.live, idle: c.idle, share: 0 }});\n\
         wait_healthy(c.idle, #{{ count: 2 }});\nset_weights(#{{ live: c.live, idle: c.idle, share: 10 }});\n"
    );
    assert_snapshot!(undone("beta", &body), @r#"Beta-Blue and Beta-Green would serve at the same time"#);
    let undo = format!("{body}fail(\"enough\");\n");
    let ran = play("beta", "//! allow: mixed_versions \"a canary\"", &undo);
    assert_eq!((ran.ended.outcome, ran.ended.why.as_deref()), (Outcome::Undone, Some("enough")));
    unharmed(&ran, "beta");
}

#[test]
fn a_group_is_named_by_its_colour_and_by_nothing_else() {
    let forged = "let c = colors();\nlet x = c.idle;\nx.asg = \"prod-blue\";\nscale(x, #{ desired: 1 });\n";
    let ran = play("beta", "", forged);
    assert_ne!(ran.ended.outcome, Outcome::Done, "{:?}", ran.ended);
    unharmed(&ran, "prod");
    assert_snapshot!(ran.error.unwrap_or_default(), @r#"
    error: `color` cannot be changed: `asg` is a fact that was read
     --> $FOLDER/given.rhai:6:3
      |
    6 | x.asg = "prod-blue";
      |   ^^^
      |
    help: copy it: let mine = x.asg;
    "#);
}

#[test]
fn a_build_is_written_only_to_the_environments_own_key() {
    let ran = play("beta", "", "let c = colors();\nset_version(\"41001\", #{ color: c.idle });\nfail(\"enough\");\n");
    assert_eq!(ran.ended.outcome, Outcome::Undone, "{:?}", ran.ended);
    unharmed(&ran, "beta");
    let touched: Vec<String> =
        ran.events.iter().filter_map(|e| if let What::Started { action, .. } = &e.what { Some(action.resource()) } else { None }).collect();
    assert_eq!(touched, ["s3://compiler-explorer/version/beta"]);
}

#[test]
fn a_guarded_environment_is_never_pinned() {
    assert_snapshot!(refused("prod", "let c = colors();\nprotect_asg(c.live, #{ max: true });\n"), @r#"
    error: a guarded environment is never pinned: its capacity could not grow
     --> $FOLDER/given.rhai:5:1
      |
    5 | protect_asg(c.live, #{ max: true });
      | ^^^^^^^^^^^
      |
    help: leave `max` away; the floor alone keeps it from shrinking
    "#);
}

#[test]
fn a_refusal_that_the_script_catches_changes_nothing() {
    let body = "let c = colors();\nlet said = \"\";\ntry { switch_rule(c.idle); } catch (e) { said = e.code; }\n\
        try { scale(c.live, #{ desired: 0 }); } catch (e) { said += ` ${e.code}`; }\nsay(said);\n";
    let ran = play("beta", "", body);
    assert_eq!((ran.ended.outcome, started(&ran)), (Outcome::Done, 0), "{:?}", ran.ended);
    unharmed(&ran, "beta");
    let said: Vec<&str> =
        ran.events.iter().filter_map(|e| if let What::Said { text, .. } = &e.what { Some(text.as_str()) } else { None }).collect();
    assert_eq!(said, ["refused refused"]);
    let refusals = ran.events.iter().filter(|e| matches!(e.what, What::Refused { .. })).count();
    assert_eq!(refusals, 2, "the journal keeps both");
}

#[test]
fn the_closure_of_a_wait_only_looks() {
    let body = r#"let c = colors(); wait_until("x", #{ timeout: "1m" }, || { scale(c.idle, #{ desired: 1 }); true });"#;
    let ran = play("beta", "", body);
    assert_eq!(ran.ended.outcome, Outcome::Undone);
    assert_eq!(started(&ran), 0);
    assert!(ran.error.unwrap_or_default().contains("scale cannot stand inside a wait"));
}
