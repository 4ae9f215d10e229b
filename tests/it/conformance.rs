//! `bgx doctor --conformance`: no run of the sandbox is impossible in it, every rule has teeth, and another AWS is told apart.

use crate::process::{Moto, Program, Project, python};
use crate::program::{exit_code, project};
use crate::support::{Outcome, config, lab, root};
use bgx::account::{AccountError, Action, GroupSettings, Kind};
use bgx::host::world;
use bgx::prove::conform::{self, Conformance, RULES};
use bgx::prove::testing::Bench;
use bgx::run::RunError;
use bgx::run::event::{Event, What};
use bgx::run::journal::{Journal, open};
use bgx::run::sight::{Of, ReadBack, Sighting};
use bgx::sandbox::world::World;
use bgx::script::harness;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(120);
/// Of the tests of playbooks every so many are played.
const STRIDE: usize = 9;

fn kept(outcome: &Outcome) -> Vec<Event> {
    outcome.events.iter().filter(|event| event.what.is_kept()).cloned().collect()
}

fn first(found: &Conformance) -> Option<(u64, &'static str)> {
    found.impossible.first().map(|finding| (finding.event, finding.rule.name))
}

#[test]
fn deploys_in_every_environment_are_possible() {
    let (mut judged, mut rules) = (0, BTreeMap::<&str, u64>::new());
    for env in ["prod", "beta", "gpu", "wintest", "winprod", "aarch64prod"] {
        for (playbook, seed) in [("deploy", 1), ("canary", 2), ("rolling", 3)] {
            let outcome = lab(env, &format!("playbooks/{playbook}.rhai")).param("version", "latest").seed(seed).run();
            let found = examine(&kept(&outcome), &outcome.before);
            assert!(found.is_ok(), "{playbook} in {env}: {:#?}", found.impossible.first());
            judged += found.judged;
            found.rules.iter().for_each(|(rule, count)| *rules.entry(rule).or_default() += count);
        }
    }
    println!("{judged} replies judged: {rules:?}");
    assert!(judged > 400, "{judged}");
}

/// Whatever their tests do to playbooks: throttles, lost replies, strangers, deaths of instances, signals, resumes and undos.
#[test]
fn runs_that_the_tests_of_playbooks_play_are_possible() {
    let config = config();
    let mut paths: Vec<_> = ["playbooks", "stdlib"].iter().flat_map(|folder| std::fs::read_dir(root().join(folder)).unwrap()).collect();
    paths.sort_by_key(|entry| entry.as_ref().unwrap().path());
    let files = paths.into_iter().map(|entry| entry.unwrap().path()).filter(|path| path.to_string_lossy().ends_with("_test.rhai"));
    let files: Vec<_> = files.map(|path| harness::load(&path, &config).unwrap_or_else(|p| panic!("{}", p.render(false)))).collect();
    let tests = files.iter().flat_map(|file| file.tests.iter().map(move |test| (file, test)));
    let (mut judged, mut journals) = (0, 0);
    for (file, test) in tests.step_by(STRIDE) {
        let bench = Arc::new(Bench::new(&config, false));
        let carrying = bench.clone();
        let failed = harness::run(file, test, Arc::new(move |ask| carrying.carry(ask))).err();
        assert!(failed.is_none(), "{test}: {}", failed.unwrap().diagnostic);
        for (journal, world) in bench.left() {
            let found = examine(&open(&journal).events, &world);
            assert!(found.impossible.is_empty(), "{test}: {:#?}", found.impossible[0]);
            judged += found.judged;
            journals += 1;
        }
    }
    println!("{judged} replies of {journals} journals judged");
    assert!(judged > 150 && journals > 20, "{judged} of {journals}");
}

/// Each environment in its region of the repository's file.
fn examine(events: &[Event], world: &World) -> Conformance {
    conform::examine(events, world, &config().envs)
}

/// The world that a lab's run of beta believes in.
fn believed() -> World {
    world::new_world(&config(), 7).expect("bgx.toml describes a world")
}

fn later(at: Timestamp, seconds: i64) -> Timestamp {
    at.checked_add(SignedDuration::from_secs(seconds)).expect("a journal ends before time does")
}

