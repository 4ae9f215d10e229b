//! `bgx prove`: the shipped deploy stands a sample of all faults, and playbooks that are broken on purpose are caught.

use crate::support::{config, root};
use bgx::account::Memo;
use bgx::prove::{Extent, Mode, ProveError, Report, Rights, Start, Story, Subject, Token, prove, replay};
use bgx::script::session::Playbook;
use std::collections::BTreeMap;
use std::path::Path;

pub fn subject(path: &Path) -> Subject {
    let config = config();
    let env = config.env("beta").expect("beta is in bgx.toml").clone();
    let playbook = Playbook::load(path, &config, Some("team/compiler_explorer")).unwrap_or_else(|p| panic!("{}", p.render(false)));
    let params = BTreeMap::from([("version".to_owned(), "latest".to_owned()), ("bake".to_owned(), "1m".to_owned())]);
    let params = params.into_iter().filter(|(name, _)| playbook.params.iter().any(|spec| spec.name == *name)).collect();
    Subject {
        config,
        env,
        also: Vec::new(),
        playbook,
        path: path.display().to_string(),
        params,
        answers: BTreeMap::new(),
        seed: 7,
        start: Start::Fresh,
        rights: Rights::default(),
        given: None,
        memo: Some(Memo::default()),
    }
}

/// One of `every` points of a fault, or of all.
pub fn proved(subject: &Subject, fault: Option<&str>, every: usize) -> Result<Report, ProveError> {
    prove(subject, &Extent { fault: fault.map(str::to_owned), every, ..single() }, &|_| true)
}

fn single() -> Extent {
    Extent { mode: Mode::Single, fault: None, every: 1, limit: None, most: None, threads: 2 }
}

/// The shipped deploy with some lines changed.
fn mutant(folder: &tempfile::TempDir, changes: &[(&str, &str)]) -> Subject {
    let mut text = std::fs::read_to_string(root().join("playbooks/deploy.rhai")).expect("the playbook is there");
    for (line, instead) in changes {
        assert_eq!(text.matches(line).count(), 1, "`{line}` is in the playbook once");
        text = text.replace(line, instead);
    }
    let path = folder.path().join("broken.rhai");
    std::fs::write(&path, text).expect("a temporary folder can be written");
    subject(&path)
}

pub fn told(report: &Report) -> String {
    let story = |s: &Story| format!("{}, {}: {}\n{}\n{}", s.told.join("; "), s.how, s.ended, s.problems.join("\n"), s.token);
    report.stories.iter().map(story).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_sample_of_all_faults_finds_nothing_in_the_shipped_deploy() {
    let subject = subject(&root().join("playbooks/deploy.rhai"));
    let report = proved(&subject, None, 151).expect("the deploy runs");
    assert!(report.cells > 25, "{report:?}");
    assert!(report.rows.len() > 15, "the sample meets most faults: {:?}", report.rows);
    assert!(report.is_clean(), "{}", told(&report));
}

#[test]
fn a_build_that_was_never_booted_is_found_and_found_again_by_its_token() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let boot = "bg::boot(c.idle, c.live, build, bg::size(capacity, c.live));";
    let unread = "scale(c.idle, #{ desired: 2, min: 2 }); wait_in_service(c.idle, #{ count: 2, timeout: \"10m\" });";
    let broken = mutant(&folder, &[(boot, unread), ("    bg::must_run(c.idle, build);", "")]);
    let report = proved(&broken, Some("no fault"), 1).expect("it runs to its end");
    let story = report.stories.first().expect("it is found");
    assert_eq!((report.bad, story.how.as_str(), story.codes.as_slice()), (1, "run", &["I10".to_owned()][..]), "{}", told(&report));
    assert!(story.problems.iter().any(|p| p.contains("beta-green serves dist/gh/main/41000.tar.xz")), "{story:?}");
    assert!(story.changes.iter().any(|change| change.contains("ModifyRule")), "the story shows what was changed: {story:?}");
    let token = Token::decode(&story.token).expect("the token is whole");
    let again = replay(&broken, &token.scenario).expect("the same playbook");
    assert_eq!((&again.stories[0].codes, &again.stories[0].changes), (&story.codes, &story.changes));
}

