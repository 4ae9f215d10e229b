//! Two environments of one file in two regions, with the same names in both: `examples/two-regions`, with its commands.

use crate::process::{Program, Project as Served, python};
use crate::program::{Project, exit_code, project};
use crate::support::root;
use std::time::Duration;

/// The example as a project of its own.
fn shop() -> Project {
    let text = std::fs::read_to_string(root().join("examples/two-regions/bgx.toml")).expect("the repository has this example");
    project().file("bgx.toml", text.replace("stdlib = \"../../stdlib\"\n", ""))
}

/// Runs it to a good end.
fn good(project: &Project, command: &str) -> String {
    let text = project.bgx(&command.split_whitespace().collect::<Vec<_>>());
    assert_eq!(exit_code(&text), Some(0), "bgx {command}\n{text}");
    text
}

fn active(project: &Project, env: &str) -> String {
    let text = good(project, &format!("status --env {env}"));
    let line = text.lines().find(|line| line.contains("Active color:")).expect("the page has this line");
    line.rsplit(' ').next().unwrap_or_default().to_owned()
}

/// What `sandbox show` says of one region: the home region first, then each other one under its name.
fn shown(project: &Project, region: Option<&str>) -> String {
    let text = project.world();
    match region {
        None => text.split("\nregion ").next().unwrap_or_default().to_owned(),
        Some(name) => text.split(&format!("\nregion {name}\n")).nth(1).expect("the region is shown").to_owned(),
    }
}

const WAVES: &str = "run waves --env us,eu --version 8 --bake 2m --yes";

#[test]
fn the_commands_of_its_page_end_well() {
    let page = std::fs::read_to_string(root().join("examples/two-regions/README.md")).expect("the example has a page");
    let commands: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("$ bgx ")).collect();
    assert!(commands.len() >= 4, "{commands:?}");
    let project = shop();
    for command in commands {
        good(&project, &command.replace("../../playbooks/", "playbooks/"));
    }
}

#[test]
fn waves_go_through_the_regions_in_order_and_each_has_its_own_groups_records_and_key() {
    let project = shop();
    let text = good(&project, WAVES);
    let at = |part: &str| text.find(part).unwrap_or_else(|| panic!("`{part}` is not in:\n{text}"));
    assert!(at("us: watch") < at("eu: boot and health"), "eu waits until us was watched:\n{text}");
    for line in ["us-east-1 shop-green", "eu-west-1 shop-green", "eu-west-1 /shop/active-color"] {
        assert!(text.contains(&format!("  {line} ")), "each change is told with its region:\n{text}");
    }
    assert!(!text.contains("-1 shop-blue"), "a lease in one region is not the other's, and each is given back:\n{text}");
    assert_eq!([active(&project, "us"), active(&project, "eu")], ["green", "green"]);
    let (us, eu) = (shown(&project, None), shown(&project, Some("eu-west-1")));
    for (region, size) in [(&us, 2), (&eu, 3)] {
        assert!(region.contains(&format!("group shop-green: desired {size}, ")), "{region}");
        assert!(region.contains("parameter /shop/active-color = green "), "{region}");
        assert!(region.contains("HTTPS:443 default → shop-blue 0, shop-green 100"), "{region}");
    }
    assert!(us.contains("bucket shop-builds-eu in eu-west-1") && !eu.contains("bucket "), "buckets are the account's: {us}\n{eu}");
    assert_eq!(us.matches("  version/green = 8\n").count(), 2, "each bucket has its key: {us}");
}

#[test]
fn a_failure_in_the_second_region_takes_both_back_the_last_one_first() {
    let project = shop();
    project.edit_config("[env.eu.sandbox]\n", "[env.eu.sandbox]\napp_start = \"60m..60m\"\n");
    let text = project.bgx(&WAVES.split_whitespace().chain(["--answer", "unhealthy=undo"]).collect::<Vec<_>>());
    assert_eq!(exit_code(&text), Some(3), "{text}");
    let back = text.rfind("shop-green: desired").unwrap_or_default();
    assert!(text.contains("us: watch") && back > 0, "{text}");
    assert_eq!([active(&project, "us"), active(&project, "eu")], ["blue", "blue"]);
    for region in [None, Some("eu-west-1")] {
        let shown = shown(&project, region);
        assert!(shown.contains("group shop-green: desired 0, min 0") && shown.contains("parameter /shop/active-color = blue "), "{shown}");
    }
}

