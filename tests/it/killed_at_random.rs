//! Kills from outside, at random moments, of a deploy over the network: another process ends what was begun.
//!
//! The world is served at a fast pace while waits and leases are real time, so each round takes minutes: all rounds go at once.
//! `BGX_KILLS=all` plays twenty, the suite plays four.

use crate::boto3::serve;
use crate::process::Project;
use crate::signals::beta;
use std::time::Duration;

/// A deploy with the minute that the load balancer is given to follow, and a lease that must run out first.
const LIMIT: Duration = Duration::from_secs(420);
/// A deploy against the served sandbox takes longer than this.
const SPAN: Duration = Duration::from_secs(60);

struct Ends {
    start: Vec<String>,
    end: Vec<String>,
}

fn deploy(url: &str) -> [&str; 10] {
    ["run", "playbooks/deploy.rhai", "--env", "beta", "--target", url, "--version", "latest", "--bake", "5s"]
}

/// What the served account holds once the server has stopped.
fn round(kill_after: Option<Duration>, undo: bool) -> (Vec<String>, bool) {
    let (account, operator) = (Project::without_version_probe(), Project::without_version_probe());
    let (server, url) = serve(&account, "120x");
    let mut program = operator.bgx(&deploy(&url));
    let committed = match kill_after {
        None => {
            program.good(LIMIT);
            true
        }
        Some(after) => {
            let run = program.line(" run ", LIMIT).split(" run ").nth(1).and_then(|rest| rest.split(' ').next().map(str::to_owned));
            let run = run.expect("the line names the run");
            // The moment is random on purpose; nothing is waited for.
            std::thread::sleep(after);
            program.signal("KILL");
            assert_eq!(program.end(LIMIT).code, None);
            recover(&operator, &run, undo)
        }
    };
    let lock = operator.bgx(&["lock", "--env", "beta", "--target", &url]).good(LIMIT);
    assert!(lock.contains("beta is free"), "{lock}");
    server.signal("TERM");
    server.good(LIMIT);
    (beta(&account), committed)
}

/// Whether the deploy was done in the end.
fn recover(operator: &Project, run: &str, undo: bool) -> bool {
    let command = if undo { "undo" } else { "resume" };
    let said = operator.bgx(&[command, run]).end(LIMIT);
    match said.code {
        Some(0) => !undo,
        Some(7) if said.text.contains("is over: done") => true,
        Some(7) if undo && said.text.contains("bgx run rollback") => recover(operator, run, false),
        code => panic!("{command} ended with {code:?}: {}", said.text),
    }
}

#[test]
fn a_deploy_killed_at_a_random_moment_is_resumed_to_its_end_or_undone_to_the_start() {
    let rounds = if std::env::var("BGX_KILLS").is_ok_and(|value| value == "all") { 20 } else { 4 };
    let mut random = fastrand::Rng::with_seed(42);
    // Most of a deploy over the network is the minute after the commit: more kills come early.
    let moments: Vec<Duration> = (0..rounds).map(|_| SPAN.mul_f64(random.f64().powi(3))).collect();
    let (whole, killed) = std::thread::scope(|scope| {
        let whole = scope.spawn(|| round(None, false));
        let killed: Vec<_> = moments.iter().enumerate().map(|(index, at)| scope.spawn(move || round(Some(*at), index % 2 == 1))).collect();
        let killed: Vec<_> = killed.into_iter().map(|handle| handle.join().expect("the round ends well")).collect();
        (whole.join().expect("an unbroken deploy ends well"), killed)
    });
    let ends = Ends { start: beta(&Project::without_version_probe()), end: whole.0 };
    let mut counts = [0, 0];
    for (at, (world, committed)) in moments.iter().zip(&killed) {
        assert_eq!(world, if *committed { &ends.end } else { &ends.start }, "killed after {at:?}");
        counts[usize::from(*committed)] += 1;
    }
    println!("{rounds} random kills: {} taken back, {} done, every world as it must be", counts[0], counts[1]);
}
