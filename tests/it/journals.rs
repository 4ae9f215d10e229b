//! The journal in the bucket, on a full disk, damaged, and of earlier formats: what a run, and another machine, make of it.

use crate::process::{Program, Project};
use crate::support::{Crash, Go, Lab, Outcome, bucket_journal, lab, owned, root};
use bgx::run::event::{Event, FORMAT, Outcome as Ending, What};
use bgx::run::journal::{Disk, Journal, open};
use bgx::run::replay::{Recorded, Replay, Standing, committed, standing};
use bgx::sandbox::fault::Rule;
use bgx::sandbox::world::{Happening, World};
use proptest::prelude::*;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(90);
const FORMATS: [(&str, &[u8]); 7] = [
    ("v1", include_bytes!("../fixtures/journal/v1/paused.jsonl")),
    ("v2", include_bytes!("../fixtures/journal/v2/paused.jsonl")),
    ("v3", include_bytes!("../fixtures/journal/v3/paused.jsonl")),
    ("v4", include_bytes!("../fixtures/journal/v4/paused.jsonl")),
    ("v5", include_bytes!("../fixtures/journal/v5/paused.jsonl")),
    ("v6", include_bytes!("../fixtures/journal/v6/paused.jsonl")),
    ("v7", include_bytes!("../fixtures/journal/v7/paused.jsonl")),
];
/// A few actions, a lease, and no waiting.
const SHORT: &str = "//! Changes sizes.\nlet c = colors();\nprotect_asg(c.live);\nscale(c.idle, #{ max: 5 });\nscale(c.idle, #{ max: 6 });\n\
                     say(\"half\");\nscale(c.idle, #{ max: 7 });\n";

fn deploy() -> Lab {
    lab("beta", "playbooks/deploy.rhai").param("version", "latest").param("bake", "1m")
}

fn short(folder: &Path) -> Lab {
    lab("beta", "playbooks/deploy.rhai").text(folder, SHORT)
}

/// What another machine finds in the bucket of this world.
fn left(world: &World) -> Crash {
    Crash { journal: bucket_journal(world, "beta", "lab7"), world: world.clone() }
}

fn events(bytes: &[u8]) -> Vec<Event> {
    let opened = open(bytes);
    assert_eq!((opened.torn, opened.fault), (0, None), "what is in the bucket is whole");
    opened.events
}

fn begun(events: &[Event]) -> usize {
    events.iter().filter(|event| matches!(event.what, What::Started { .. } | What::UndoStarted { .. })).count()
}

/// Calls by which runs changed groups.
fn resizes(world: &World) -> usize {
    let calls =
        world.log.iter().filter(|entry| matches!(&entry.what, Happening::Call { operation, .. } if operation == "UpdateAutoScalingGroup"));
    calls.count()
}

#[test]
fn a_run_that_died_at_any_event_is_resumed_and_undone_from_the_bucket_alone() {
    let whole = deploy().in_s3().snapshots().run();
    assert_eq!(whole.ended.outcome, Ending::Done, "{:?}", whole.ended);
    let mut tried = (0, 0);
    for (index, world) in whole.worlds.iter().enumerate() {
        let crash = left(world);
        let known = events(&crash.journal);
        if known.is_empty() || matches!(standing(&known), Standing::Ended(_)) {
            continue;
        }
        if index % 2 == 0 {
            let resumed = deploy().in_s3().recover(&crash, Go::Run);
            assert_eq!(resumed.ended.outcome, Ending::Done, "resumed at event {index}: {:?}", resumed.ended);
            assert_eq!(owned(&resumed.after, "beta"), owned(&whole.after, "beta"), "resumed at event {index}");
            assert_eq!(bucket_journal(&resumed.after, "beta", "lab7"), resumed.journal, "the bucket has all of it");
            tried.0 += 1;
        } else if !committed(&known) {
            let undone = deploy().in_s3().recover(&crash, Go::Undo);
            assert_eq!(undone.ended.outcome, Ending::Undone, "undone at event {index}: {:?}", undone.ended);
            assert_eq!(owned(&undone.after, "beta"), owned(&whole.before, "beta"), "undone at event {index}");
            tried.1 += 1;
        }
    }
    assert!(tried.0 > 15 && tried.1 > 10, "{tried:?}");
}

