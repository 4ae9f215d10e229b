//! What goes over the wire for each action.

use super::super::testing::{Log, account, error, json_error, reply, s3_error, success};
use super::super::{Kind, RouteRef};
use super::*;

const LISTENER: &str = "arn:aws:elasticloadbalancing:us-east-1:1:listener/app/Lb/1/2";

fn bodies(log: &Log) -> Vec<String> {
    log.lock().unwrap().iter().map(|sent| sent.body.clone()).collect()
}

fn route(rule: Option<&str>) -> RouteRef {
    RouteRef { listener: LISTENER.into(), rule: rule.map(String::from), label: rule.unwrap_or("default").into() }
}

fn forward(routes: Vec<RouteRef>) -> Action {
    Action::Forward { env: "beta".into(), routes, weights: BTreeMap::from([("blue".to_string(), 0), ("green".to_string(), 100)]) }
}

/// Actions of a rule: a login, then a sticky forward to blue.
const ACTIONS: &str = "<member><Type>authenticate-oidc</Type><Order>1</Order><AuthenticateOidcConfig><Issuer>i</Issuer>\
    <AuthorizationEndpoint>a</AuthorizationEndpoint><TokenEndpoint>t</TokenEndpoint><UserInfoEndpoint>u</UserInfoEndpoint>\
    <ClientId>c</ClientId></AuthenticateOidcConfig></member>\
    <member><Type>forward</Type><Order>2</Order><TargetGroupArn>blue</TargetGroupArn><ForwardConfig><TargetGroups>\
    <member><TargetGroupArn>blue</TargetGroupArn><Weight>1</Weight></member></TargetGroups><TargetGroupStickinessConfig>\
    <Enabled>true</Enabled><DurationSeconds>60</DurationSeconds></TargetGroupStickinessConfig></ForwardConfig></member>";

fn rules(arns: &[&str]) -> String {
    let rule = |arn: &&str| format!("<member><RuleArn>{arn}</RuleArn><Priority>1</Priority><Actions>{ACTIONS}</Actions></member>");
    format!("<Rules>{}</Rules>", arns.iter().map(rule).collect::<String>())
}

fn listeners() -> String {
    format!(
        "<Listeners><member><ListenerArn>{LISTENER}</ListenerArn><Port>80</Port><DefaultActions>{ACTIONS}</DefaultActions></member></Listeners>"
    )
}

