//! The transcription as a whole: how many runs end badly, beside what was measured with the tool itself; and that nothing leads to it.

use super::{GIVEN_UP, Told, beyond, deploy, told};
use crate::stage::{Act, Trouble};
use crate::support::root;
use bgx::account::Memo;
use bgx::prove::{Extent, Mode, Rights, Start, Subject, prove};
use bgx::sandbox::audit::{Findings, Invariant};
use bgx::sandbox::fault::{Make, Rule};
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// The kinds of bad end that were counted when the tool itself was measured: capacity, record, sizes, next boot.
const COUNTED: [Invariant; 6] = [
    Invariant::HealthyTarget,
    Invariant::Capacity,
    Invariant::Agreement,
    Invariant::Restored,
    Invariant::LiveGroup,
    Invariant::BootVersion,
];

/// The whole of what is otherwise sampled.
fn whole() -> bool {
    std::env::var_os("BGX_WHOLE").is_some()
}

/// Six instances in beta, as in that measurement.
fn six() -> Act {
    let mut act = deploy("beta");
    for env in act.config.envs.values_mut().filter(|env| env.name == "beta") {
        env.sandbox.size = 6;
    }
    act
}

/// Runs, bad ones, and how often each invariant was named.
type Row = (usize, usize, BTreeMap<&'static str, usize>);

fn count(row: &mut Row, found: &Findings) {
    let codes: BTreeSet<&str> = found.breaches.iter().filter(|b| COUNTED.contains(&b.invariant)).map(|b| b.invariant.code()).collect();
    row.0 += 1;
    row.1 += usize::from(!codes.is_empty());
    for code in codes {
        *row.2.entry(code).or_default() += 1;
    }
}

/// One fault a run, at every call to AWS: refused for good, its reply lost for good, a signal, a death.
fn measure() -> BTreeMap<&'static str, Row> {
    let base = six().play(&six().world(), Trouble { snapshots: true, ..Trouble::default() });
    let plain = told(six(), Trouble::default()).all_findings();
    let mut rows: BTreeMap<&'static str, Row> = BTreeMap::new();
    let mut calls: Vec<usize> = (0..base.trace.len()).filter(|call| base.trace[*call].service != "instance").collect();
    // Polls of one wait are one call: there, waits were stubbed.
    calls.dedup_by_key(|call| {
        let traced = &base.trace[*call];
        (traced.service.clone(), traced.operation.clone(), if traced.mutates { *call } else { 0 })
    });
    println!("{} calls to AWS, polls of one wait counted once", calls.len());
    for call in calls.into_iter().step_by(if whole() { 1 } else { 3 }) {
        let traced = &base.trace[call];
        let spoiled = |make: Make| {
            let rule = make(&traced.service, &traced.operation).after(base.nth(call)).times(GIVEN_UP);
            Trouble { rules: vec![rule], ..Trouble::default() }
        };
        let mut runs = vec![("refused", told(six(), spoiled(Rule::throttle)))];
        if traced.mutates {
            runs.push(("reply lost", told(six(), spoiled(Rule::lost_reply))));
        }
        runs.push(("SIGTERM", told(six(), Trouble { signal: Some((call, "SIGTERM")), ..Trouble::default() })));
        let (world, events) = base.at_call(call);
        let dead = Told { act: six(), before: base.before.clone(), world, events, ended: Vec::new() };
        runs.push(("SIGKILL", dead));
        for (name, told) in runs {
            count(rows.entry(name).or_default(), &beyond(told.all_findings(), &plain));
        }
    }
    rows
}

#[test]
fn one_fault_at_each_call_ends_badly_about_as_often_as_with_the_tool_itself() {
    let measured = BTreeMap::from([("refused", (28, 5)), ("reply lost", (10, 7)), ("SIGTERM", (28, 15)), ("SIGKILL", (28, 11))]);
    let rows = measure();
    let (mut runs, mut bad) = (0, 0);
    for (fault, (of, found, codes)) in &rows {
        let (tool_of, tool_bad) = measured[fault];
        println!("{fault:<10} {found:>3} bad of {of:>3}; the tool itself {tool_bad:>2} of {tool_of}; {codes:?}");
        assert!(*found > 0, "{fault}: nothing is found");
        (runs, bad) = (runs + of, bad + found);
    }
    println!("together   {bad:>3} bad of {runs:>3}; the tool itself 38 of 94");
    // 40 % of the runs of the tool itself.
    assert!((25..=65).contains(&(100 * bad / runs)), "{bad} of {runs}");
}

#[test]
fn prove_finds_every_kind_of_harm_in_the_transcription() {
    let Act { config, env, playbook, params, answers, seed } = deploy("beta");
    let subject = Subject {
        config,
        env,
        also: Vec::new(),
        playbook,
        path: "transcribed/deploy".to_owned(),
        params,
        answers,
        seed,
        start: Start::Fresh,
        rights: Rights::default(),
        given: None,
        memo: Some(Memo::default()),
    };
    let report = prove(
        &subject,
        &Extent { mode: Mode::Single, fault: None, every: if whole() { 1 } else { 61 }, limit: None, most: None, threads: 2 },
        &|_| true,
    );
    let report = report.expect("without a fault the tool comes to its end");
    let codes: BTreeSet<&str> = report.stories.iter().flat_map(|story| &story.codes).map(String::as_str).collect();
    println!("{} bad of {} runs in {} cells: {codes:?}", report.bad, report.runs, report.cells);
    for code in ["I10", "I1a", "I1b", "I2", "I3"] {
        assert!(codes.contains(code), "{code} is not among {codes:?}");
    }
}

#[test]
fn no_command_plays_a_playbook_without_the_gate() {
    let bgx = |args: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_bgx")).args(args).current_dir(root()).output().expect("the program runs");
        (output.status.code(), [output.stderr, output.stdout].map(|text| String::from_utf8_lossy(&text).into_owned()).concat())
    };
    for command in [&["run"][..], &["prove"]] {
        let playbook = ["tests/fixtures/transcribed/deploy.rhai"];
        let (code, text) = bgx(&[command, &playbook[..], &["--env", "beta"]].concat());
        assert_eq!(code, Some(2), "{command:?}: {text}");
        assert!(text.contains("color_named"), "{command:?} knows the bare calls: {text}");
    }
    let rooms = ["src/cli", "src/host", "src/script/header.rs", "src/config", "src/config.rs", "src/main.rs", "bgx.toml"];
    for room in rooms {
        for (path, text) in texts(&root().join(room)) {
            assert!(!text.contains("ungated"), "{path} can turn the gate off");
        }
    }
}

/// A file's text, or those of all files below a folder.
fn texts(path: &std::path::Path) -> Vec<(String, String)> {
    if path.is_file() {
        return vec![(path.display().to_string(), std::fs::read_to_string(path).expect("a source is text"))];
    }
    let entries = std::fs::read_dir(path).expect("the room is there");
    entries.flat_map(|entry| texts(&entry.expect("a folder can be listed").path())).collect()
}
