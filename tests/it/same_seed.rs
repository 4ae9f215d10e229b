//! The same seed gives the same bytes: journal and world log.

use crate::support::lab;

#[test]
fn the_same_seed_gives_the_same_journal_and_world_log() {
    let deploy = |seed| lab("beta", "playbooks/deploy.rhai").param("version", "latest").seed(seed).run();
    for seed in 1..=5 {
        let (a, b) = (deploy(seed), deploy(seed));
        assert_eq!(String::from_utf8_lossy(&a.journal), String::from_utf8_lossy(&b.journal), "seed {seed}");
        assert_eq!(a.after.log, b.after.log, "seed {seed}");
    }
}

#[test]
fn another_seed_gives_another_run() {
    let deploy = |seed| lab("beta", "playbooks/deploy.rhai").param("version", "latest").seed(seed).run();
    assert_ne!(deploy(1).journal, deploy(2).journal);
}