#[test]
fn the_bucket_holds_the_journal_byte_for_byte_in_about_two_objects_for_each_action() {
    let whole = deploy().in_s3().run();
    assert_eq!(bucket_journal(&whole.after, "beta", "lab7"), whole.journal);
    let objects = whole.after.buckets["compiler-explorer"].keys().filter(|key| key.starts_with("bgx/runs/beta/lab7/")).count();
    let actions = begun(&whole.events);
    println!("{objects} objects for {actions} actions and {} events", whole.events.iter().filter(|e| e.what.is_kept()).count());
    assert!(objects <= 2 * actions + 8, "{objects} objects for {actions} actions");
}

#[test]
fn a_record_whose_reply_is_lost_or_that_must_be_sent_again_is_there_once() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let whole = short(folder.path()).in_s3().run();
    assert_eq!(whole.ended.outcome, Ending::Done, "{:?}", whole.ended);
    for number in 0..12 {
        for (name, rule) in [
            ("lost reply", Rule::lost_reply("s3", "PutObject")),
            ("lost request", Rule::lost_request("s3", "PutObject")),
            ("throttled", Rule::throttle("s3", "PutObject")),
            ("server error", Rule::server_error("s3", "PutObject")),
            ("garbage", Rule::garbage("s3", "PutObject")),
        ] {
            let outcome = short(folder.path()).in_s3().fault(rule.after(number)).run();
            assert_eq!(outcome.ended.outcome, Ending::Done, "{name} at {number}: {:?}", outcome.ended);
            assert_eq!(bucket_journal(&outcome.after, "beta", "lab7"), outcome.journal, "{name} at {number}");
        }
    }
}

#[test]
fn no_record_in_the_bucket_no_action() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let mut stopped = 0;
    // The first two are the lock's and the first event's.
    for number in 2..14 {
        let rule = Rule::denied("s3", "PutObject").after(number).always();
        let outcome = short(folder.path()).in_s3().fault(rule).run();
        let recorded = events(&bucket_journal(&outcome.after, "beta", "lab7"));
        assert!(resizes(&outcome.after) <= begun(&recorded), "denied from {number} on: {} calls", resizes(&outcome.after));
        if outcome.ended.outcome == Ending::Done {
            continue;
        }
        assert_eq!(outcome.ended.outcome, Ending::Paused, "denied from {number} on: {:?}", outcome.ended);
        stopped += 1;
        let (go, end) = if committed(&recorded) { (Go::Run, Ending::Done) } else { (Go::Undo, Ending::Undone) };
        let recovered = short(folder.path()).in_s3().recover(&left(&outcome.after), go);
        assert_eq!(recovered.ended.outcome, end, "denied from {number} on: {:?}", recovered.ended);
        let as_before = owned(&recovered.after, "beta") == owned(&outcome.before, "beta");
        assert_eq!(as_before, go == Go::Undo, "denied from {number} on");
    }
    assert!(stopped >= 5, "{stopped}");
}

#[test]
fn a_disk_that_is_full_or_broken_stops_the_run_before_the_call_and_the_run_goes_on_when_there_is_room() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let whole = short(folder.path()).run();
    let first = whole.journal.iter().position(|byte| *byte == b'\n').expect("there are lines") + 1;
    let full = (first..whole.journal.len()).step_by(97).map(|room| Disk { room, ..Disk::ENDLESS });
    let broken = (1..20).map(|syncs| Disk { syncs, ..Disk::ENDLESS });
    let mut stopped = 0;
    for disk in full.chain(broken) {
        let outcome = short(folder.path()).disk(disk).run();
        let opened = open(&outcome.journal);
        assert_eq!(opened.fault, None, "{disk:?}");
        assert!(resizes(&outcome.after) <= begun(&opened.events), "{disk:?}: a call without a record");
        if outcome.ended.outcome == Ending::Done {
            continue; // only the last event did not fit
        }
        assert_eq!(outcome.ended.outcome, Ending::Paused, "{disk:?}: {:?}", outcome.ended);
        let crash = Crash { journal: outcome.journal, world: outcome.after };
        let resumed = short(folder.path()).recover(&crash, Go::Run);
        assert_eq!(resumed.ended.outcome, Ending::Done, "{disk:?}: {:?}", resumed.ended);
        assert_eq!(owned(&resumed.after, "beta"), owned(&whole.after, "beta"), "{disk:?}");
        stopped += 1;
    }
    assert!(stopped > 25, "{stopped}");
}

