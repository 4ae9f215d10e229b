//! The account against moto over loopback: bytes of an AWS that is not ours. moto knows no time, health or throttling, so nothing here
//! says anything about those.

use crate::process::{Moto, Program, python};
use bgx::account::{Account, Action, Connection, Fields, HttpRequest, Kind, RouteRef, When};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const BUCKET: &str = "compiler-explorer";

/// Makes the world that these tests expect.
fn seed(moto: &Moto) -> Seeded {
    let text = Program::start(python("account_moto.py", &[&moto.url])).good(Duration::from_secs(60));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[derive(serde::Deserialize)]
struct Seeded {
    lb: String,
    groups: BTreeMap<String, String>,
    listeners: Vec<String>,
    rule: String,
}

impl Seeded {
    fn forward(&self, blue: u32, green: u32) -> Action {
        let default = |listener: &String, label: &str| RouteRef { listener: listener.clone(), rule: None, label: label.into() };
        Action::Forward {
            env: "beta".into(),
            routes: vec![
                default(&self.listeners[0], "http:80 default"),
                default(&self.listeners[1], "http:8080 default"),
                RouteRef { listener: self.listeners[0].clone(), rule: Some(self.rule.clone()), label: "http:80 /beta*".into() },
            ],
            weights: BTreeMap::from([(self.groups["Beta-Blue"].clone(), blue), (self.groups["Beta-Green"].clone(), green)]),
        }
    }
}

/// Does an action, sees it, takes it back and sees that: the fields before and after.
async fn there_and_back(account: &Account, action: &Action) -> (Fields, Fields) {
    let facts = account.facts(action).await.unwrap();
    let before = facts.fields(action);
    account.apply(action, &facts, None).await.unwrap();
    let after = account.facts(action).await.unwrap();
    assert!(action.seen(&before, &after), "{action}: {:?}", after.fields(action));
    let undo = action.undo(&before).unwrap_or_else(|| panic!("{action} changes something"));
    account.apply(&undo, &account.facts(&undo).await.unwrap(), None).await.unwrap();
    assert_eq!(account.facts(action).await.unwrap().fields(action), before, "{undo}");
    (before, after.fields(action))
}

#[tokio::test]
async fn moto_understands_every_read_and_action() {
    let moto = Moto::start();
    let seeded = seed(&moto);
    let account = Account::new(&Connection::endpoint(&moto.url, "us-east-1"));
    reads_groups(&account, &seeded).await;
    reads_balancing(&account, &seeded).await;
    reads_storage(&account).await;
    changes_groups(&account).await;
    changes_routes(&account, &seeded).await;
    changes_storage(&account).await;
    conditions_hold(&account).await;
    let calls = account.take_calls();
    assert!(calls.iter().all(|c| c.attempt == 1), "nothing had to be sent twice: {calls:#?}");
    probes(&account, moto).await;
}

async fn reads_groups(account: &Account, seeded: &Seeded) {
    assert_eq!(account.identity().await.unwrap().account, "123456789012");
    let groups = account.groups(&["beta-blue", "beta-green", "beta-grey", "beta-blue"]).await.unwrap();
    assert_eq!(groups.keys().collect::<Vec<_>>(), ["beta-blue", "beta-green"]);
    let blue = &groups["beta-blue"];
    assert_eq!((blue.min, blue.max, blue.desired, blue.in_service(), blue.grace_seconds), (0, 4, 2, 2, 240));
    assert_eq!((blue.health_check_type.as_str(), &blue.target_groups), ("ELB", &vec![seeded.groups["Beta-Blue"].clone()]));
    assert_eq!(blue.suspended, BTreeSet::from(["AZRebalance".to_string()]));
    assert!(blue.instances.iter().all(|i| i.healthy && i.id.starts_with("i-") && i.zone.starts_with("us-east-1")));
    assert!(blue.instances[0].id < blue.instances[1].id);
    assert!(groups["beta-green"].instances.is_empty());
    assert!(account.activities("beta-blue", 5).await.unwrap().is_empty(), "moto keeps none");
}

async fn reads_balancing(account: &Account, seeded: &Seeded) {
    let lb = account.load_balancer("GccExplorerApp").await.unwrap().unwrap();
    assert_eq!(lb.arn, seeded.lb);
    assert_eq!(account.load_balancer("nobody").await.unwrap(), None);
    let listeners = account.listeners(&lb.arn).await.unwrap();
    assert_eq!(listeners.iter().map(|l| (l.port, l.protocol.as_str())).collect::<Vec<_>>(), [(80, "HTTP"), (8080, "HTTP")]);
    let blue = seeded.groups["Beta-Blue"].as_str();
    assert!(listeners.iter().all(|l| l.forward.as_ref().unwrap().live() == [blue]));

    let rules = account.rules(&seeded.listeners[0]).await.unwrap();
    assert_eq!(rules.iter().map(|r| r.priority.as_str()).collect::<Vec<_>>(), ["2", "10", "default"]);
    assert_eq!((&rules[0].hosts[..], &rules[1].paths[..]), (&["b.example.com".to_string()][..], &["/beta*".to_string()][..]));
    assert_eq!((&rules[1].other_conditions[..], rules[1].arn.as_str()), (&["http-header".to_string()][..], seeded.rule.as_str()));
    assert_eq!(rules[1].forward.as_ref().unwrap().stickiness_seconds, Some(60));

    let groups = account.target_groups(&["Beta-Blue", "Beta-Grey"]).await.unwrap();
    assert_eq!(groups.keys().collect::<Vec<_>>(), ["Beta-Blue"]);
    let group = &groups["Beta-Blue"];
    assert_eq!((group.arn.as_str(), group.check_path.as_str(), group.check_interval_seconds), (blue, "/healthcheck", 10));
    // moto names it once for each rule.
    assert!(!group.load_balancers.is_empty() && group.load_balancers.iter().all(|arn| *arn == lb.arn));
    assert_eq!(account.target_group_attributes(blue).await.unwrap()["deregistration_delay.timeout_seconds"], "300");
    let health = account.target_health(blue).await.unwrap();
    assert_eq!((health.len(), health[0].state.as_str()), (2, "healthy"));
    assert_eq!(account.target_health(&format!("{blue}0")).await.unwrap_err().kind, Kind::NotFound);
}

async fn reads_storage(account: &Account) {
    let color = account.parameter("/ce/beta/active-color").await.unwrap().unwrap();
    assert_eq!((color.value.as_str(), color.version), ("blue", 1));
    assert_eq!(account.parameter("/ce/beta/none").await.unwrap(), None);
    assert_eq!(account.parameter("/secret").await.unwrap_err().kind, Kind::Invalid);
    let mut names: Vec<String> = (0..12).map(|n| format!("/many/{n:02}")).collect();
    names.push("/many/none".into());
    let many = account.parameters(&names.iter().map(String::as_str).collect::<Vec<_>>()).await.unwrap();
    assert_eq!((many.len(), many["/many/11"].value.as_str()), (12, "11"));

    assert_eq!(account.object(BUCKET, "version/beta").await.unwrap().unwrap().body, b"gh-1");
    assert_eq!(account.object(BUCKET, "version/none").await.unwrap(), None);
    assert_eq!(account.object("no-such-bucket", "k").await.unwrap_err().code, "NoSuchBucket");
    assert!(account.object_exists(BUCKET, "version/beta").await.unwrap());
    assert!(!account.object_exists(BUCKET, "version/none").await.unwrap());
    let many = account.list_objects(BUCKET, "many/").await.unwrap();
    assert_eq!((many.len(), many[1004].key.as_str(), many[0].size), (1005, "many/1004", 1));
}

async fn changes_groups(account: &Account) {
    let action = Action::Capacity { asg: "beta-green".into(), min: Some(1), max: None, desired: Some(2) };
    let (before, after) = there_and_back(account, &action).await;
    assert_eq!((before["desired"].as_deref(), after["desired"].as_deref()), (Some("0"), Some("2")));
    assert_eq!(account.groups(&["beta-green"]).await.unwrap()["beta-green"].max, 4);

    let suspend = BTreeSet::from(["AlarmNotification".to_string(), "AZRebalance".to_string()]);
    let action = Action::Processes { asg: "beta-blue".into(), suspend, resume: BTreeSet::new() };
    there_and_back(account, &action).await;
    let missing = Action::Capacity { asg: "beta-grey".into(), min: Some(1), max: None, desired: None };
    assert_eq!(account.facts(&missing).await.unwrap_err().kind, Kind::NotFound);
}

async fn changes_routes(account: &Account, seeded: &Seeded) {
    let action = seeded.forward(0, 100);
    let (before, after) = there_and_back(account, &action).await;
    assert_eq!((before.len(), &after), (6, &action.wanted()));
    // Each route keeps what is not a target group: the rule is sticky still.
    let rules = account.rules(&seeded.listeners[0]).await.unwrap();
    let forward = rules[1].forward.as_ref().unwrap();
    assert_eq!((forward.stickiness_seconds, forward.live()), (Some(60), vec![seeded.groups["Beta-Blue"].as_str()]));
}

async fn changes_storage(account: &Account) {
    let parameter = |name: &str| Action::Parameter { name: name.into(), value: Some("green".into()) };
    there_and_back(account, &parameter("/ce/beta/active-color")).await;
    there_and_back(account, &parameter("/ce/beta/new")).await;
    assert_eq!(account.parameter("/ce/beta/new").await.unwrap(), None);
    let object = |key: &str| Action::Object { bucket: BUCKET.into(), key: key.into(), text: Some("gh-2".into()) };
    there_and_back(account, &object("version/beta")).await;
    there_and_back(account, &object("version/new")).await;
    assert!(!account.object_exists(BUCKET, "version/new").await.unwrap());
    let copy = |to: &str| Action::Copy { bucket: BUCKET.into(), from: "dist/a b+c.json".into(), to: to.into() };
    there_and_back(account, &copy("version/beta")).await;
    there_and_back(account, &copy("version/new")).await;
}

async fn conditions_hold(account: &Account) {
    let first = account.put_object(BUCKET, "bgx/lock", b"1", When::Absent).await.unwrap();
    let taken = account.put_object(BUCKET, "bgx/lock", b"2", When::Absent).await.unwrap_err();
    assert_eq!((taken.kind, taken.code.as_str()), (Kind::Conflict, "PreconditionFailed"));
    let second = account.put_object(BUCKET, "bgx/lock", b"2", When::Unchanged(&first)).await.unwrap();
    assert_eq!(account.put_object(BUCKET, "bgx/lock", b"3", When::Unchanged(&first)).await.unwrap_err().kind, Kind::Conflict);
    assert_eq!(account.delete_object(BUCKET, "bgx/lock", When::Unchanged(&first)).await.unwrap_err().kind, Kind::Conflict);
    account.delete_object(BUCKET, "bgx/lock", When::Unchanged(&second)).await.unwrap();
    account.delete_object(BUCKET, "bgx/lock", When::Always).await.unwrap();
    assert!(!account.object_exists(BUCKET, "bgx/lock").await.unwrap());
}

/// A plain request to the server, and one to where it was.
async fn probes(account: &Account, moto: Moto) {
    let request = HttpRequest { url: format!("{}/moto-api/data.json", moto.url), ..HttpRequest::default() };
    let reply = account.http(&request).await.unwrap();
    assert_eq!((reply.status, reply.body.starts_with('{')), (200, true));
    let gone = Account::new(&Connection::endpoint(&moto.url, "us-east-1"));
    drop(moto);
    assert_eq!(gone.http(&request).await.unwrap_err().kind, Kind::Unreachable);
}