/// Changes the first event that `change` takes; its number.
fn changed(events: &mut [Event], change: impl Fn(&mut What) -> bool) -> u64 {
    let event = events.iter_mut().find_map(|event| change(&mut event.what).then_some(event.seq));
    event.expect("the journal has such an event")
}

/// What was read back of the first write of this kind.
fn read_back(events: &mut [Event], kind: fn(&Action) -> bool, change: impl Fn(&mut ReadBack)) -> u64 {
    let started = events.iter().position(|event| matches!(&event.what, What::Started { action, .. } if kind(action)));
    changed(&mut events[started.expect("it is written")..], |what| match what {
        What::Finished { seen: Some(seen), .. } => {
            change(seen);
            true
        }
        _ => false,
    })
}

/// The group as it was read back first.
fn group(events: &mut [Event], change: impl Fn(&mut GroupSettings)) -> u64 {
    let is_capacity = |action: &Action| matches!(action, Action::Capacity { .. });
    read_back(events, is_capacity, |seen| change(seen.group.as_mut().expect("a group was read back")))
}

/// An action that was taken, otherwise than it was.
fn action(events: &mut [Event], change: impl Fn(&mut Action) -> bool) -> u64 {
    let started = events.iter_mut().position(|event| match &mut event.what {
        What::Started { action, .. } => change(action),
        _ => false,
    });
    changed(&mut events[started.expect("it is written")..], |what| matches!(what, What::Finished { .. }))
}

/// The looks of the first wait for this list, in place of what they were: so many seconds apart, each with what it shows anew.
fn looks(events: &mut [Event], list: Of, apart: i64, states: &[&[(&str, Option<&str>)]]) -> u64 {
    changed(events, |what| {
        let What::Waited { seen, .. } = what else { return false };
        let Some(first) = seen.iter().find(|sighting| sighting.list == list).cloned() else { return false };
        let moment = |index: usize| later(first.from, apart * i64::try_from(index).expect("a small number"));
        let look = |(index, now): (usize, &&[(&str, Option<&str>)])| Sighting {
            from: moment(index),
            until: moment(index),
            before: index.checked_sub(1).map(moment),
            now: now.iter().map(|(id, state)| ((*id).to_owned(), state.map(str::to_owned))).collect(),
            ..first.clone()
        };
        *seen = states.iter().enumerate().map(look).collect();
        true
    })
}

/// An answer to a question in place of the first one.
fn answer(events: &mut [Event], verb: &str, of: &str, answer: &serde_json::Value) -> u64 {
    changed(events, |what| {
        let What::Read { step, .. } = what else { return false };
        *what = What::Read { step: *step, verb: verb.to_owned(), of: of.to_owned(), answer: answer.clone() };
        true
    })
}

fn refused(events: &mut [Event], operation: &str, code: &str) -> u64 {
    let text = str::to_owned;
    let error = AccountError {
        kind: Kind::Conflict,
        service: text("ssm"),
        operation: text(operation),
        resource: text("/x"),
        code: text(code),
        message: text("no"),
        request_id: None,
        attempts: 1,
    };
    changed(events, |what| {
        let What::Read { step, verb, of, .. } = what.clone() else { return false };
        *what = What::ReadFailed { step, verb, of, error: RunError::Account(error.clone()) };
        true
    })
}

fn heavy(action: &mut Action, weights: BTreeMap<String, u32>) -> bool {
    match action {
        Action::Forward { weights: old, .. } => {
            *old = weights;
            true
        }
        _ => false,
    }
}

