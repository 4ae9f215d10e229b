//! `bgx prove`: the shipped deploy stands a sample of all faults, and playbooks that are broken on purpose are caught.

use crate::support::{config, root};
use bgx::prove::{Extent, ProveError, Report, Subject, prove};
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

fn sampled(subject: &Subject, every: usize) -> Result<Report, ProveError> {
    prove(subject, Extent { every, threads: 2 }, &|_, _| {})
}

fn told(report: &Report) -> String {
    report
        .stories
        .iter()
        .map(|s| format!("{} at {}, {}: {}\n{}", s.fault, s.at, s.how, s.ended, s.problems.join("\n")))
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn a_sample_of_all_faults_finds_nothing_in_the_shipped_deploy() {
    let subject = subject(&root().join("playbooks/deploy.rhai"));
    let report = sampled(&subject, 61).expect("the deploy runs");
    assert!(report.cells > 20, "{report:?}");
    assert!(report.rows.len() > 15, "the sample meets most faults: {:?}", report.rows);
    assert!(report.is_clean(), "{}", told(&report));
}
