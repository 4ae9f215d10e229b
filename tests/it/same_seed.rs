//! The same seed gives the same bytes: journal, world log, and what the real binary prints and keeps.
//!
//! `BGX_SEEDS=1000` tries that many; the suite tries a few.

use crate::process::Project;
use crate::support::lab;
use std::path::Path;
use std::process::Command;

fn seeds(few: u64) -> u64 {
    std::env::var("BGX_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(few)
}

/// The numbers up to `count` on two threads.
fn each(count: u64, check: impl Fn(u64) + Sync) {
    std::thread::scope(|scope| {
        let check = &check;
        let halves = [0, 1].map(|half| scope.spawn(move || (1..=count).filter(|seed| seed % 2 == half).for_each(check)));
        halves.into_iter().for_each(|handle| handle.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
    });
}

#[test]
fn the_same_seed_gives_the_same_journal_and_world_log() {
    let deploy = |seed| lab("beta", "playbooks/deploy.rhai").param("version", "latest").seed(seed).run();
    let count = seeds(8);
    each(count, |seed| {
        let (a, b) = (deploy(seed), deploy(seed));
        assert_eq!(String::from_utf8_lossy(&a.journal), String::from_utf8_lossy(&b.journal), "seed {seed}");
        assert_eq!(a.after.log, b.after.log, "seed {seed}");
    });
    println!("{count} seeds: the same journal and the same world log twice");
}

/// All that a deploy by the real binary leaves: both streams, and every file below `.bgx` by name.
///
/// In one folder, since the journal says which folder the stdlib came from.
fn left_by(project: &Project, seed: u64) -> Vec<(String, String)> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bgx"));
    command.current_dir(project.path()).args(["run", "deploy", "--env", "beta", "--version", "latest", "--seed", &seed.to_string()]);
    let output = command.output().expect("the binary starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut left = vec![("stdout".to_owned(), text(&output.stdout)), ("stderr".to_owned(), text(&output.stderr))];
    let folder = project.path().join(".bgx");
    files(&folder, &mut left);
    std::fs::remove_dir_all(&folder).expect("it can be removed");
    left
}

fn files(folder: &Path, into: &mut Vec<(String, String)>) {
    let mut entries: Vec<_> =
        std::fs::read_dir(folder).expect("the project has it").map(|entry| entry.expect("it can be read").path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            files(&path, into);
        } else {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            into.push((name, String::from_utf8_lossy(&std::fs::read(&path).expect("it can be read")).into_owned()));
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_output_and_the_same_files_of_the_real_binary() {
    let count = seeds(3);
    each(count, |seed| {
        let project = Project::new();
        let (a, b) = (left_by(&project, seed), left_by(&project, seed));
        assert_eq!(a.iter().map(|(name, _)| name).collect::<Vec<_>>(), b.iter().map(|(name, _)| name).collect::<Vec<_>>());
        for (a, b) in a.iter().zip(&b) {
            assert_eq!(a, b, "seed {seed}");
        }
    });
    println!("{count} seeds: the same output and the same files twice");
}

#[test]
fn another_seed_gives_another_run() {
    let deploy = |seed| lab("beta", "playbooks/deploy.rhai").param("version", "latest").seed(seed).run();
    assert_ne!(deploy(1).journal, deploy(2).journal);
}
