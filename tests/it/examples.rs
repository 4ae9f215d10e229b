//! Every verb, every function of the stdlib and every verb of tests says what it is for, and its example runs in a new sandbox.

use crate::program::{exit_code, project};
use crate::support::{Outcome, lab};
use bgx::run::event::Outcome as Ending;
use bgx::script::catalog::Catalog;
use bgx::script::{Effect, Kind};
use std::path::Path;

/// An account in which examples can run.
struct Prepared {
    names: &'static [&'static str],
    /// A folder of `examples/`; empty: the repository itself.
    project: &'static str,
    env: &'static str,
    /// What the playbook does before the line of the example.
    before: &'static str,
}

const fn beta(names: &'static [&'static str], before: &'static str) -> Prepared {
    Prepared { names, project: "", env: "beta", before }
}

const fn one_group(names: &'static [&'static str], before: &'static str) -> Prepared {
    Prepared { names, project: "examples/one-target-group", env: "beta", before }
}

const fn migrates(names: &'static [&'static str], before: &'static str) -> Prepared {
    Prepared { names, project: "examples/before-blue-green", env: "beta", before }
}

const BOOTED: &str = r#"bg::boot(c.idle, c.live, resolve_version("latest"), 2);"#;
const SCALED: &str = "scale(c.idle, #{ desired: 2, min: 2 });\nset_weights(#{ live: c.live, idle: c.idle, share: 0 });";
const UP: &str = r#"bg::bring_up(c, resolve_version("latest"), 2);"#;
const SETTLED: &str = r#"bg::bring_up(c, resolve_version("latest"), 2); bg::settle(c, resolve_version("latest"));"#;
const RULE: &str = r#"bg::bring_up(c, resolve_version("latest"), 2); bg::settle(c, resolve_version("latest")); switch_rule(c.idle);"#;
const SWITCHED: &str = r#"bg::bring_up(c, resolve_version("latest"), 2); bg::switch_over(c, resolve_version("latest"));"#;
const LARGER: &str = r#"commit(); set_version(resolve_version("latest"), #{ color: c.live });
    scale(c.live, #{ desired: 3 }); wait_healthy(c.live, #{ count: 3, timeout: "10m" });"#;
const SHARED: &str = r#"bg::bring_up(c, resolve_version("latest"), 6); bg::settle(c, resolve_version("latest"));
    set_weights(#{ live: c.live, idle: c.idle, share: 25 });"#;
const KNOWN: &str = r#"bg::bring_up(c, resolve_version("latest"), 2); let c = colors();"#;
const READY: &str = r#"bg::bring_up(c, resolve_version("latest"), 2); let c = colors(); serving::make_ready(c.live, c.idle);"#;
const SPARE: &str = r#"bg::boot(c.idle, c.live, resolve_version("latest"), 2); scale(c.idle, #{ min: 0 });"#;
const STANDBY: &str =
    r#"bg::boot(c.idle, c.live, resolve_version("latest"), 2); scale(c.idle, #{ min: 0 }); enter_standby(instances(c.idle)[0]);"#;
const BESIDE: &str = r#"targets::boot(c.idle, resolve_version("latest"), 2);"#;
const ENTERED: &str = r#"targets::boot(c.idle, resolve_version("latest"), 2); targets::enter(c.idle, 2);"#;
const BLUE: &str = "migration::prepare(c, c.live.version);";
const FROZEN: &str = "migration::prepare(c, c.live.version); protect_asg(c.idle, #{ freeze: true });";
const MIGRATED: &str = "migration::prepare(c, c.live.version); migration::switch_over(c, c.live.version); commit();";
const EXCHANGED: &str = "migration::prepare(c, c.live.version); protect_asg(c.idle, #{ freeze: true });
    migration::exchange(c); migration::switch_over(c, c.live.version); commit();";

/// Examples that need more than a new sandbox of beta.
const PREPARED: &[Prepared] = &[
    beta(&["wait_in_service", "wait_healthy", "watch_split"], SCALED),
    beta(
        &["bg::wait_healthy_or_ask"],
        "bg::boot(c.idle, c.live, c.live.version, 2); set_weights(#{ live: c.live, idle: c.idle, share: 0 });",
    ),
    beta(&["restart", "terminate", "instances::wait_drained"], BOOTED),
    beta(&["bg::match_capacity", "bg::settle", "bg::switch_over", "judge::grow", "run_hooks", "accept_less", "resume_launches"], UP),
    beta(&["switch_rule"], SETTLED),
    beta(&["set_active_color", "hold_launches", "bg::settle_version"], RULE),
    beta(&["bg::leave_warm", "keep_warm"], SWITCHED),
    beta(&["batches::end", "batches::replace", "batches::replace_or_ask", "batches::replace_all"], LARGER),
    beta(&["rolled_back"], "commit();"),
    beta(&["serving::make_ready"], KNOWN),
    beta(&["serving::swap"], READY),
    beta(&["enter_standby"], SPARE),
    beta(&["exit_standby"], STANDBY),
    beta(&["thaw"], "protect_asg(c.live, #{ freeze: true });"),
    Prepared { names: &["judge::bake", "judge::must_pass"], project: "", env: "prod", before: SHARED },
    Prepared { names: &["copy_discovery"], project: "", env: "prod", before: "" },
    one_group(&["targets::must_share", "targets::boot", "targets::outside"], ""),
    one_group(&["register", "targets::enter", "targets::enter_all"], BESIDE),
    one_group(&["deregister", "targets::leave", "targets::swap"], ENTERED),
    migrates(
        &["migration::begin", "migration::wrong", "migration::checklist", "migration::tell", "migration::prepare", "migration::verify"],
        "",
    ),
    migrates(&["migration::guests"], ""),
    migrates(&["migration::switch_over"], BLUE),
    migrates(&["migration::exchange"], FROZEN),
    migrates(&["migration::retire"], MIGRATED),
    migrates(&["migration::give_back"], EXCHANGED),
];

const ANYWHERE: Prepared = beta(&[], "");

/// Guards yield: an example is one line of a playbook that would say why.
const HEAD: &str =
    "//! bgx: 1\n//! allow: mixed_versions \"an example\"\n//! allow: less_capacity \"an example\"\nimport \"std/blue_green\" as bg;\n";

/// Plays an example; modules beside `bg` are imported where they are used.
fn played(folder: &Path, name: &str, example: &str) -> Outcome {
    let prepared = PREPARED.iter().find(|prepared| prepared.names.contains(&name)).unwrap_or(&ANYWHERE);
    let used = |alias: &str| alias != "bg" && [prepared.before, example].iter().any(|text| text.contains(&format!("{alias}::")));
    let modules = Catalog::all().modules.into_iter().filter(|module| used(&module.alias));
    let imports: String = modules.map(|module| format!("import \"{}\" as {};\n", module.path, module.alias)).collect();
    let text = format!("{HEAD}{imports}let c = colors();\n{}\n{};\n", prepared.before, example.trim_end_matches(';'));
    let lab = lab(prepared.env, "").approved().answer("switch", "yes").answer("existing", "fresh").answer("accept-green", "yes");
    let lab = if prepared.project.is_empty() { lab } else { lab.project(prepared.project) };
    lab.text(folder, &text).run()
}

/// The example ran; what prepared it is no deploy, so that the end state may be in disagreement, and is then told.
fn runs(folder: &Path, name: &str, example: &str) {
    let outcome = played(folder, name, example);
    let (ending, why) = (outcome.ended.outcome, outcome.ended.why.unwrap_or_default());
    match name {
        "fail" => assert!(outcome.error.is_some_and(|error| error.contains("stopped by the operator"))),
        "rolled_back" => assert_eq!((ending, why.as_str()), (Ending::Undone, "green did not become healthy, and runs what it ran before")),
        "decline" => assert_eq!((ending, why.as_str()), (Ending::Refused, "stopped by the operator")),
        _ => {
            assert!(outcome.error.is_none(), "{name}: {:?}", outcome.error);
            let left = ending == Ending::Paused && why.starts_with("the end state is not as it should be");
            assert!(ending == Ending::Done || left, "{name}: {ending:?} {why}");
        }
    }
}

#[test]
fn every_verb_says_what_it_is_for() {
    for verb in Catalog::all().groups.iter().flat_map(|group| &group.verbs) {
        for (what, text) in [("summary", verb.summary), ("returns", verb.returns)] {
            assert!(!text.trim().is_empty(), "{} has no {what}", verb.name);
        }
        let told = verb.params.iter().map(|p| (p.name, p.kind, p.doc)).chain(verb.options.iter().map(|o| (o.key, o.kind, o.doc)));
        for (name, kind, doc) in told {
            assert!(!doc.trim().is_empty() && !kind.word().is_empty(), "{}: what is `{name}`?", verb.name);
            let counts_time =
                ["seconds", "minutes", "hours"].iter().any(|unit| name.contains(unit)) || name == "timeout" || name == "every";
            assert!(!counts_time || kind == Kind::Duration, "{}: `{name}` has no unit", verb.name);
        }
        assert!(verb.errors.iter().all(|code| !code.is_empty()) && verb.since >= 1, "{}", verb.name);
        assert!(verb.example.contains(&format!("{}(", verb.name)), "{}: {}", verb.name, verb.example);
    }
}

#[test]
fn the_examples_of_all_verbs_run() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let groups = Catalog::all().groups.into_iter().filter(|group| group.name != "tests");
    let verbs: Vec<_> = groups.flat_map(|group| group.verbs).collect();
    assert!(verbs.len() > 60, "{}", verbs.len());
    verbs.iter().for_each(|verb| runs(folder.path(), verb.name, verb.example));
    // Those that change something do so: an example that finds it done already would show nothing.
    for name in ["scale", "switch_rule", "set_version", "register", "terminate"] {
        let verb = verbs.iter().find(|verb| verb.name == name && verb.effect == Effect::Write).expect("it writes");
        let outcome = played(folder.path(), name, verb.example);
        let finished = outcome.events.iter().filter(|e| matches!(&e.what, bgx::run::event::What::Started { verb, .. } if verb == name));
        assert!(finished.count() > 0, "{name}");
    }
}

#[test]
fn the_examples_of_the_stdlib_run() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let mut count = 0;
    for module in Catalog::all().modules {
        for function in &module.functions {
            runs(folder.path(), &format!("{}::{}", module.alias, function.name), &function.example);
            count += 1;
        }
    }
    assert!(count > 50, "{count}");
}

#[test]
fn the_examples_of_the_verbs_of_tests_run() {
    let mut text = String::new();
    for verb in Catalog::all().groups.iter().filter(|group| group.name == "tests").flat_map(|group| &group.verbs) {
        let before = match verb.name {
            "play" | "play_text" | "assert_fails" => "",
            "resume" | "undo" => {
                r#"let r = play("deploy", #{ env: "beta", params: #{ version: "latest" }, pause: true, faults: [#{ fault: "denied", at: "ModifyRule", nth: 2 }] });"#
            }
            _ => r#"let r = play("deploy", #{ env: "beta", params: #{ version: "latest" } });"#,
        };
        text.push_str(&format!("fn test_{}() {{\n    {before}\n    {};\n}}\n", verb.name, verb.example));
    }
    let project = project().file("playbooks/examples_test.rhai", &text);
    let said = project.bgx(&["test", "playbooks/examples_test.rhai"]);
    assert_eq!(exit_code(&said), Some(0), "{said}");
    assert!(said.contains("10 ok"), "{said}");
}
