//! A copy of an account, and a run that is planned in it: the plan says what the run then does, or the run refuses.

use crate::boto3::serve;
use crate::process::{Moto, Program, Project, python};
use crate::program::{exit_code, project};
use crate::support::config;
use bgx::account::Action;
use bgx::host::world::new_world;
use bgx::run::event::What;
use bgx::run::history::list;
use bgx::sandbox::Sandbox;
use bgx::sandbox::fault::Rule;
use bgx::sandbox::server::Server;
use serde_json::Value;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(120);
/// A run over the network takes the minute of real time that it lets the load balancer follow.
const DEPLOY_LIMIT: Duration = Duration::from_secs(300);

const GROW: &str = "//! bgx: 1\n//! One instance more.\nstep \"grow\" { scale(colors().live, #{ desired: 3 }); }\n";

const FROM_A_FILE: &str = r#"//! A test that begins with a copy.
fn test_copy() {
    let r = play_text(`step "look" { say(colors().live.name + asg(colors().live).desired); }`, #{ env: "beta", world: #{ file: "beta.json" } });
    assert_eq(r.outcome, "done");
    assert_eq(r.said, ["blue3"]);
}

fn test_nothing_else_is_said() {
    assert_fails(|| play_text(`say("");`, #{ env: "beta", world: #{ file: "beta.json", boot: "1m" } }), "nothing else is said of it");
}

fn test_no_file() {
    assert_fails(|| play_text(`say("");`, #{ env: "beta", world: #{ file: "none.json" } }), "there is no");
}
"#;

#[test]
fn a_clone_is_saved_shown_and_the_world_of_a_test() {
    let project = project();
    project.write("playbooks/grow.rhai", GROW);
    let grown = project.bgx(&["run", "grow", "--env", "beta"]);
    assert_eq!(exit_code(&grown), Some(0), "{grown}");
    let before = project.read(".bgx/sandbox/world.json");
    let said = project.bgx(&["sandbox", "clone", "--env", "beta", "--out", "beta.json"]);
    assert_eq!(exit_code(&said), Some(0), "{said}");
    assert!(said.contains("beta.json: beta as of ") && said.contains("3 group(s) with 4 instance(s)"), "{said}");
    assert!(said.contains("unknown: how long beta's application takes to answer"), "{said}");
    assert_eq!(project.read(".bgx/sandbox/world.json"), before, "the account is as it was");
    let shown = project.bgx(&["sandbox", "show", "--world", "beta.json"]);
    assert!(shown.contains("group beta-blue: desired 3, min 0, max 10") && !shown.contains("group prod-blue"), "{shown}");
    project.write("playbooks/copy_test.rhai", FROM_A_FILE);
    let tested = project.bgx(&["test", "playbooks/copy_test.rhai"]);
    assert_eq!(exit_code(&tested), Some(0), "{tested}");
    assert!(tested.contains("3 ok, 0 failed"), "{tested}");
    let none = project.bgx(&["sandbox", "show", "--world", "none.json"]);
    assert_eq!(exit_code(&none), Some(2), "{none}");
}

/// The journal of the newest run in a folder: what it changed going forward, in order.
fn actions(project: &Path, runs: &str) -> Vec<String> {
    let all = list(&project.join(runs)).expect("the folder of runs can be read");
    let newest = all.iter().max_by_key(|run| run.events.first().map(|event| event.at)).expect("there is a run");
    let forward = newest.events.iter().take_while(|event| !matches!(event.what, What::Broke { .. }));
    forward.filter_map(|event| if let What::Started { action, .. } = &event.what { Some(action.to_string()) } else { None }).collect()
}

fn planned(project: &Path, file: &str) -> (Value, Vec<String>) {
    let text = std::fs::read_to_string(project.join(file)).expect("the plan was saved");
    let filed: Value = serde_json::from_str(&text).expect("a plan is JSON");
    let steps = filed["plan"]["steps"].as_array().expect("it has steps").clone();
    let action = |step: &Value| {
        let action: Action = serde_json::from_value(step["did"]["action"]["action"].clone()).ok()?;
        Some(action.to_string())
    };
    (filed, steps.iter().filter_map(action).collect())
}

const DEPLOY: [&str; 7] = ["deploy", "--env", "beta", "--version", "latest", "--bake", "1m"];

#[test]
fn a_plan_says_what_the_run_then_does_and_changes_nothing() {
    let project = project();
    project.write("playbooks/grow.rhai", GROW);
    assert_eq!(exit_code(&project.bgx(&["run", "grow", "--env", "beta"])), Some(0));
    let before = project.read(".bgx/sandbox/world.json");
    let said = project.bgx(&[&["plan"], &DEPLOY[..], &["--out", "plan.json"]].concat());
    assert_eq!(exit_code(&said), Some(8), "{said}");
    assert_eq!(project.read(".bgx/sandbox/world.json"), before, "the account is as it was");
    for part in [
        "plan of deploy in beta, as of 2026-01-01T00:0",
        "~ beta-green  desired 0 → 3, min 0 → 3",
        "          undo: beta-green: desired 0, min 0",
        "~ beta routes https:443 /beta*  Beta-Blue 100 → 0, Beta-Green 0 → 100",
        "commits: a failure from here on leaves what is done",
        "          stays: it is after the commit",
        "  blue   instances     2 ▅▅▅▅",
        "         traffic   100 % ████",
        "  green  instances     0 ····",
        "  users: ",
        " 0 errors (5xx)",
        "at worst (",
        " calls: autoscaling ",
        "safe: 15 changes, no invariant is breached",
        "next: bgx run --plan plan.json   (plan ",
        "SANDBOX: nothing real is touched",
    ] {
        assert!(said.contains(part), "`{part}` is not in:\n{said}");
    }
    let ran = project.bgx(&["run", "--plan", "plan.json"]);
    assert_eq!(exit_code(&ran), Some(0), "{ran}");
    assert!(ran.contains("plan 15 of 15: at ") && ran.contains(", planned for "), "{ran}");
    let (_, planned) = planned(project.path(), "plan.json");
    assert_eq!(actions(project.path(), ".bgx/sandbox/runs"), planned);
    let again = project.bgx(&["run", "--plan", "plan.json"]);
    assert_eq!(exit_code(&again), Some(7), "{again}");
    assert!(again.contains("/compiler-explorer/beta/active-target-group-arn: Beta-Blue → Beta-Green"), "{again}");
    assert!(again.contains("rule HTTPS:443 130 /beta*: Beta-Blue 1 → Beta-Blue 0, Beta-Green 100"), "{again}");
}

#[test]
fn each_end_of_a_rehearsal_has_its_exit_code() {
    let project = project();
    let code = |args: &[&str]| {
        let said = project.bgx(args);
        (exit_code(&said), said)
    };
    let (nothing, said) = code(&["plan", "health-check", "--env", "beta"]);
    assert!(said.contains("safe: nothing is to be changed"), "{said}");
    assert_eq!(nothing, Some(0), "{said}");
    project.write("playbooks/down.rhai", "//! bgx: 1\n//! Takes it down.\nscale(colors().live, #{ desired: 0, min: 0 });\n");
    let (refused, said) = code(&["plan", "down", "--env", "beta", "--out", "plan.json"]);
    assert!(said.contains("would be refused after"), "{said}");
    assert_eq!(refused, Some(7), "{said}");
    let (unsafe_plan, said) = code(&["run", "--plan", "plan.json"]);
    assert!(said.contains("the plan itself says that this run would not come to a good end"), "{said}");
    assert_eq!(unsafe_plan, Some(7), "{said}");
    project.write("playbooks/fails.rhai", "//! bgx: 1\n//! Fails.\nscale(colors().idle, #{ max: 3 });\nfail(\"no\");\n");
    let (failed, said) = code(&["plan", "fails", "--env", "beta"]);
    assert!(said.contains("would end undone after") && said.contains("↩ beta-green"), "{said}");
    assert_eq!(failed, Some(7), "{said}");
    for wrong in [
        &["plan", "deploy", "--env", "nowhere"][..],
        &["plan", "deploy", "--env", "beta", "--colour", "red"],
        &["run", "--plan", "none.json"],
    ] {
        assert_eq!(code(wrong).0, Some(2), "{wrong:?}");
    }
    // Questions must be answered as for the run.
    project.write("playbooks/asks.rhai", "//! bgx: 1\n//! Asks.\nconfirm(\"sure\", \"Really?\");\nscale(colors().idle, #{ max: 3 });\n");
    let (asked, said) = code(&["plan", "asks", "--env", "beta"]);
    assert!(said.contains("--answer sure=yes"), "{said}");
    assert_eq!(asked, Some(7), "{said}");
    assert_eq!(code(&["plan", "asks", "--env", "beta", "--answer", "sure=yes", "--out", "asks.json"]).0, Some(8));
    assert_eq!(code(&["run", "--plan", "asks.json"]).0, Some(0), "the run answers as the rehearsal did");
}

#[test]
fn a_plan_takes_no_other_parameters_and_is_not_edited() {
    let project = project();
    project.write("playbooks/grow.rhai", GROW);
    assert_eq!(exit_code(&project.bgx(&["plan", "grow", "--env", "beta", "--out", "plan.json"])), Some(8));
    let other: [&[&str]; 4] = [&["--version", "41001"], &["--env", "gpu"], &["--answer", "a=b"], &["grow"]];
    for other in other {
        let said = project.bgx(&[&["run", "--plan", "plan.json"], other].concat());
        assert_eq!(exit_code(&said), Some(2), "{said}");
    }
    let said = project.bgx(&["run", "--plan", "plan.json", "--target", "http://127.0.0.1:1"]);
    assert!(said.contains("the plan is for sandbox, not for http://127.0.0.1:1"), "{said}");
    let text = project.read("plan.json").expect("it was saved");
    project.write("plan.json", text.replace("desired: 3", "desired: 9"));
    let said = project.bgx(&["run", "--plan", "plan.json"]);
    assert_eq!(exit_code(&said), Some(2), "{said}");
    assert!(said.contains("was changed after it was made"), "{said}");
}

#[test]
fn a_run_stops_before_an_action_that_its_plan_did_not_have() {
    let project = project();
    let quick = ["plan", "deploy", "--env", "beta", "--version", "latest", "--bake", "1m", "--out", "plan.json"];
    assert_eq!(exit_code(&project.bgx(&["run", "health-check", "--env", "beta"])), Some(0));
    assert_eq!(exit_code(&project.bgx(&quick)), Some(8));
    // A build more: no size, weight or record is otherwise than before.
    let text = project.read(".bgx/sandbox/world.json").expect("the run left a world");
    let mut world: Value = serde_json::from_str(&text).expect("a world is JSON");
    let objects = world["buckets"]["compiler-explorer"].as_object_mut().expect("the bucket is there");
    let build = objects["dist/gh/main/41002.tar.xz"].clone();
    objects.insert("dist/gh/main/41999.tar.xz".to_owned(), build);
    project.write(".bgx/sandbox/world.json", world.to_string());
    let said = project.bgx(&["run", "--plan", "plan.json"]);
    assert_eq!(exit_code(&said), Some(3), "{said}");
    assert!(said.contains("has s3://compiler-explorer/version/beta: set to `dist/gh/main/41002.tar.xz`"), "{said}");
    assert!(said.contains("41999.tar.xz` in beta: nothing of it was sent"), "{said}");
    assert!(said.contains("failed, and everything was taken back"), "{said}");
}

#[test]
fn a_guarded_environment_is_confirmed_by_the_hash_of_its_plan_and_for_a_while() {
    let project = Project::without_version_probe();
    project.write("playbooks/grow.rhai", &GROW.replace("desired: 3", "max: 39"));
    let (server, url) = serve(&project, "20x");
    let plan = |valid: &str, file: &str| {
        let said = project.bgx(&["plan", "grow", "--env", "prod", "--target", &url, "--valid", valid, "--out", file]).end(LIMIT);
        assert_eq!(said.code, Some(8), "{}", said.text);
        planned(project.path(), file).0["hash"].as_str().expect("it has a hash")[..8].to_owned()
    };
    let run = |file: &str, confirm: &str| project.bgx(&["run", "--plan", file, "--confirm", confirm]).end(LIMIT);
    let old = plan("0s", "old.json");
    let said = run("old.json", &format!("prod@{old}"));
    assert_eq!(said.code, Some(7), "{}", said.text);
    assert!(said.text.contains(&format!("plan {old} was good until ")), "{}", said.text);
    let hash = plan("30m", "new.json");
    let said = run("new.json", "prod");
    assert_eq!(said.code, Some(7), "{}", said.text);
    assert!(said.text.contains(&format!("`prod` is not `prod@{hash}`: nothing was confirmed")), "{}", said.text);
    let said = run("new.json", &format!("prod@{hash}"));
    assert_eq!(said.code, Some(0), "{}", said.text);
    assert_eq!(actions(project.path(), ".bgx/runs"), planned(project.path(), "new.json").1);
    server.signal("TERM");
    server.good(LIMIT);
}

#[test]
fn against_a_served_account_with_drift_the_run_does_what_the_plan_says() {
    let project = Project::without_version_probe();
    project.bgx(&["run", "deploy", "--env", "beta", "--version", "latest", "--bake", "1m"]).good(LIMIT);
    project.write(
        "playbooks/drift.rhai",
        "//! bgx: 1\n//! Drift.\nlet c = colors();\nscale(c.live, #{ desired: 3 });\nscale(c.idle, #{ max: 7 });\nwait_healthy(c.live, #{ count: 3, timeout: \"10m\" });\n",
    );
    project.bgx(&["run", "drift", "--env", "beta"]).good(LIMIT);
    let (server, url) = serve(&project, "60x");
    let said = project
        .bgx(&["plan", "rollback", "--env", "beta", "--why", "drift", "--answer", "rollback=yes", "--target", &url, "--out", "plan.json"])
        .end(LIMIT);
    assert_eq!(said.code, Some(8), "{}", said.text);
    project.bgx(&["run", "--plan", "plan.json"]).good(DEPLOY_LIMIT);
    let (_, planned) = planned(project.path(), "plan.json");
    assert!(planned.len() > 3, "{planned:?}");
    assert_eq!(actions(project.path(), ".bgx/runs"), planned);
    server.signal("TERM");
    server.good(LIMIT);
}

#[test]
fn against_a_moto_server_the_run_does_what_the_plan_says() {
    // moto has no DescribeInstanceInformation, so instances cannot be asked for their version.
    let project = Project::without_version_probe();
    let moto = Moto::start();
    Program::start(python("moto_world.py", &["seed", &moto.url])).good(LIMIT);
    let plan =
        ["plan", "playbooks/deploy.rhai", "--env", "beta", "--target", &moto.url, "--version", "latest", "--bake", "5s", "--out", "p.json"];
    let said = project.bgx(&plan).end(DEPLOY_LIMIT);
    assert_eq!(said.code, Some(8), "{}", said.text);
    assert!(said.text.contains("unknown: the addresses of instances"), "{}", said.text);
    project.bgx(&["run", "--plan", "p.json"]).good(DEPLOY_LIMIT);
    let (_, planned) = planned(project.path(), "p.json");
    assert!(planned.len() > 8, "{planned:?}");
    assert_eq!(actions(project.path(), ".bgx/runs"), planned);
}

/// A simulated account that notes each call, on a port; it ends with the test.
struct Noted {
    url: String,
    sandbox: Arc<Mutex<Sandbox>>,
    _runtime: tokio::runtime::Runtime,
}

/// It refuses these calls each time.
fn noted(refused: &[(&str, &str)]) -> Noted {
    let mut sandbox = Sandbox::new(new_world(&config(), 7).expect("the repository's bgx.toml describes a world"));
    refused.iter().for_each(|(service, operation)| sandbox.faults.add(Rule::denied(service, operation).always()));
    let sandbox = Arc::new(Mutex::new(sandbox));
    let runtime = tokio::runtime::Runtime::new().expect("a runtime can be made");
    let server = runtime.block_on(Server::bind(0, sandbox.clone(), 1.0)).expect("a port is free");
    let url = format!("http://{}", server.address().expect("it is bound"));
    runtime.spawn(server.run(std::future::pending()));
    Noted { url, sandbox, _runtime: runtime }
}

const WRITES: [(&str, &str); 8] = [
    ("autoscaling", "UpdateAutoScalingGroup"),
    ("autoscaling", "SuspendProcesses"),
    ("autoscaling", "ResumeProcesses"),
    ("elasticloadbalancing", "ModifyRule"),
    ("elasticloadbalancing", "ModifyListener"),
    ("ssm", "PutParameter"),
    ("s3", "PutObject"),
    ("s3", "DeleteObject"),
];

#[test]
fn a_server_that_refuses_every_write_sees_none_of_a_plan() {
    let project = Project::without_version_probe();
    let server = noted(&WRITES);
    let said = project.bgx(&[&["plan"], &DEPLOY[..], &["--target", &server.url]].concat()).end(LIMIT);
    assert_eq!(said.code, Some(8), "{}", said.text);
    assert!(said.text.contains("safe: 15 changes"), "{}", said.text);
    let sandbox = server.sandbox.lock().unwrap();
    assert!((15..=30).contains(&sandbox.trace.len()), "{} calls", sandbox.trace.len());
    assert!(sandbox.trace.iter().all(|call| !call.mutates), "{:?}", sandbox.trace);
}

#[test]
fn what_a_run_may_not_read_is_unknown_in_its_plan_which_ends_where_the_run_would() {
    let project = Project::without_version_probe();
    let server = noted(&[("elasticloadbalancing", "DescribeTargetHealth")]);
    let said = project.bgx(&[&["plan"], &DEPLOY[..], &["--target", &server.url]].concat()).end(LIMIT);
    assert_eq!(said.code, Some(7), "{}", said.text);
    assert!(
        said.text.contains("unknown: the health of the targets of Beta-Blue (elasticloadbalancing:DescribeTargetHealth on "),
        "{}",
        said.text
    );
    assert!(said.text.contains("would end undone after "), "{}", said.text);
    drop(server);
    let server = noted(&[("autoscaling", "DescribeAutoScalingGroups")]);
    let said = project.bgx(&[&["plan"], &DEPLOY[..], &["--target", &server.url]].concat()).end(LIMIT);
    assert_eq!(said.code, Some(2), "{}", said.text);
    assert!(said.text.contains("a run needs autoscaling:DescribeAutoScalingGroups as well"), "{}", said.text);
}

#[test]
fn a_plan_is_data_and_is_proved_in_that_very_copy() {
    let project = project();
    project.write("playbooks/small.rhai", "//! bgx: 1\n//! One field.\nscale(colors().idle, #{ max: 5 });\n");
    let said = project.bgx(&["plan", "small", "--env", "beta", "--prove", "--sample", "9", "--json", "--iam", "iam.json"]);
    assert_eq!(exit_code(&said), Some(8), "{said}");
    let policy: Value = serde_json::from_str(&project.read("iam.json").expect("it was written")).expect("it is JSON");
    let allows = |action: &str, resource: &str| {
        let has = |list: &Value, wanted: &str| {
            list.as_array().is_some_and(|all| all.iter().any(|one| one.as_str().is_some_and(|s| s.contains(wanted))))
        };
        policy["Statement"].as_array().is_some_and(|all| all.iter().any(|s| has(&s["Action"], action) && has(&s["Resource"], resource)))
    };
    assert!(allows("autoscaling:UpdateAutoScalingGroup", "autoScalingGroupName/beta-green"), "{policy}");
    assert!(!allows("autoscaling:UpdateAutoScalingGroup", "autoScalingGroupName/prod-green"), "{policy}");
    let alone = project.bgx(&["plan", "small", "--env", "beta", "--iam", "iam.json"]);
    assert_eq!(exit_code(&alone), Some(2), "{alone}");
    let json: Value = serde_json::from_str(said.lines().next().expect("a line")).expect("it is JSON");
    assert_eq!(json["prove"]["bad"], 0, "{said}");
    assert_eq!(json["prove"]["world"], "given", "{said}");
    assert!(json["prove"]["runs"].as_u64().is_some_and(|runs| runs > 50), "{said}");
    let calls = json["plan"]["calls"].as_array().expect("they are listed");
    let update = calls.iter().find(|call| call["operation"] == "UpdateAutoScalingGroup").expect("it is one of them");
    assert_eq!((&update["resource"], &update["writes"], &update["times"]), (&"beta-green".into(), &true.into(), &1.into()));
}
