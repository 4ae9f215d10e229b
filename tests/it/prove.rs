//! `bgx prove`: the shipped deploy stands a sample of all faults, and playbooks that are broken on purpose are caught.

use crate::support::{config, root};
use bgx::prove::{Extent, ProveError, Report, Story, Subject, Token, prove, replay};
use bgx::script::session::Playbook;
use std::collections::BTreeMap;
use std::path::Path;

fn subject(path: &Path) -> Subject {
    let config = config();
    let env = config.env("beta").expect("beta is in bgx.toml").clone();
    let playbook = Playbook::load(path, &config, None).unwrap_or_else(|p| panic!("{}", p.render(false)));
    let params = BTreeMap::from([("version".to_owned(), "latest".to_owned()), ("bake".to_owned(), "1m".to_owned())]);
    let params = params.into_iter().filter(|(name, _)| playbook.params.iter().any(|spec| spec.name == *name)).collect();
    Subject { config, env, playbook, path: path.display().to_string(), params, answers: BTreeMap::new(), seed: 7 }
}

/// One of `every` points of a fault, or of all.
fn proved(subject: &Subject, fault: Option<&str>, every: usize) -> Result<Report, ProveError> {
    prove(subject, &Extent { fault: fault.map(str::to_owned), every, threads: 2 }, &|_, _| {})
}

/// The shipped deploy with one line changed.
fn mutant(folder: &tempfile::TempDir, line: &str, instead: &str) -> Subject {
    let text = std::fs::read_to_string(root().join("playbooks/deploy.rhai")).expect("the playbook is there");
    assert_eq!(text.matches(line).count(), 1, "`{line}` is in the playbook once");
    let path = folder.path().join("broken.rhai");
    std::fs::write(&path, text.replace(line, instead)).expect("a temporary folder can be written");
    subject(&path)
}

fn told(report: &Report) -> String {
    let story = |s: &Story| format!("{} at {}, {}: {}\n{}", s.fault, s.at, s.how, s.ended, s.problems.join("\n"));
    report.stories.iter().map(story).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_sample_of_all_faults_finds_nothing_in_the_shipped_deploy() {
    let subject = subject(&root().join("playbooks/deploy.rhai"));
    let report = proved(&subject, None, 101).expect("the deploy runs");
    assert!(report.cells > 25, "{report:?}");
    assert!(report.rows.len() > 15, "the sample meets most faults: {:?}", report.rows);
    assert!(report.is_clean(), "{}", told(&report));
}

#[test]
fn a_record_that_is_never_written_is_found_without_a_fault() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let broken = mutant(&folder, "    set_active_color(c.idle);\n", "");
    let report = proved(&broken, Some("no fault"), 1).expect("it runs to its end");
    let story = report.stories.first().expect("it is found");
    assert_eq!((report.stories.len(), story.codes.as_slice()), (1, &["I2".to_owned()][..]), "{}", told(&report));
    assert!(
        story.problems.iter().any(|p| p.contains("Beta-Green serves, but /compiler-explorer/beta/active-color says blue")),
        "{story:?}"
    );
    assert!(story.changes.iter().any(|change| change.contains("ModifyRule")), "the story shows what was changed: {story:?}");
}

#[test]
fn an_error_that_is_swallowed_is_found_where_it_is_caused_and_found_again_by_its_token() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let broken = mutant(&folder, "    set_active_color(c.idle);\n", "    try { set_active_color(c.idle); } catch { }\n");
    assert!(proved(&broken, Some("no fault"), 1).expect("it runs to its end").is_clean(), "without a fault nothing is wrong");
    let report = proved(&broken, Some("denied for ever"), 9).expect("it runs to its end");
    let story = report.stories.iter().find(|s| s.codes == ["I2"]).unwrap_or_else(|| panic!("{}", told(&report)));
    let token = Token::decode(&story.token).expect("the token is whole");
    let again = replay(&broken, &token.cell).expect("the same playbook");
    assert_eq!((&again.stories[0].codes, &again.stories[0].changes), (&story.codes, &story.changes));
}

#[test]
fn traffic_that_is_not_waited_for_is_refused_by_the_gate_already() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let broken = mutant(&folder, "    bg::wait_healthy_or_ask(c.idle, #{ timeout: env().timeout.healthy });\n", "");
    let Err(ProveError::Baseline { ended, why }) = proved(&broken, None, 1) else { panic!("it is refused") };
    assert!(["undone", "refused"].contains(&ended.as_str()) && why.contains("healthy"), "{ended}: {why}");
}