#[test]
fn every_prefix_of_a_deploys_journal_and_every_tenth_changed_byte_opens_to_a_beginning_of_it() {
    let whole = deploy().run();
    let all = events(&whole.journal);
    for cut in (0..=whole.journal.len()).step_by(211) {
        let opened = open(&whole.journal[..cut]);
        assert_eq!(opened.fault, None, "cut at {cut}");
        assert_eq!(opened.events, all[..opened.events.len()], "cut at {cut}");
    }
    let mut changed = whole.journal.clone();
    for place in (0..changed.len()).step_by(199) {
        changed[place] ^= 1;
        let opened = open(&changed);
        let line = whole.journal[..place].iter().filter(|byte| **byte == b'\n').count();
        assert_eq!(opened.events, all[..line], "byte {place}");
        changed[place] ^= 1;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_damaged_journal_opens_to_a_beginning_of_itself(
        which in 0_usize..3,
        edits in prop::collection::vec((0_u8..5, any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let whole = FORMATS[which].1;
        let mut bytes = whole.to_vec();
        for (kind, from, to, byte) in edits {
            if bytes.is_empty() {
                break;
            }
            let (a, b) = (from.index(bytes.len()), to.index(bytes.len()));
            let (a, b) = (a.min(b), a.max(b));
            match kind {
                0 => bytes[a] = byte,
                1 => drop(bytes.drain(a..b)),
                2 => bytes.insert(a, byte),
                3 => bytes.truncate(b),
                _ => {
                    let copy = bytes[a..b].to_vec();
                    bytes.splice(a..a, copy);
                }
            }
        }
        let (opened, all) = (open(&bytes), open(whole).events);
        prop_assert!(opened.events.len() <= all.len());
        prop_assert_eq!(&opened.events[..], &all[..opened.events.len()]);
        prop_assert!(opened.torn <= bytes.len());
    }
}

#[test]
fn journals_of_every_format_are_shown_resumed_and_undone() {
    for (format, bytes) in FORMATS {
        for (command, word) in [("resume", "done"), ("undo", "undone")] {
            let project = Project::new();
            let runs = project.path().join(".bgx/sandbox/runs");
            std::fs::create_dir_all(&runs).expect("a temporary folder can be written");
            std::fs::write(runs.join("yk88pu.jsonl"), bytes).expect("a temporary folder can be written");
            let shown = project.bgx(&["show", "yk88pu"]).good(LIMIT);
            for part in ["run yk88pu · warm.rhai on beta", "the idle colour is green", "beta-green: desired 1", "beta-blue: min 2 (lease)"]
            {
                assert!(shown.contains(part), "{format}: `{part}` is not in:\n{shown}");
            }
            let said = project.bgx(&[command, "yk88pu"]).end(LIMIT);
            assert_eq!(said.code, Some(0), "{format} {command}: {}", said.text);
            let listed = project.bgx(&["runs"]).good(LIMIT);
            assert!(listed.trim_end().ends_with(word), "{format} {command}: {listed}");
        }
    }
}

#[test]
fn what_was_typed_at_a_prompt_of_format_6_is_shown_resumed_and_undone() {
    for (command, word) in [("resume", "done"), ("undo", "undone")] {
        let project = Project::new();
        let runs = project.path().join(".bgx/sandbox/runs");
        std::fs::create_dir_all(&runs).expect("a temporary folder can be written");
        std::fs::write(runs.join("yk88pu.jsonl"), include_bytes!("../fixtures/journal/v6/prompt.jsonl")).expect("it can be written");
        let shown = project.bgx(&["show", "yk88pu"]).good(LIMIT);
        for part in ["run yk88pu · repl on beta", "> scale(c.idle, #{ max: 6 + more })", "> :undo", "line 7 failed: repl:8:12: x"] {
            assert!(shown.contains(part), "`{part}` is not in:\n{shown}");
        }
        project.bgx(&[command, "yk88pu"]).good(LIMIT);
        let listed = project.bgx(&["runs"]).good(LIMIT);
        assert!(listed.trim_end().ends_with(word), "{command}: {listed}");
    }
}

#[test]
fn each_action_names_its_calls_and_the_run_says_who_began_it() {
    let whole = deploy().run();
    let mut seen = 0;
    for event in &whole.events {
        if let What::Finished { step, calls, .. } = &event.what {
            assert!(!calls.is_empty() && calls.iter().all(|call| call.class.writes()), "step {step}: {calls:?}");
            assert!(calls.iter().all(|call| call.request_id.as_ref().is_some_and(|id| !id.is_empty())), "step {step}: {calls:?}");
            assert!(calls.iter().all(|call| !call.resource.contains("bgx/locks/")), "step {step}: {calls:?}");
            seen += 1;
        }
    }
    assert!(seen > 8, "{seen}");
    let What::Began(began) = &whole.events[0].what else { panic!("a run begins") };
    assert_eq!((began.user.as_str(), began.process.len(), &began.journal), ("tester", 16, &None));
}

/// The text that a reader of 500 records would wait for.
#[test]
fn a_journal_of_500_records_is_replayed_within_a_blink() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let text = "//! Many actions.\nlet c = colors();\nfor i in 0..165 { scale(c.idle, #{ max: 5 + i % 2 }); say(`${i}`); }\nsleep(\"1m\");\n\
                scale(c.idle, #{ max: 9 });\n";
    let many = || lab("beta", "playbooks/deploy.rhai").text(folder.path(), text);
    let whole = many().snapshots().run();
    assert_eq!(whole.ended.outcome, Ending::Done, "{:?}", whole.ended);
    let crash = killed_while_it_slept(&whole);
    let began = Instant::now();
    let (_, known) = Journal::reopen_bytes(&crash.journal);
    let opened = began.elapsed();
    assert!(known.len() >= 495, "{}", known.len());
    let replay = Replay::of(&known);
    for event in &known {
        if let What::Started { step, action, .. } = &event.what {
            assert_eq!(replay.action(*step, action), Some(Ok(Recorded::Done { changed: true })), "step {step}");
        }
    }
    let answered = began.elapsed();
    println!("{} records opened in {opened:?}, opened and all their actions answered in {answered:?}", known.len());
    assert!(answered < Duration::from_secs(1), "{answered:?}");
    let resumed = many().recover(&crash, Go::Run);
    assert_eq!(resumed.ended.outcome, Ending::Done, "{:?}", resumed.ended);
}

fn killed_while_it_slept(whole: &Outcome) -> Crash {
    let kept: Vec<&Event> = whole.events.iter().filter(|event| event.what.is_kept()).collect();
    let slept = kept.iter().position(|event| matches!(event.what, What::Waited { .. })).expect("it sleeps");
    whole.crash(slept - 1, true)
}

/// The real binary on a disk where its files cannot grow beyond so many blocks of 512 bytes.
fn with_little_room(project: &Project, blocks: u32, args: &str) -> Program {
    let mut command = Command::new("sh");
    let line = format!("trap '' XFSZ; ulimit -f {blocks}; exec {} {args}", env!("CARGO_BIN_EXE_bgx"));
    command.current_dir(project.path()).args(["-c", &line]);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("AWS_")) {
        command.env_remove(name);
    }
    Program::start(command)
}

#[test]
fn the_real_binary_stops_when_its_journal_cannot_grow_and_is_undone_later() {
    let (server, client) = (Project::new(), Project::new());
    let mut serving = server.bgx(&["sandbox", "serve", "--port", "0"]);
    let url = serving.line("SANDBOX on ", LIMIT).split_whitespace().nth(2).expect("the line holds the address").to_owned();
    let text = "//! Changes sizes.\nlet c = colors();\nfor i in 0..40 { scale(c.idle, #{ max: 5 + i }); }\n";
    client.write("many.rhai", text);
    let said = with_little_room(&client, 16, &format!("run many.rhai --env beta --target {url}")).end(LIMIT);
    assert_eq!(said.code, Some(4), "{}", said.text);
    assert!(said.text.contains("the journal could not be written"), "{}", said.text);
    let folder = client.path().join(".bgx/runs");
    let file = std::fs::read_dir(&folder).expect("it left its journal").next().expect("it left its journal").expect("it can be listed");
    let bytes = std::fs::read(file.path()).expect("it can be read");
    assert_eq!(open(&bytes).fault, None);
    assert!(bytes.len() <= 16 * 1024, "{}", bytes.len());
    let run = file.file_name().to_string_lossy().trim_end_matches(".jsonl").to_owned();
    let undone = client.bgx(&["undo", &run]).end(LIMIT);
    assert_eq!(undone.code, Some(0), "{}", undone.text);
    serving.signal("TERM");
    serving.good(LIMIT);
}

/// Events and their fields as the source declares them, in the words of the journal.
fn declared() -> Vec<(String, Vec<String>)> {
    let text = std::fs::read_to_string(root().join("src/run/event.rs")).expect("the source is there");
    let body = text.split_once("pub enum What {").and_then(|(_, rest)| rest.split_once("\n}")).expect("the events are declared").0;
    let mut events: Vec<(String, Vec<String>)> = Vec::new();
    for line in body.lines() {
        let word: String = line.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        match line.len() - line.trim_start().len() {
            4 if word.chars().next().is_some_and(char::is_uppercase) => events.push((snake(&word), Vec::new())),
            8 if line.contains(": ") && !word.is_empty() => events.last_mut().expect("a field has its event").1.push(word),
            _ => {}
        }
    }
    for (event, declaration) in [("began", "pub struct Began {"), ("ended", "pub struct Ended {")] {
        let body = text.split_once(declaration).and_then(|(_, rest)| rest.split_once("\n}")).expect("its fields are declared").0;
        let fields = body.lines().filter_map(|line| line.trim().strip_prefix("pub ")?.split_once(':')).map(|(name, _)| name.to_owned());
        events.iter_mut().find(|(name, _)| name == event).expect("it is an event").1.extend(fields);
    }
    events
}

fn snake(word: &str) -> String {
    let lower = |(index, c): (usize, char)| {
        let gap = if c.is_uppercase() && index > 0 { "_" } else { "" };
        format!("{gap}{}", c.to_lowercase())
    };
    word.chars().enumerate().map(lower).collect()
}

#[test]
fn the_page_on_the_journal_names_every_event_every_field_and_every_format() {
    let page = std::fs::read_to_string(root().join("docs/journal.md")).expect("the page is there");
    let rows: Vec<&str> =
        page.split("<!-- events -->").nth(1).expect("it has the table").lines().filter(|line| line.starts_with("| `")).collect();
    let declared = declared();
    assert!(declared.len() > 25, "{declared:?}");
    for (event, fields) in declared {
        let named = format!("`{event}`");
        let row = rows.iter().find(|row| row.split('|').nth(1).is_some_and(|cell| cell.contains(&named)));
        let row = row.unwrap_or_else(|| panic!("`{event}` has no row"));
        for field in fields {
            assert!(row.contains(&format!("`{field}`")), "the row of `{event}` does not name `{field}`");
        }
    }
    for format in 1..=FORMAT {
        assert!(page.contains(&format!("\n| {format} |")), "format {format} has no line");
        assert!(FORMATS.iter().any(|(name, _)| *name == format!("v{format}")), "format {format} has no fixture");
    }
    assert!(page.contains(&format!("format **{FORMAT}**")));
    let example = page.split("```json\n").nth(1).and_then(|rest| rest.lines().next()).expect("it has an example");
    let newest = String::from_utf8_lossy(FORMATS.last().expect("there are formats").1).into_owned();
    assert!(newest.lines().any(|line| line == example), "the example is a record of a real journal");
}
