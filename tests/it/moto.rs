//! The shipped playbook, run by the real binary against moto: a server of AWS's protocols that this project did not write.

use crate::process::{Moto, Program, Project, python};
use serde_json::{Value, json};
use std::time::Duration;

const SCRIPT_LIMIT: Duration = Duration::from_secs(60);
/// A deploy takes the minute that it lets the load balancer follow, and the retries of calls that moto does not know.
const DEPLOY_LIMIT: Duration = Duration::from_secs(300);

/// What boto3 reads from the server.
fn world(moto: &Moto) -> Value {
    world_in("us-east-1", moto)
}

fn world_in(region: &str, moto: &Moto) -> Value {
    let text = Program::start(python("moto_world.py", &["read", &moto.url, region])).good(SCRIPT_LIMIT);
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn deploy_moves_rule_parameters_version_key_and_groups_on_a_moto_server() {
    // moto has no DescribeInstanceInformation, so instances cannot be asked for their version.
    let project = Project::without_version_probe();
    let moto = Moto::start();
    Program::start(python("moto_world.py", &["seed", &moto.url])).good(SCRIPT_LIMIT);
    let (old, new) = ("dist/gh/main/41000.tar.xz", "dist/gh/main/41002.tar.xz");
    let group = |desired, min| json!({ "desired": desired, "min": min, "max": 10, "in_service": desired, "suspended": [] });
    let before = json!({
        "weights": { "Beta-Blue": 1 },
        "groups": { "beta-blue": group(2, 0), "beta-green": group(0, 0) },
        "parameters": { "active-color": "blue", "active-target-group-arn": "Beta-Blue", "blue-version": old },
        "version_key": old,
    });
    assert_eq!(world(&moto), before);

    let run = ["run", "playbooks/deploy.rhai", "--env", "beta", "--target", &moto.url, "--version", "latest", "--bake", "5s"];
    let said = project.bgx(&run).good(DEPLOY_LIMIT);
    assert!(said.contains(&format!("SERVER {}: not AWS", moto.url)), "{said}");
    let after = json!({
        "weights": { "Beta-Blue": 0, "Beta-Green": 100 },
        "groups": { "beta-blue": group(2, 2), "beta-green": group(2, 1) },
        "parameters": { "active-color": "green", "active-target-group-arn": "Beta-Green", "blue-version": old, "green-version": new },
        "version_key": new,
    });
    assert_eq!(world(&moto), after, "{said}");
}

#[test]
fn a_deploy_in_one_of_two_regions_leaves_the_other() {
    let project = Project::without_version_probe();
    let text = std::fs::read_to_string(project.path().join("bgx.toml")).expect("the project has a bgx.toml");
    project.write("bgx.toml", &text.replacen("[env.beta]\n", "[env.beta]\nregion = \"eu-west-1\"\n", 1));
    let moto = Moto::start();
    for region in ["us-east-1", "eu-west-1"] {
        Program::start(python("moto_world.py", &["seed", &moto.url, region])).good(SCRIPT_LIMIT);
    }
    let before = world_in("us-east-1", &moto);
    let run = ["run", "playbooks/deploy.rhai", "--env", "beta", "--target", &moto.url, "--version", "latest", "--bake", "5s"];
    let said = project.bgx(&run).good(DEPLOY_LIMIT);
    let (here, there) = (world_in("us-east-1", &moto), world_in("eu-west-1", &moto));
    for part in ["weights", "groups", "parameters"] {
        assert_eq!(here[part], before[part], "us-east-1 is as it was: {said}");
    }
    assert_eq!(there["weights"], json!({ "Beta-Blue": 0, "Beta-Green": 100 }), "{said}");
    assert_eq!(
        (&there["parameters"]["active-color"], &there["groups"]["beta-green"]["in_service"]),
        (&json!("green"), &json!(2)),
        "{said}"
    );
}