#[test]
fn an_environment_is_deployed_planned_and_rolled_back_in_its_own_region_alone() {
    let project = shop();
    let (us, eu) = (shown(&project, None), shown(&project, Some("eu-west-1")));
    let plan = project.bgx(&["plan", "deploy", "--env", "eu", "--version", "8", "--out", "plan.json"]);
    assert_eq!(exit_code(&plan), Some(8), "{plan}");
    let text = project.bgx(&["run", "--plan", "plan.json"]);
    assert_eq!(exit_code(&text), Some(0), "{text}");
    assert_eq!([active(&project, "us"), active(&project, "eu")], ["blue", "green"]);
    let routes = |shown: &str| {
        shown.lines().filter(|line| line.contains("default →") || line.starts_with("group ")).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(routes(&shown(&project, None)), routes(&us), "us is as it was");
    assert_ne!(routes(&shown(&project, Some("eu-west-1"))), routes(&eu));
    good(&project, "run rollback --env eu --why slow --yes");
    assert_eq!(active(&project, "eu"), "blue");
}

#[test]
fn a_plan_of_both_regions_names_the_region_of_what_has_changed() {
    let project = shop();
    let plan =
        project.bgx(&["plan", "waves", "--env", "us,eu", "--version", "8", "--bake", "2m", "--answer", "waves=yes", "--out", "plan.json"]);
    assert_eq!(exit_code(&plan), Some(8), "{plan}");
    good(&project, "run deploy --env eu --version 8 --yes");
    let text = project.bgx(&["run", "--plan", "plan.json"]);
    assert_eq!(exit_code(&text), Some(7), "{text}");
    assert!(text.contains("eu-west-1 shop-green size") && !text.contains("us-east-1 shop-green size"), "{text}");
}

#[test]
fn status_and_doctor_ask_each_environment_in_its_region() {
    let project = shop();
    let table = good(&project, "status");
    assert!(table.contains("eu ") && table.contains("us ") && !table.contains("could not be read"), "{table}");
    let told = good(&project, "doctor --env eu");
    assert!(told.contains("region eu-west-1") && !told.contains("FAIL"), "{told}");
}

#[test]
fn what_a_file_says_of_regions_must_be_so() {
    for (from, to, says) in [
        ("region = \"eu-west-1\"", "region = \"Ireland\"", "`region = \"Ireland\"` is no region"),
        ("[env.us]\n", "[env.us]\nbucket = \"shop-builds-eu\"\n", "lies in eu-west-1, and it is in us-east-1"),
        ("[env.eu]\n", "[env.eu]\ndiscovery_from = [\"us\"]\n", "whose bucket is another one"),
    ] {
        let project = shop();
        project.edit_config(from, to);
        let text = project.bgx(&["status"]);
        assert!(exit_code(&text) == Some(2) && text.contains(says), "{text}");
    }
}

#[test]
fn whatever_fails_in_the_second_region_and_when_it_is_gone_as_a_whole_users_are_unharmed() {
    let project = shop();
    let waves = "prove playbooks/waves.rhai --env us,eu --version 8 --bake 1m";
    for (fault, every) in [("region unreachable 5 minutes", "90"), ("region unreachable for ever", "90"), ("killed, event kept", "90")] {
        let args: Vec<&str> = waves.split_whitespace().chain(["--fault", fault, "--sample", every]).collect();
        let text = project.bgx(&args);
        assert!(exit_code(&text) == Some(0) && text.contains("ok: no invariant was breached"), "{fault}: {text}");
        assert!(!text.contains(" 0 faults placed"), "{fault}: {text}");
    }
}

/// boto3 starts, and the server stops.
const LIMIT: Duration = Duration::from_secs(60);
/// Two switches, and a minute of real time after each in which the load balancer follows.
const WAVES_LIMIT: Duration = Duration::from_secs(400);

#[test]
fn one_port_answers_for_both_regions() {
    let project = Served::new();
    let text = std::fs::read_to_string(root().join("examples/two-regions/bgx.toml")).expect("the repository has this example");
    project.write("bgx.toml", &text.replace("../../stdlib", "stdlib").replace("version_probe", "# version_probe"));
    let (server, url) = crate::boto3::serve(&project, "120x");
    let said = Program::start(python("boto3_regions.py", &[&url])).good(LIMIT);
    assert!(said.contains("boto3 and both regions agree"), "{said}");
    let run = ["run", "waves", "--env", "us,eu", "--version", "8", "--bake", "5s", "--yes", "--target", &url];
    let said = project.bgx(&run).good(WAVES_LIMIT);
    let status = project.bgx(&["status", "--target", &url]).good(LIMIT);
    assert_eq!(status.lines().filter(|line| line.contains(" green ")).count(), 2, "{said}\n{status}");
    server.signal("TERM");
    server.good(LIMIT);
}
