//! Whole playbooks as operators write them: the check is silent about them, and they play.

use crate::script::header::{Header, Permission, Recover};
use crate::script::params;
use crate::script::testing::{checked, played_files, sources};
use std::collections::BTreeMap;

const BLUE_GREEN: (&str, &str) = (
    "std/blue_green.rhai",
    r#"//! The moves of a blue-green deploy.

/// Starts `n` instances of a build on a colour.
/// Example: boot(c.idle, "gh-7", 3)
fn boot(color, build, n) {
    set_version(build);
    scale(color, #{ desired: n, min: n });
    wait_until(`${color.asg} boots`, #{ every: "15s", timeout: env().timeout.boot }, || {
        let few = instances(color).filter(|i| (http(i, "/version").json?.len ?? -1) < 1);
        if few.is_empty() { true } else { `${few.len} instance(s) are not there` }
    });
}

fn wait_healthy_or_ask(color, options) {
    try {
        wait_healthy(color, options);
    } catch (e) {
        if e.code != "timeout" { throw; }
        let k = target_health(color).healthy;
        let what = choose("slow", `${e.message}`, [["more", "wait"], ["go", `go on with ${k}`], ["undo", "take it back"]], #{ unattended: "undo" });
        switch what {
            "more" => wait_healthy_or_ask(color, options),
            "go" => accept_less(color, #{ healthy: k, reason: e.message }),
            _ => { throw; }
        }
    }
}

fn match_capacity(c) {
    let need = asg(c.live).desired;
    if asg(c.idle).desired < need { scale(c.idle, #{ desired: need }); }
}

fn empty(color) { scale(color, #{ min: 0, desired: 0 }) }
"#,
);

const JUDGE: (&str, &str) = (
    "std/judge.rhai",
    r#"const ROUNDS = 3;
fn bake(c, options) {
    let round = 0;
    while round < global::ROUNDS {
        watch(options.watch, #{ serving: c.live, alarms: options.alarms });
        round += 1;
    }
    #{ verdict: if round > 2 { "pass" } else { "inconclusive" }, because: `${round} rounds` }
}
"#,
);

const DEPLOY: &str = r#"//! bgx: 1
//! Blue-green: boot the idle colour, move all traffic at once. Users see: nothing.
//! recover: undo
import "std/blue_green" as bg;

let capacity = param("capacity", #{ kind: "int", min: 1, doc: "instances to serve with" });
let version  = param("version",  #{ kind: "string", doc: "build; default: the one that serves" });
let bake     = param("bake",     #{ kind: "duration", otherwise: "5m", doc: "watch this long" });

let c = colors();
let build = resolve_version(version ?? c.live.version);

step "preparation" {
    preflight(c, #{ capacity: capacity, version: build });
    let there = asg(c.idle).desired;
    if there > 0 {
        let what = choose("existing", `${c.idle.asg} already runs ${there} instance(s)`, [
            ["fresh", "empty it first"],
            ["stop",  "stop"],
        ], #{ unattended: "fresh" });
        if what == "stop" { fail("stopped by the operator"); }
        bg::empty(c.idle);
    }
}
step "protection" { protect_asg(c.live); }
step "boot" {
    let n = capacity ?? asg(c.live).desired;
    bg::boot(c.idle, build, n);
}
step "health" {
    set_weights(#{ live: c.live, idle: c.idle, share: 0 });
    bg::wait_healthy_or_ask(c.idle, #{ timeout: env().timeout.healthy });
    run_hooks("before_switch", c);
}
step "switch" {
    bg::match_capacity(c);
    switch_rule(c.idle);
    set_active_color(c.idle);
    run_hooks("after_switch", c);
}
step "watch" { watch(bake, #{ serving: c.idle, alarms: env().alarms }); }
commit();
step "sizes" { scale(c.idle, #{ min: env().min }); keep_warm(c.live, #{ released_by: "cleanup" }); }
say(`${c.idle.name} serves ${build}; back: bgx run rollback --env ${env().name}`);
"#;

const CANARY: &str = r#"//! Traffic in steps, each judged.
//! allow: mixed_versions "that is what a canary is"
import "std/judge" as judge;

let shares = param("steps", #{ kind: "ints", otherwise: [5, 25, 50] });
let bake   = param("bake",  #{ kind: "duration", otherwise: "10m" });
let worse  = param("worse", #{ kind: "float", otherwise: 3.0 });
let c = colors();

for share in shares {
    step `${share} %` {
        set_weights(#{ live: c.live, idle: c.idle, share: share });
        let v = judge::bake(c, #{ watch: bake, worse: worse, alarms: env().alarms });
        while v.verdict == "inconclusive" {
            let what = choose(`inconclusive-${share}`, v.because, [["longer", `another ${bake}`], ["go", "go on"]], #{ timeout: "1h", unattended: "go" });
            if what == "undo" { fail(v.because); }
            if what == "go" { break; }
            v = judge::bake(c, #{ watch: bake, worse: worse, alarms: env().alarms, since: v });
        }
        if v.verdict == "fail" { fail(v.because); }
    }
}
"#;

const ROLLBACK: &str = r#"//! Send all traffic back.
//! recover: resume
let why = param("why", #{ kind: "string", required: true });
let c = colors();
let back = c.idle;
step "look" {
    let was = last_served(back) ?? fail(`${back.name} never served here`);
    if back.version != was.version { fail(`${back.name} runs ${back.version}`); }
    confirm("rollback", `${env().name}: ${c.live.version} -> ${back.version}`, #{ human: env().guarded });
}
step "capacity" {
    let need = asg(c.live).desired;
    let have = target_health(back).healthy;
    if have < need {
        scale(back, #{ desired: need, min: need });
        let what = choose("short", `${have} of ${need} healthy`, [["wait", `boot ${need - have} more`], ["now", `switch to ${have}`]], #{ unattended: "wait" });
        if what == "wait" { wait_healthy(back, #{ count: need, timeout: env().timeout.healthy }); }
        else              { accept_less(back, #{ healthy: have, reason: why }); }
    }
}
step "switch" { switch_rule(back); set_active_color(back); }
lock_builds(`rolled back: ${c.live.version}`);
"#;

const HOOKS: (&str, &str) = (
    "team/hooks.rhai",
    r#"//! A team's hooks.
fn before_switch(c) {
    let least = if env().name.starts_with("aarch64") { 0 } else { 1 };
    wait_until("compilers registered", #{ every: "15s", timeout: "10m" }, || {
        let few = instances(c.idle).filter(|i| (http(i, "/api/compilers").json?.len ?? -1) < least);
        if few.is_empty() { true } else { `${few.len} instance(s) list fewer than ${least}` } });
}
fn clear() { #{ post: "/admin/clear-cache", to: "router-" + env().name, if_absent: "skip" } }
fn after_switch(c)  { on_undo(clear()); effect(clear()); }
"#,
);

fn files(main: &'static str) -> [(&'static str, &'static str); 4] {
    [("playbook.rhai", main), BLUE_GREEN, JUDGE, HOOKS]
}

#[test]
fn the_check_is_silent_about_right_playbooks() {
    for main in [DEPLOY, CANARY, ROLLBACK] {
        assert_eq!(checked(&files(main)), Vec::<String>::new());
    }
}

#[test]
fn a_deploy_plays_from_top_to_end() {
    let p = played_files(&files(DEPLOY));
    assert_eq!(p.value(), "()");
    let steps: Vec<&str> = p.log.iter().filter_map(|l| l.strip_prefix("< ")).collect();
    assert_eq!(steps, ["preparation", "protection", "boot", "health", "switch", "watch", "sizes"]);
    let effects: Vec<&String> = p.log.iter().filter(|l| l.starts_with("effect")).collect();
    assert_eq!(effects.len(), 1, "hooks run: {:?}", p.log);
    assert!(effects[0].ends_with("@ team/hooks.rhai:9:41"), "{effects:?}");
}

#[test]
fn a_canary_and_a_rollback_play() {
    let p = played_files(&files(CANARY));
    assert_eq!(p.value(), "()");
    assert_eq!(p.log.iter().filter(|l| l.starts_with("watch")).count(), 9);
    let p = played_files(&files(ROLLBACK));
    assert_eq!(p.value(), "()");
    assert!(p.log.iter().any(|l| l == "wait_healthy Some(4) 10m"), "{:?}", p.log);
}

#[test]
fn headers_and_flags_of_playbooks_are_known_before_they_run() {
    let header = Header::parse("p", CANARY).expect("right");
    assert_eq!((header.recover, header.allows(Permission::MixedVersions)), (Recover::Page, true));
    assert_eq!(Header::parse("p", ROLLBACK).expect("right").recover, Recover::Resume);
    let specs = params::specs(&sources(&files(DEPLOY))).expect("right");
    assert_eq!(specs.iter().map(|s| s.name.as_str()).collect::<Vec<_>>(), ["capacity", "version", "bake"]);
    let values = params::parse(&specs, &BTreeMap::from([("capacity".into(), "4".into())])).expect("right");
    assert_eq!(values.keys().collect::<Vec<_>>(), ["bake", "capacity"]);
}

#[test]
fn each_slip_in_a_right_playbook_is_found_where_it_is() {
    let slips = [
        ("bg::boot(c.idle, build, n)", "bg::boot(c.idle, build)", "does not take 2 arguments"),
        ("asg(c.live).desired;\n    bg", "asg(c.live).desired;\n    gb", "module `gb` is not imported"),
        ("share: 0", "share: \"0\"", "`share` wants a whole number, got \"0\""),
        ("min: env().min", "mni: env().min", "`scale` has no option `mni`"),
        ("protect_asg(c.live)", "protect_asg(d.live)", "unknown variable `d`"),
        ("switch_rule(c.idle)", "swich_rule(c.idle)", "unknown function `swich_rule`"),
        ("step \"watch\" { watch(bake", "step \"watch\" { watch(5", "wants a duration such as \"5m\", got 5"),
        ("let build", "let new", "`new` is a reserved word of Rhai"),
        ("otherwise: \"5m\"", "otherwise: \"5 m\"", "`otherwise` wants a duration such as 5m, got \"5 m\""),
        ("//! recover: undo", "//! recover: redo", "`recover: redo` is not known"),
    ];
    for (right, wrong, message) in slips {
        assert!(DEPLOY.contains(right), "{right}");
        let text: &'static str = DEPLOY.replace(right, wrong).leak();
        let found = checked(&files(text));
        assert!(found.iter().any(|f| f.contains(message)), "{wrong}: {found:?}");
    }
}