#[tokio::test(start_paused = true)]
async fn only_the_given_sizes_are_sent() {
    let (account, log) = account(|_, _| reply(200, "<UpdateAutoScalingGroupResponse/>"));
    let action = Action::Capacity { asg: "beta-green".into(), min: Some(2), max: None, desired: Some(0) };
    account.apply(&action, &Facts::Parameter(None), None).await.unwrap();
    assert_eq!(
        bodies(&log),
        ["Action=UpdateAutoScalingGroup&Version=2011-01-01&AutoScalingGroupName=beta-green&MinSize=2&DesiredCapacity=0"]
    );
    let action = Action::Capacity { asg: "beta-green".into(), min: Some(u32::MAX), max: None, desired: None };
    assert_eq!(account.apply(&action, &Facts::Parameter(None), None).await.unwrap_err().kind, Kind::Invalid);
    assert_eq!(bodies(&log).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn no_empty_list_of_processes_is_ever_sent() {
    let (account, log) = account(|_, sent| {
        let operation = if sent.body.contains("Action=Suspend") { "SuspendProcesses" } else { "ResumeProcesses" };
        reply(200, format!("<{operation}Response/>"))
    });
    let processes = |suspend: &[&str], resume: &[&str]| Action::Processes {
        asg: "g".into(),
        suspend: suspend.iter().map(|p| p.to_string()).collect(),
        resume: resume.iter().map(|p| p.to_string()).collect(),
    };
    for (suspend, resume) in [(&[][..], &[][..]), (&["Launch", "AZRebalance"], &[]), (&[], &["Terminate"])] {
        account.apply(&processes(suspend, resume), &Facts::Parameter(None), None).await.unwrap();
    }
    let sent = bodies(&log);
    assert_eq!(sent.len(), 2);
    assert!(sent[0].ends_with("ScalingProcesses.member.1=AZRebalance&ScalingProcesses.member.2=Launch"), "{}", sent[0]);
    assert!(sent[1].contains("Action=ResumeProcesses") && sent[1].ends_with("ScalingProcesses.member.1=Terminate"), "{}", sent[1]);
}

#[tokio::test(start_paused = true)]
async fn everything_but_the_target_groups_goes_back_as_read() {
    let (account, log) = account(|_, sent| match () {
        () if sent.body.contains("Action=DescribeRules") => success("DescribeRules", &rules(&["rule-1"])),
        () if sent.body.contains("Action=DescribeListeners") => success("DescribeListeners", &listeners()),
        () if sent.body.contains("Action=ModifyRule") => success("ModifyRule", ""),
        () => success("ModifyListener", ""),
    });
    let action = forward(vec![route(Some("rule-1")), route(None)]);
    let facts = account.facts(&action).await.unwrap();
    account.apply(&action, &facts, None).await.unwrap();
    let expected = |list: &str| {
        [
            "1.Type=authenticate-oidc",
            "1.AuthenticateOidcConfig.Issuer=i",
            "1.AuthenticateOidcConfig.AuthorizationEndpoint=a",
            "1.AuthenticateOidcConfig.TokenEndpoint=t",
            "1.AuthenticateOidcConfig.UserInfoEndpoint=u",
            "1.AuthenticateOidcConfig.ClientId=c",
            "1.AuthenticateOidcConfig.UseExistingClientSecret=true",
            "1.Order=1",
            "2.Type=forward",
            "2.Order=2",
            "2.ForwardConfig.TargetGroups.member.1.TargetGroupArn=blue",
            "2.ForwardConfig.TargetGroups.member.1.Weight=0",
            "2.ForwardConfig.TargetGroups.member.2.TargetGroupArn=green",
            "2.ForwardConfig.TargetGroups.member.2.Weight=100",
            "2.ForwardConfig.TargetGroupStickinessConfig.Enabled=true",
            "2.ForwardConfig.TargetGroupStickinessConfig.DurationSeconds=60",
        ]
        .map(|part| format!("{list}.member.{part}"))
        .to_vec()
    };
    let sent = bodies(&log);
    let sent_actions = |body: &str, list: &str| -> Vec<String> {
        body.split('&').filter(|part| part.starts_with(&format!("{list}.member"))).map(String::from).collect()
    };
    assert_eq!(sent_actions(&sent[2], "Actions"), expected("Actions"));
    assert_eq!(sent_actions(&sent[3], "DefaultActions"), expected("DefaultActions"));
}

#[tokio::test(start_paused = true)]
async fn one_refused_route_does_not_keep_the_others_back() {
    let (account, log) = account(|n, sent| match () {
        () if sent.body.contains("Action=DescribeRules") => success("DescribeRules", &rules(&["r1", "r2"])),
        () if sent.body.contains("RuleArn=r1") => error(403, "AccessDenied", "no"),
        () if n < 3 => error(400, "Throttling", "Rate exceeded"),
        () => success("ModifyRule", ""),
    });
    let action = forward(vec![route(Some("r1")), route(Some("r2"))]);
    let facts = account.facts(&action).await.unwrap();
    let failure = account.apply(&action, &facts, None).await.unwrap_err();
    assert_eq!((failure.kind, failure.resource.as_str()), (Kind::Denied, "r1"));
    let calls = account.take_calls();
    assert!(calls.iter().any(|c| c.resource == "r2" && c.outcome == "ok"), "{calls:?}");
    assert_eq!(bodies(&log).iter().filter(|b| b.contains("RuleArn=r2")).count(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_route_that_is_gone_or_forwards_nothing_is_refused_before_a_call() {
    let (account, _) = account(|_, _| success("DescribeRules", &rules(&["r1"])));
    let error = account.facts(&forward(vec![route(Some("r1")), route(Some("gone"))])).await.unwrap_err();
    assert_eq!((error.kind, error.resource.as_str()), (Kind::NotFound, "gone"));
    let error = account.facts(&forward(vec![route(None), route(None)])).await.unwrap_err();
    assert_eq!(error.kind, Kind::Invalid);
    let redirect = sdk::Action::builder().r#type(sdk::ActionTypeEnum::Redirect).build();
    assert!(with_weights(&[redirect], &BTreeMap::from([("blue".to_string(), 1)])).is_err());
    let forward = sdk::Action::builder().r#type(sdk::ActionTypeEnum::Forward).build();
    assert!(with_weights(&[forward], &BTreeMap::new()).is_err());
}

#[tokio::test(start_paused = true)]
async fn a_new_parameter_is_a_string_and_an_old_one_keeps_its_type() {
    let (account, log) = account(|_, _| reply(200, r#"{"Version":1,"Tier":"Standard"}"#));
    let action = Action::Parameter { name: "/p".into(), value: Some("v".into()) };
    account.apply(&action, &Facts::Parameter(None), None).await.unwrap();
    let old = Facts::Parameter(Some(super::super::Parameter { value: "u".into(), version: 1 }));
    account.apply(&action, &old, None).await.unwrap();
    let sent = bodies(&log);
    assert!(sent[0].contains(r#""Type":"String""#) && sent[0].contains(r#""Overwrite":true"#), "{}", sent[0]);
    assert!(!sent[1].contains("Type"), "{}", sent[1]);
}

#[tokio::test(start_paused = true)]
async fn to_delete_what_is_gone_is_done() {
    let (a, _) = account(|_, _| json_error(400, "ParameterNotFound"));
    a.apply(&Action::Parameter { name: "/p".into(), value: None }, &Facts::Parameter(None), None).await.unwrap();
    let (a, log) = account(|_, _| reply(204, ""));
    let delete = Action::Object { bucket: "b".into(), key: "k".into(), text: None };
    a.apply(&delete, &Facts::Object(None), None).await.unwrap();
    assert_eq!(log.lock().unwrap()[0].method, "DELETE");
}

#[tokio::test(start_paused = true)]
async fn a_foreign_reply_to_a_write_is_lost_and_the_write_is_sent_again() {
    let actions = [
        Action::Capacity { asg: "g".into(), min: Some(1), max: None, desired: None },
        Action::Processes { asg: "g".into(), suspend: BTreeSet::from(["Launch".to_string()]), resume: BTreeSet::new() },
        Action::Parameter { name: "/p".into(), value: Some("v".into()) },
        Action::Parameter { name: "/p".into(), value: None },
        Action::Object { bucket: "b".into(), key: "k".into(), text: Some("v".into()) },
        Action::Object { bucket: "b".into(), key: "k".into(), text: None },
        Action::Copy { bucket: "b".into(), from: "k".into(), to: "l".into() },
    ];
    for action in actions {
        let (account, log) = account(|_, _| super::super::testing::html());
        let failure = account.apply(&action, &Facts::Parameter(None), None).await.unwrap_err();
        assert_eq!((failure.kind, log.lock().unwrap().len()), (Kind::Lost, 8), "{action}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_put_back_is_not_replaced() {
    let headers = vec![("etag", "\"e\""), ("x-amz-request-id", "r")];
    let (account, _) = account(move |_, sent| {
        let body = if sent.uri.contains("/big") { "x".repeat(2_000_000) } else { String::new() };
        if sent.uri.contains("/none") {
            return s3_error(404, "NoSuchKey");
        }
        super::super::testing::Canned::Reply { status: 200, headers: headers.clone(), body }
    });
    let object = |key: &str| Action::Object { bucket: "b".into(), key: key.into(), text: Some("t".into()) };
    assert_eq!(account.facts(&object("big")).await.unwrap_err().kind, Kind::Invalid);
    assert!(account.facts(&object("small")).await.is_ok() && account.facts(&object("none")).await.is_ok());
    let copy = |from: &str, to: &str| Action::Copy { bucket: "b".into(), from: from.into(), to: to.into() };
    assert!(account.facts(&copy("big", "none")).await.is_ok(), "nothing is replaced");
    assert!(account.facts(&copy("big", "big2")).await.is_ok(), "it is the same already");
    assert_eq!(account.facts(&copy("small", "big")).await.unwrap_err().kind, Kind::Invalid);
}

#[tokio::test(start_paused = true)]
async fn targets_go_in_twenty_at_a_time_and_those_that_are_there_are_left_alone() {
    let group = |ids: &[String]| {
        let member = |id: &String| {
            format!(
                "<member><InstanceId>{id}</InstanceId><AvailabilityZone>a</AvailabilityZone><LifecycleState>InService</LifecycleState>\
                 <HealthStatus>Healthy</HealthStatus><ProtectedFromScaleIn>false</ProtectedFromScaleIn></member>"
            )
        };
        let members: String = ids.iter().map(member).collect();
        format!(
            "<AutoScalingGroups><member><AutoScalingGroupName>g</AutoScalingGroupName><MinSize>0</MinSize><MaxSize>50</MaxSize>\
             <DesiredCapacity>46</DesiredCapacity><DefaultCooldown>1</DefaultCooldown><AvailabilityZones/>\
             <HealthCheckType>EC2</HealthCheckType><CreatedTime>2020-01-01T00:00:00Z</CreatedTime><Instances>{members}</Instances>\
             </member></AutoScalingGroups>"
        )
    };
    let ids: Vec<String> = (10..56).map(|n| format!("i-{n}")).collect();
    let known = group(&ids[1..]);
    let healthy = "<TargetHealthDescriptions><member><Target><Id>i-11</Id></Target><TargetHealth><State>healthy</State></TargetHealth>\
                   </member></TargetHealthDescriptions>";
    let (account, log) = account(move |_, sent| match () {
        () if sent.body.contains("DescribeAutoScalingGroups") => success("DescribeAutoScalingGroups", &known),
        () if sent.body.contains("DescribeTargetHealth") => success("DescribeTargetHealth", healthy),
        () => success("RegisterTargets", ""),
    });
    let instances = ids.into_iter().collect();
    let action = Action::Targets { asg: "g".into(), target_group: "arn".into(), instances, registered: true };
    let facts = account.facts(&action).await.unwrap();
    account.apply(&action, &facts, None).await.unwrap();
    let sent: Vec<String> = bodies(&log).into_iter().filter(|body| body.contains("RegisterTargets")).collect();
    let counts: Vec<usize> = sent.iter().map(|body| body.matches(".Id=").count()).collect();
    assert_eq!(counts, [20, 20, 4], "i-10 has gone, i-11 is there");
    assert!(sent.iter().all(|body| !body.contains("=i-10&") && !body.contains("=i-11&")));
}

/// An account with a refresh under way until it is cancelled; S3 takes whatever is put.
fn under_refresh(log: &[super::super::testing::Sent]) -> super::super::testing::Canned {
    let sent = log.last().expect("a request was sent");
    let is_cancelled = log.iter().any(|sent| sent.body.contains("CancelInstanceRefresh"));
    let status = if is_cancelled { "Cancelled" } else { "InProgress" };
    match sent.body.as_str() {
        body if body.contains("DescribeInstanceRefreshes") => success(
            "DescribeInstanceRefreshes",
            &format!(
                "<InstanceRefreshes><member><InstanceRefreshId>r1</InstanceRefreshId><Status>{status}</Status></member></InstanceRefreshes>"
            ),
        ),
        body if body.contains("CancelInstanceRefresh") => success("CancelInstanceRefresh", "<InstanceRefreshId>r1</InstanceRefreshId>"),
        body if body.contains("StartInstanceRefresh") => success("StartInstanceRefresh", "<InstanceRefreshId>r2</InstanceRefreshId>"),
        _ => reply_with_etag(),
    }
}

fn reply_with_etag() -> super::super::testing::Canned {
    super::super::testing::Canned::Reply { status: 200, headers: vec![("etag", "\"e\""), ("x-amz-request-id", "r")], body: String::new() }
}

#[tokio::test(start_paused = true)]
async fn the_key_is_written_first_then_what_is_under_way_is_cancelled_then_it_begins() {
    let seen = std::sync::Mutex::new(Vec::new());
    let (account, log) = account(move |_, sent| {
        let mut seen = seen.lock().unwrap();
        seen.push(sent.clone());
        under_refresh(&seen)
    });
    let action =
        Action::Refresh { asg: "beta-blue".into(), bucket: "b".into(), key: "version/beta".into(), version: "2".into(), min_healthy: 100 };
    let group = super::super::GroupSettings { name: "beta-blue".into(), min: 0, max: 4, desired: 2, suspended: BTreeSet::new() };
    let newest = account.newest_refresh("beta-blue").await.unwrap();
    account.apply(&action, &Facts::Refresh { group, key: None, newest }, None).await.unwrap();
    let sent = bodies(&log);
    let calls: Vec<&str> = sent.iter().map(|body| body.split('&').next().unwrap_or_default()).collect();
    assert_eq!(
        calls,
        [
            "Action=DescribeInstanceRefreshes",
            "2",
            "Action=CancelInstanceRefresh",
            "Action=DescribeInstanceRefreshes",
            "Action=StartInstanceRefresh"
        ]
    );
    assert!(sent[2].contains("WaitForTransitioningInstances=false"), "{}", sent[2]);
    let preferences = "Preferences.MinHealthyPercentage=100&Preferences.MaxHealthyPercentage=110";
    assert!(sent[4].contains(preferences) && sent[4].contains("Strategy=Rolling"), "{}", sent[4]);
}

#[tokio::test(start_paused = true)]
async fn a_cancel_that_comes_too_late_is_none_that_failed() {
    let (account, _) = account(|_, _| error(400, "ActiveInstanceRefreshNotFound", "There is no active Instance Refresh."));
    let action = Action::CancelRefresh { asg: "beta-blue".into() };
    account.apply(&action, &Facts::Parameter(None), None).await.unwrap();
}