/// One journal that cannot be: the rule that says so, and what makes it so; the number of the event.
type Mutant = (&'static str, fn(&mut [Event]) -> u64);

const DRAINS: &str = "draining Target.DeregistrationInProgress";
const CHECKED: &str = "initial Elb.InitialHealthChecking";

const MUTANTS: [Mutant; 32] = [
    ("sizes", |e| group(e, |group| group.desired = group.max + 1)),
    ("sizes", |e| group(e, |group| group.min = group.desired + 1)),
    ("processes", |e| group(e, |group| group.suspended.extend(["Everything".to_owned()]))),
    ("accepted sizes", |e| {
        action(e, |action| match action {
            Action::Capacity { min, max, .. } => {
                (*min, *max) = (Some(6), Some(4));
                true
            }
            _ => false,
        })
    }),
    ("lifecycle state", |e| looks(e, Of::Instances, 30, &[&[("i-1", Some("Booting"))]])),
    ("lifecycle order", |e| looks(e, Of::Instances, 30, &[&[("i-1", Some("Terminating"))], &[("i-1", Some("InService"))]])),
    ("lifecycle order", |e| looks(e, Of::Instances, 30, &[&[("i-1", Some("Terminated"))], &[("i-1", Some("Terminating"))]])),
    ("ended", |e| looks(e, Of::Instances, 30, &[&[("i-1", Some("Terminating"))], &[("i-1", None)], &[("i-1", Some("Terminating"))]])),
    ("unhealthy", |e| {
        looks(e, Of::Instances, 60, &[&[("i-1", Some("Pending"))], &[("i-1", Some("InService Unhealthy"))], &[("i-1", Some("InService"))]])
    }),
    // There was none, and there is one at once.
    ("boot", |e| looks(e, Of::Instances, 30, &[&[("i-1", Some("InService"))]])),
    // Seen to come, too early and too late.
    ("boot", |e| looks(e, Of::Instances, 10, &[&[], &[("i-1", Some("Pending"))], &[("i-1", Some("InService"))]])),
    ("boot", |e| looks(e, Of::Instances, 200, &[&[("i-1", Some("Pending"))], &[], &[("i-1", Some("InService"))]])),
    // Not come yet.
    ("boot", |e| looks(e, Of::Instances, 200, &[&[("i-1", Some("Pending"))], &[]])),
    ("termination", |e| looks(e, Of::Instances, 200, &[&[("i-1", Some("Terminating"))], &[]])),
    ("termination", |e| looks(e, Of::Instances, 200, &[&[("i-1", Some("Terminated"))], &[]])),
    ("same instance", |e| {
        let of = |zone: &str| {
            let instance = serde_json::json!({
                "id": "i-1", "lifecycle": "InService", "healthy": true, "zone": zone, "instance_type": "t3", "protected": false
            });
            serde_json::json!({ "asg": "elsewhere", "members": [instance], "targets": [] })
        };
        answer(e, "instances", "elsewhere", &of("us-east-1a"));
        let place = e.iter().rposition(|event| matches!(event.what, What::Read { .. })).expect("it reads more than once");
        answer(&mut e[place..], "instances", "elsewhere", &of("us-east-1b"))
    }),
    ("target state", |e| looks(e, Of::Targets, 30, &[&[("i-1", Some("healthy Target.NotInUse"))]])),
    ("target state", |e| looks(e, Of::Targets, 30, &[&[("i-1", Some("unused"))]])),
    ("health checks", |e| {
        let unhealthy = Some("unhealthy Target.Timeout");
        looks(e, Of::Targets, 4, &[&[("i-1", Some("healthy"))], &[("i-1", unhealthy)], &[("i-1", Some("healthy"))]])
    }),
    ("health checks", |e| looks(e, Of::Targets, 3, &[&[], &[("i-1", Some(CHECKED))], &[("i-1", Some("unhealthy Target.Timeout"))]])),
    ("registration", |e| looks(e, Of::Targets, 400, &[&[("i-1", Some(CHECKED))], &[]])),
    ("draining", |e| looks(e, Of::Targets, 400, &[&[("i-1", Some(DRAINS))], &[]])),
    ("stale group", |e| read_back(e, |a| matches!(a, Action::Capacity { .. }), |seen| seen.unseen_seconds = Some(20.0))),
    ("stale rule", |e| read_back(e, |a| matches!(a, Action::Forward { .. }), |seen| seen.unseen_seconds = Some(20.0))),
    ("stale parameter", |e| read_back(e, |a| matches!(a, Action::Parameter { .. }), |seen| seen.unseen_seconds = Some(2.0))),
    ("stale object", |e| read_back(e, |a| matches!(a, Action::Object { .. }), |seen| seen.unseen_seconds = Some(0.5))),
    ("parameter version", |e| read_back(e, |a| matches!(a, Action::Parameter { .. }), |seen| seen.versions = Some((3, 3)))),
    ("parameter version", |e| read_back(e, |a| matches!(a, Action::Parameter { .. }), |seen| seen.versions = Some((3, 1)))),
    ("weights", |e| action(e, |action| heavy(action, BTreeMap::from([("arn".to_owned(), 1000)])))),
    ("weights", |e| action(e, |action| heavy(action, (0..6).map(|n| (format!("arn{n}"), 1)).collect()))),
    ("check settings", |e| {
        changed(e, |what| match what {
            What::Found { topology } => {
                topology.target_groups.values_mut().for_each(|group| group.check_interval_seconds = 3);
                true
            }
            _ => false,
        })
    }),
    ("error code", |e| refused(e, "GetParameter", "ParameterAlreadyExists")),
];

#[test]
fn every_rule_finds_what_breaks_it_at_the_event_that_does() {
    let outcome = lab("beta", "playbooks/deploy.rhai").param("version", "latest").run();
    let (whole, world) = (kept(&outcome), believed());
    assert_eq!(first(&examine(&whole, &world)), None);
    let mut wrong = Vec::new();
    for (index, (rule, mutate)) in MUTANTS.iter().enumerate() {
        let mut events = whole.clone();
        let event = mutate(&mut events);
        let found = examine(&events, &world);
        if first(&found) != Some((event, rule)) {
            wrong.push(format!("{index}: {rule} at {event}, not {:#?}", found.impossible.first()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let mut events = whole.clone();
    let ringing = serde_json::json!({ "beta-5xx": { "state": "RINGING", "reason": "" } });
    let event = answer(&mut events, "alarms", "beta-5xx", &ringing);
    assert_eq!(first(&examine(&events, &world)), Some((event, "alarm state")));
    // A target that is written, and seen late: only some playbooks do that.
    let action = |a: &Action| matches!(a, Action::Parameter { .. });
    let started = events.iter_mut().find_map(|event| match &mut event.what {
        What::Started { action: found, .. } if action(found) => Some(found),
        _ => None,
    });
    let (asg, target_group, instances) = ("beta-blue".to_owned(), "arn".to_owned(), Default::default());
    *started.expect("it writes a parameter") = Action::Targets { asg, target_group, instances, registered: true };
    let event = read_back(
        &mut events,
        |a| matches!(a, Action::Targets { .. }),
        |seen| {
            *seen = ReadBack { unseen_seconds: Some(20.0), ..ReadBack::default() };
        },
    );
    let found = examine(&events, &world);
    assert!(found.impossible.iter().any(|f| (f.event, f.rule.name) == (event, "stale health")), "{found:#?}");
    let broken: Vec<&str> = MUTANTS.iter().map(|(rule, _)| *rule).chain(["alarm state", "stale health"]).collect();
    let untried: Vec<&str> = RULES.iter().map(|rule| rule.name).filter(|name| !broken.contains(name)).collect();
    assert!(untried.is_empty(), "{untried:?}");
}

/// Clocks of different machines may disagree.
#[test]
fn a_run_that_went_on_where_the_clock_is_behind_is_possible() {
    let outcome = lab("beta", "playbooks/deploy.rhai").param("version", "latest").run();
    let whole = kept(&outcome);
    for index in 1..whole.len() {
        let mut events = whole.clone();
        let text = str::to_owned;
        let (command, host, identity, user, process) = (text("resume"), text("b"), text("deployer"), text("ann"), text("n2"));
        let what = What::Resumed { command, host, identity, on_failure: None, sources: None, user, actor: None, process };
        events.insert(index, Event { seq: 0, at: events[index].at, what });
        for event in &mut events[index..] {
            event.at = later(event.at, -600);
            let What::Waited { seen, .. } = &mut event.what else { continue };
            for sighting in seen {
                (sighting.from, sighting.until) = (later(sighting.from, -600), later(sighting.until, -600));
                sighting.before = sighting.before.map(|before| later(before, -600));
            }
        }
        let found = examine(&events, &believed());
        assert!(found.impossible.is_empty(), "resumed at {index}: {:#?}", found.impossible[0]);
    }
}

#[test]
fn nothing_is_conformant_by_silence() {
    let outcome = lab("beta", "playbooks/deploy.rhai").param("version", "latest").run();
    let found = examine(&kept(&outcome)[..1], &believed());
    assert!(found.impossible.is_empty() && found.judged == 0 && !found.is_ok());
}

/// A short run of the real binary against a server; its id.
fn served(project: &Project, url: &str) -> String {
    project.write("sizes.rhai", "//! Changes sizes.\nlet c = colors();\nasg(c.live);\nscale(c.idle, #{ max: 6 });\n");
    project.bgx(&["run", "sizes.rhai", "--env", "beta", "--target", url]).good(LIMIT);
    let listed = project.bgx(&["runs"]).good(LIMIT);
    listed.split_whitespace().next().expect("a run is remembered").to_owned()
}

#[test]
fn a_run_against_a_sandbox_that_is_served_is_possible() {
    let (server, client) = (Project::new(), Project::new());
    let mut serving = server.bgx(&["sandbox", "serve", "--port", "0"]);
    let url = serving.line("SANDBOX on ", LIMIT).split_whitespace().nth(2).expect("the line holds the address").to_owned();
    let run = served(&client, &url);
    let said = client.bgx(&["doctor", "--conformance", &run[..4]]).good(LIMIT);
    for part in
        [&format!("run {run} · sizes.rhai on beta · {url}: done"), "replies judged by", "not judged: read colors 1", "ok the sandbox could"]
    {
        assert!(said.contains(part), "`{part}` is not in:\n{said}");
    }
    let json = client.bgx(&["doctor", "--conformance", &run, "--json"]).good(LIMIT);
    let document: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!((&document["ok"], document["conformance"]["impossible"].as_array().map(Vec::len)), (&true.into(), Some(0)));
    assert!(document["conformance"]["judged"].as_u64() > Some(2), "{document}");
    serving.signal("TERM");
    serving.good(LIMIT);
}

/// A project with one journal: a deploy's, changed so.
fn with_journal(change: impl FnOnce(Vec<Event>) -> Vec<Event>) -> crate::program::Project {
    let outcome = lab("beta", "playbooks/deploy.rhai").param("version", "latest").run();
    let mut journal = Journal::in_memory();
    change(kept(&outcome)).iter().for_each(|event| journal.append(event).expect("memory has room"));
    project().file(".bgx/sandbox/runs/lab7.jsonl", journal.bytes())
}

#[test]
fn the_first_impossible_reply_is_told_with_what_was_believed_and_what_to_do() {
    let slow = |mut events: Vec<Event>| {
        let boots: &[&[(&str, Option<&str>)]] = &[&[("i-1", Some("Pending"))], &[], &[("i-1", Some("InService"))]];
        looks(&mut events, Of::Instances, 270, boots);
        group(&mut events, |group| group.desired = 99);
        events
    };
    let project = with_journal(slow);
    let said = project.bgx(&["doctor", "--conformance", "lab7"]);
    assert!(said.contains("by the rule `sizes`") && said.contains("more; --all shows them"), "{said}");
    let all = project.bgx(&["doctor", "--conformance", "lab7", "--all"]);
    for part in ["by the rule `boot`", "268.0 s", "the sandbox says 45.0 s to 90.0 s", "set `boot` under [env.beta.sandbox]"] {
        assert!(all.contains(part), "`{part}` is not in:\n{all}");
    }
    assert_eq!((exit_code(&said), exit_code(&all)), (Some(3), Some(3)));
    // As it is measured, it is believed.
    let toml = project.read("bgx.toml").expect("it has one");
    project.write("bgx.toml", toml.replace("[env.beta.sandbox]\n", "[env.beta.sandbox]\nboot = \"45s..10m\"\n"));
    let believed = project.bgx(&["doctor", "--conformance", "lab7", "--all"]);
    assert!(!believed.contains("268.0 s") && believed.contains("`sizes`"), "{believed}");
}

#[test]
fn the_timing_of_the_sandbox_can_be_set_and_judged_by() {
    let late = |mut events: Vec<Event>| {
        read_back(&mut events, |a| matches!(a, Action::Capacity { .. }), |seen| seen.unseen_seconds = Some(20.0));
        events
    };
    let project = with_journal(late);
    let said = project.bgx(&["doctor", "--conformance", "lab7"]);
    assert!(said.contains("more than 20.0 s; the sandbox says at most 2.0 s") && said.contains("[sandbox.timing]"), "{said}");
    let toml = project.read("bgx.toml").expect("it has one");
    project.write("bgx.toml", format!("{toml}\n[sandbox.timing]\ngroup_staleness = \"0s..30s\"\n"));
    assert_eq!(exit_code(&project.bgx(&["doctor", "--conformance", "lab7"])), Some(0));
    for (odd, says) in [("group_stale = \"1s\"", "unknown field `group_stale`"), ("registration = \"9s..1s\"", "ends before it begins")] {
        project.write("bgx.toml", format!("{toml}\n[sandbox.timing]\n{odd}\n"));
        let said = project.bgx(&["doctor", "--conformance", "lab7"]);
        assert!(said.contains(says) && exit_code(&said) == Some(2), "{said}");
    }
}

#[test]
fn a_journal_that_is_torn_open_changed_or_newer_and_a_run_that_is_not_known() {
    let open = with_journal(|events| events.into_iter().take_while(|event| !matches!(event.what, What::Committed { .. })).collect());
    let told =
        |said: &str, part: &str, code: i32| assert!(said.contains(part) && exit_code(said) == Some(code), "`{part}`, {code}:\n{said}");
    told(&open.bgx(&["doctor", "--conformance", "lab"]), "the run is not over: only what there is so far is judged", 0);
    let path = ".bgx/sandbox/runs/lab7.jsonl";
    let bytes = open.read(path).expect("the journal is there");
    open.write(path, &bytes[..bytes.len() - 30]);
    told(&open.bgx(&["doctor", "--conformance", "lab7"]), "its last record is torn", 0);
    open.write(path, bytes.replacen("\"event\":\"read\"", "\"event\":\"reed\"", 1));
    told(&open.bgx(&["doctor", "--conformance", "lab7"]), "only what is before that is judged", 3);
    open.write(path, &bytes);
    told(&open.bgx(&["doctor", "--conformance", "nobody"]), "there is no run `nobody`", 2);
    told(&open.bgx(&["doctor", "--conformance", "lab7", "--env", "beta"]), "cannot be used with", 2);
    told(&open.bgx(&["doctor", "--all"]), "--conformance", 2);
    told(&open.bgx(&["doctor", "--conformance", "lab7", "--world", "none.json"]), "there is no `none.json`", 2);
    let mut other = Journal::in_memory();
    let events = bgx::run::journal::open(bytes.as_bytes()).events;
    for mut event in events {
        if let What::Began(began) = &mut event.what {
            began.run = "lab8".to_owned();
        }
        other.append(&event).expect("memory has room");
    }
    open.write(".bgx/sandbox/runs/lab8.jsonl", other.bytes());
    told(&open.bgx(&["doctor", "--conformance", "lab"]), "is the beginning of more than one run", 2);
    let mut newer = Journal::in_memory();
    let mut first = bgx::run::journal::open(bytes.as_bytes()).events.swap_remove(0);
    if let What::Began(began) = &mut first.what {
        (began.run, began.format) = ("later".to_owned(), 99);
    }
    newer.append(&first).expect("memory has room");
    open.write(".bgx/sandbox/runs/later.jsonl", newer.bytes());
    told(&open.bgx(&["doctor", "--conformance", "later"]), "has format 99", 2);
}

/// moto knows no time: whatever is launched is in service at once.
#[test]
fn a_run_on_a_moto_server_boots_faster_than_anything_can() {
    let project = Project::without_version_probe();
    let moto = Moto::start();
    Program::start(python("moto_world.py", &["seed", &moto.url])).good(LIMIT);
    project.write("boot.rhai", "//! Boots one.\nlet c = colors();\nscale(c.idle, #{ desired: 1 });\nwait_in_service(c.idle);\n");
    project.bgx(&["run", "boot.rhai", "--env", "beta", "--target", &moto.url]).good(LIMIT);
    let listed = project.bgx(&["runs"]).good(LIMIT);
    let run = listed.split_whitespace().next().expect("a run is remembered");
    let said = project.bgx(&["doctor", "--conformance", run]).end(LIMIT);
    assert_eq!(said.code, Some(3), "{}", said.text);
    for part in [
        "by the rule `boot`",
        "DescribeAutoScalingGroups beta-green",
        "not there",
        "InService",
        "or less; the sandbox says 45.0 s to 90.0 s",
    ] {
        assert!(said.text.contains(part), "`{part}` is not in:\n{}", said.text);
    }
}