#[test]
fn what_the_gate_refuses_without_a_fault_cannot_be_proved() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let unwaited = "    bg::wait_healthy_or_ask(c.idle, #{ timeout: env().timeout.healthy });\n";
    for (line, expected) in [(unwaited, "healthy"), ("    set_active_color(c.idle);\n", "active-color")] {
        let mut broken = mutant(&folder, &[(line, "")]);
        // A team's hook waits for the new instances, too.
        broken.config.envs.values_mut().for_each(|env| env.hooks = None);
        broken.env.hooks = None;
        let Err(ProveError::Baseline { ended, why }) = proved(&broken, None, 1) else { panic!("`{line}` is missed") };
        assert!(ended != "done" && why.contains(expected), "{ended}: {why}");
    }
}

#[test]
fn two_and_more_faults_are_drawn_from_the_seed_and_find_nothing_in_the_shipped_deploy() {
    let subject = subject(&root().join("playbooks/deploy.rhai"));
    let drawn = |mode: Mode, most: usize| prove(&subject, &Extent { mode, most: Some(most), ..single() }, &|_| true).expect("it runs");
    let (pairs, random) = (drawn(Mode::Pairs, 6), drawn(Mode::Random, 1));
    for report in [&pairs, &random] {
        assert!(report.runs > 6 && !report.partial, "{report:?}");
        assert!(report.is_clean(), "{}", told(report));
    }
    let again = drawn(Mode::Pairs, 6);
    assert_eq!((pairs.rows, pairs.distinct), (again.rows, again.distinct), "the n-th draw is always the same");
}

#[test]
fn a_failure_among_many_things_that_go_wrong_is_told_without_them() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let boot = "bg::boot(c.idle, c.live, build, bg::size(capacity, c.live));";
    let unread = "scale(c.idle, #{ desired: 2, min: 2 }); wait_in_service(c.idle, #{ count: 2, timeout: \"10m\" });";
    let broken = mutant(&folder, &[(boot, unread), ("    bg::must_run(c.idle, build);", "")]);
    let extent = Extent { mode: Mode::Random, most: Some(1), ..single() };
    let report = prove(&broken, &extent, &|_| true).expect("it runs to its end");
    let story = report.stories.iter().find(|story| story.codes == ["I10"] && story.how == "run").expect("it is found");
    assert_eq!((story.fault.as_str(), story.told.len()), ("no fault", 0), "neither a fault nor the timing had to do with it: {story:?}");
    let token = Token::decode(&story.token).expect("the token is whole");
    assert_eq!(replay(&broken, &token.scenario).expect("the same playbook").stories[0].codes, story.codes);
}

#[test]
fn what_is_stopped_says_so() {
    let subject = subject(&root().join("playbooks/deploy.rhai"));
    let report = prove(&subject, &Extent { every: 500, threads: 1, ..single() }, &|standing| standing.done < 2).expect("it runs");
    assert!(report.partial && report.cells <= 2, "{report:?}");
}

#[test]
fn a_sample_of_all_faults_finds_nothing_in_the_shipped_canary() {
    let mut subject = subject(&root().join("playbooks/canary.rhai"));
    let given = [("version", "latest"), ("bake", "6m"), ("steps", "25")];
    subject.params = given.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    // So few users come that nothing can be told of the build: the answer is given beforehand.
    subject.answers = BTreeMap::from([("inconclusive-25".to_owned(), "go".to_owned())]);
    let report = proved(&subject, None, 401).expect("the canary runs");
    assert!(report.cells > 10 && report.is_clean(), "{}", told(&report));
}

#[test]
fn the_rollback_is_proved_where_there_is_something_to_go_back_to() {
    let mut subject = subject(&root().join("playbooks/rollback.rhai"));
    subject.params = BTreeMap::from([("why".to_owned(), "it is slow".to_owned())]);
    let Err(ProveError::Baseline { ended, .. }) = proved(&subject, None, 1) else { panic!("nothing was deployed") };
    assert_eq!(ended, "refused");
    subject.start = Start::Warm;
    let report = proved(&subject, None, 301).expect("it runs");
    assert!(report.cells > 5 && report.is_clean(), "{}", told(&report));
}

#[test]
fn a_machine_that_stands_still_or_a_disk_that_is_full_leaves_nothing_that_cannot_be_taken_back() {
    let mut subject = subject(&root().join("playbooks/rollback.rhai"));
    subject.params = BTreeMap::from([("why".to_owned(), "it is slow".to_owned())]);
    subject.start = Start::Warm;
    for (fault, every) in [("machine stands still 10 minutes", 6), ("machine stands still 1 minute", 13), ("disk full", 9)] {
        let report = proved(&subject, Some(fault), every).expect("it runs");
        assert!(report.cells > 5 && report.is_clean(), "{}", told(&report));
    }
}
