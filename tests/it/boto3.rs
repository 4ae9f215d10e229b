//! The real binary as a server: boto3 reads what the sandbox writes, and a playbook deploys over a loopback port.

use crate::process::{Program, Project, python};
use std::time::Duration;

const START_LIMIT: Duration = Duration::from_secs(30);
const STOP_LIMIT: Duration = Duration::from_secs(20);
/// The script waits until stale reads are over, and for instances that boot.
const SCRIPT_LIMIT: Duration = Duration::from_secs(180);
/// A deploy over the network takes the minute of real time that it lets the load balancer follow.
const DEPLOY_LIMIT: Duration = Duration::from_secs(300);
const STATUS_LIMIT: Duration = Duration::from_secs(60);

/// `bgx sandbox serve` and the address that it says.
pub fn serve(project: &Project, pace: &str) -> (Program, String) {
    let mut server = project.bgx(&["sandbox", "serve", "--port", "0", "--pace", pace]);
    let line = server.line("SANDBOX on http://127.0.0.1:", START_LIMIT);
    let url = line.split(' ').find(|word| word.starts_with("http://")).expect("the line holds it").to_owned();
    (server, url)
}

#[test]
fn boto3_reads_every_operation_of_the_served_sandbox_and_sigterm_ends_it_well() {
    let project = Project::new();
    let (server, url) = serve(&project, "20x");
    let said = Program::start(python("boto3_sandbox.py", &[&url, "compiler-explorer"])).good(SCRIPT_LIMIT);
    assert!(said.contains("boto3 and the sandbox agree"), "{said}");
    server.signal("TERM");
    server.good(STOP_LIMIT);
    // What boto3 did was kept: the next command finds the world that it left.
    let shown = project.bgx(&["sandbox", "show"]).good(STATUS_LIMIT);
    assert!(!shown.contains("2026-01-01T00:00:00"), "the world is not a new one: {shown}");
}

#[test]
fn the_playbook_deploys_against_the_served_sandbox_as_it_does_inside_the_process() {
    let project = Project::without_version_probe();
    let (server, url) = serve(&project, "120x");
    let run = ["run", "playbooks/deploy.rhai", "--env", "beta", "--target", &url, "--version", "latest", "--bake", "5s"];
    let said = project.bgx(&run).good(DEPLOY_LIMIT);
    assert!(said.contains(&format!("SERVER {url}: not AWS")), "{said}");
    let status = project.bgx(&["status", "--target", &url, "--env", "beta"]).good(STATUS_LIMIT);
    for part in ["Active color:   green", "Beta-Blue 0, Beta-Green 100", "SSM says:       green", "and instances agree."] {
        assert!(status.contains(part), "`{part}` is not in:\n{status}");
    }
    server.signal("TERM");
    server.good(STOP_LIMIT);
    let kept = project.bgx(&["status", "--env", "beta"]).good(STATUS_LIMIT);
    assert!(kept.contains("Active color:   green"), "{kept}");
}
