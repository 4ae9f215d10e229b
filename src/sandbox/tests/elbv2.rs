//! Elastic Load Balancing v2 through its SDK client.

use super::Account;
use aws_sdk_elasticloadbalancingv2::error::ProvideErrorMetadata;
use aws_sdk_elasticloadbalancingv2::types::{
    Action, ActionTypeEnum, FixedResponseActionConfig, ForwardActionConfig, Rule, TargetDescription, TargetGroup, TargetGroupTuple,
    TargetHealthStateEnum,
};
use std::time::Duration;
use tokio::time::sleep;

async fn balancer(account: &Account) -> String {
    let out = account.elb.describe_load_balancers().names("GccExplorerApp").send().await.expect("described");
    out.load_balancers()[0].load_balancer_arn.clone().expect("an ARN")
}

/// ARN of the listener on a port.
async fn listener(account: &Account, port: i32) -> String {
    let out = account.elb.describe_listeners().load_balancer_arn(balancer(account).await).send().await.expect("described");
    let found = out.listeners().iter().find(|listener| listener.port == Some(port)).expect("it exists");
    found.listener_arn.clone().expect("an ARN")
}

async fn rules(account: &Account) -> Vec<Rule> {
    account.elb.describe_rules().listener_arn(listener(account, 80).await).send().await.expect("described").rules.expect("a list")
}

async fn group(account: &Account, name: &str) -> TargetGroup {
    let out = account.elb.describe_target_groups().names(name).send().await.expect("described");
    out.target_groups.unwrap_or_default().pop().expect("it exists")
}

async fn arn(account: &Account, name: &str) -> String {
    group(account, name).await.target_group_arn.expect("an ARN")
}

fn forward(targets: &[(&str, i32)]) -> Action {
    let tuples = targets.iter().map(|(arn, weight)| TargetGroupTuple::builder().target_group_arn(*arn).weight(*weight).build());
    let config = ForwardActionConfig::builder().set_target_groups(Some(tuples.collect())).build();
    Action::builder().r#type(ActionTypeEnum::Forward).forward_config(config).build()
}

/// Target groups and weights of a forward action.
fn weights(action: &Action) -> Vec<(String, i32)> {
    let config = action.forward_config.as_ref().expect("a forward action");
    config.target_groups().iter().map(|t| (t.target_group_arn.clone().expect("an ARN"), t.weight.expect("a weight"))).collect()
}

#[tokio::test(start_paused = true)]
async fn load_balancers_are_found_by_name_and_arn() {
    let account = Account::new();
    let arn = balancer(&account).await;
    let out = account.elb.describe_load_balancers().load_balancer_arns(&arn).send().await.expect("described");
    assert_eq!(out.load_balancers()[0].load_balancer_name(), Some("GccExplorerApp"));
    assert!(out.load_balancers()[0].dns_name().expect("a name").ends_with(".elb.amazonaws.com"));
    let error = account.elb.describe_load_balancers().names("nobody").send().await.unwrap_err().into_service_error();
    assert!(error.is_load_balancer_not_found_exception());
    assert_eq!(error.code(), Some("LoadBalancerNotFound"));
    let both = account.elb.describe_load_balancers().names("a").load_balancer_arns("b").send().await.unwrap_err().into_service_error();
    assert_eq!(both.code(), Some("ValidationError"));
}

#[tokio::test(start_paused = true)]
async fn listeners_show_their_default_action_in_both_forms() {
    let account = Account::new();
    let blue = arn(&account, "prod-blue-tg").await;
    let out = account.elb.describe_listeners().listener_arns(listener(&account, 443).await).send().await.expect("described");
    let [https] = out.listeners() else { panic!("{out:?}") };
    assert_eq!(https.protocol.as_ref().map(|p| p.as_str()), Some("HTTPS"));
    assert_eq!(https.certificates().len(), 1);
    assert_eq!(https.default_actions()[0].target_group_arn(), Some(blue.as_str()));
    assert_eq!(weights(&https.default_actions()[0]), [(blue, 1)]);
    let error = account.elb.describe_listeners().listener_arns("arn:nobody").send().await.unwrap_err().into_service_error();
    assert!(error.is_listener_not_found_exception());
    let error = account.elb.describe_listeners().send().await.unwrap_err().into_service_error();
    assert_eq!(error.code(), Some("ValidationError"));
}

#[tokio::test(start_paused = true)]
async fn rules_come_by_priority_and_the_default_last() {
    let account = Account::new();
    let rules = rules(&account).await;
    let [beta, default] = rules.as_slice() else { panic!("{rules:?}") };
    assert_eq!((beta.priority(), beta.is_default), (Some("10"), Some(false)));
    assert_eq!(beta.conditions()[0].field(), Some("path-pattern"));
    assert_eq!(beta.conditions()[0].path_pattern_config().expect("a config").values(), ["/beta*"]);
    assert_eq!((default.priority(), default.is_default), (Some("default"), Some(true)));
    assert!(default.rule_arn().expect("an ARN").contains(":listener-rule/app/"));
    let by_arn = account.elb.describe_rules().rule_arns(beta.rule_arn().expect("an ARN")).send().await.expect("described");
    assert_eq!(by_arn.rules(), &rules[..1]);
    let by_arn = account.elb.describe_rules().rule_arns(default.rule_arn().expect("an ARN")).send().await.expect("described");
    assert_eq!(by_arn.rules(), &rules[1..]);
    let error = account.elb.describe_rules().rule_arns("arn:nobody").send().await.unwrap_err().into_service_error();
    assert!(error.is_rule_not_found_exception());
    let error = account.elb.describe_rules().listener_arn("arn:nobody").send().await.unwrap_err().into_service_error();
    assert!(error.is_listener_not_found_exception());
}

#[tokio::test(start_paused = true)]
async fn a_rule_with_two_groups_is_echoed_in_one_form_only() {
    let account = Account::new();
    let (blue, green) = (arn(&account, "beta-blue-tg").await, arn(&account, "beta-green-tg").await);
    let rule = rules(&account).await[0].rule_arn.clone().expect("an ARN");
    let out = account.elb.modify_rule().rule_arn(&rule).actions(forward(&[(&blue, 100), (&green, 0)])).send().await.expect("modified");
    let wanted = [(blue, 100), (green, 0)];
    assert_eq!(weights(&out.rules()[0].actions()[0]), wanted);
    let seen = rules(&account).await;
    assert_eq!(weights(&seen[0].actions()[0]), wanted);
    assert_eq!(seen[0].actions()[0].target_group_arn(), None);
}

#[tokio::test(start_paused = true)]
async fn the_default_rule_is_changed_by_its_listener_only() {
    let account = Account::new();
    let green = arn(&account, "prod-green-tg").await;
    let default = rules(&account).await[1].rule_arn.clone().expect("an ARN");
    let action = Action::builder().r#type(ActionTypeEnum::Forward).target_group_arn(&green).build();
    let error = account.elb.modify_rule().rule_arn(default).actions(action.clone()).send().await.unwrap_err().into_service_error();
    assert!(error.is_operation_not_permitted_exception());
    let port_80 = listener(&account, 80).await;
    let out = account.elb.modify_listener().listener_arn(&port_80).default_actions(action).send().await.expect("modified");
    assert_eq!(weights(&out.listeners()[0].default_actions()[0]), [(green.clone(), 1)]);
    assert_eq!(weights(&rules(&account).await[1].actions()[0]), [(green, 1)]);
}

#[tokio::test(start_paused = true)]
async fn wrong_actions_are_refused() {
    let account = Account::new();
    let rule = rules(&account).await[0].rule_arn.clone().expect("an ARN");
    let blue = arn(&account, "beta-blue-tg").await;
    let modify = |action: Action| account.elb.modify_rule().rule_arn(&rule).actions(action).send();
    let missing = format!("{blue}x");
    let error = modify(forward(&[(&missing, 1)])).await.unwrap_err().into_service_error();
    assert!(error.is_target_group_not_found_exception());
    let error = modify(forward(&[(&blue, 1000)])).await.unwrap_err().into_service_error();
    assert_eq!(error.code(), Some("ValidationError"));
    let error = account.elb.modify_rule().rule_arn("arn:nobody").actions(forward(&[(&blue, 1)])).send().await.unwrap_err();
    assert!(error.into_service_error().is_rule_not_found_exception());
    let error = account.elb.modify_listener().listener_arn("arn:nobody").default_actions(forward(&[(&blue, 1)])).send().await.unwrap_err();
    assert!(error.into_service_error().is_listener_not_found_exception());
}

#[tokio::test(start_paused = true)]
async fn a_fixed_response_comes_back_as_sent() {
    let account = Account::new();
    let config =
        FixedResponseActionConfig::builder().status_code("503").content_type("text/plain").message_body("<closed> & \"bye\"").build();
    let action = Action::builder().r#type(ActionTypeEnum::FixedResponse).fixed_response_config(config.clone()).build();
    let port_80 = listener(&account, 80).await;
    account.elb.modify_listener().listener_arn(&port_80).default_actions(action).send().await.expect("modified");
    let out = account.elb.describe_listeners().listener_arns(&port_80).send().await.expect("described");
    assert_eq!(out.listeners()[0].default_actions()[0].fixed_response_config, Some(config));
}

#[tokio::test(start_paused = true)]
async fn target_groups_know_their_load_balancer_only_when_a_rule_names_them() {
    let account = Account::new();
    let lb = balancer(&account).await;
    let blue = group(&account, "beta-blue-tg").await;
    assert_eq!(blue.load_balancer_arns(), std::slice::from_ref(&lb));
    assert_eq!((blue.health_check_interval_seconds, blue.port), (Some(10), Some(80)));
    assert_eq!(blue.target_type.as_ref().map(|t| t.as_str()), Some("instance"));
    assert!(group(&account, "beta-green-tg").await.load_balancer_arns().is_empty());
    let in_use = account.elb.describe_target_groups().load_balancer_arn(&lb).send().await.expect("described");
    let names: Vec<_> = in_use.target_groups().iter().filter_map(|group| group.target_group_name()).collect();
    assert_eq!(names.len(), 2);
    assert!(names.contains(&"beta-blue-tg") && names.contains(&"prod-blue-tg"), "{names:?}");
    let error = account.elb.describe_target_groups().names("beta-blue-tg").names("nobody").send().await.unwrap_err().into_service_error();
    assert!(error.is_target_group_not_found_exception());
    let many = (0..21).map(|n| format!("tg-{n}")).collect();
    let error = account.elb.describe_target_groups().set_names(Some(many)).send().await.unwrap_err().into_service_error();
    assert_eq!(error.message(), Some("You cannot describe more than '20' target groups at a time"));
}

#[tokio::test(start_paused = true)]
async fn markers_lead_through_all_target_groups() {
    let account = Account::new();
    let pages = account.elb.describe_target_groups().page_size(3).into_paginator().items().send();
    assert_eq!(pages.collect::<Result<Vec<_>, _>>().await.expect("every page").len(), 4);
    let error = account.elb.describe_target_groups().marker("bogus").send().await.unwrap_err().into_service_error();
    assert_eq!(error.code(), Some("ValidationError"));
}

#[tokio::test(start_paused = true)]
async fn attributes_of_a_target_group_are_listed() {
    let account = Account::new();
    let blue = arn(&account, "beta-blue-tg").await;
    let out = account.elb.describe_target_group_attributes().target_group_arn(&blue).send().await.expect("described");
    let value = |key: &str| out.attributes().iter().find(|a| a.key() == Some(key)).and_then(|a| a.value().map(str::to_owned));
    assert_eq!(value("deregistration_delay.timeout_seconds").as_deref(), Some("20"));
    assert_eq!(value("stickiness.enabled").as_deref(), Some("false"));
    let error = account.elb.describe_target_group_attributes().target_group_arn("arn:nobody").send().await.unwrap_err();
    assert!(error.into_service_error().is_target_group_not_found_exception());
}

#[tokio::test(start_paused = true)]
async fn targets_are_healthy_behind_a_rule_and_unused_elsewhere() {
    let account = Account::new();
    let health = async |group: &str| {
        let out = account.elb.describe_target_health().target_group_arn(arn(&account, group).await).send().await.expect("described");
        out.target_health_descriptions.unwrap_or_default()
    };
    let states: Vec<_> = health("beta-blue-tg").await.into_iter().filter_map(|t| t.target_health.and_then(|h| h.state)).collect();
    assert_eq!(states, [TargetHealthStateEnum::Healthy, TargetHealthStateEnum::Healthy]);
    account.asg.set_desired_capacity().auto_scaling_group_name("beta-green").desired_capacity(1).send().await.expect("set");
    sleep(Duration::from_secs(300)).await;
    let [idle] = health("beta-green-tg").await.try_into().expect("one target");
    let shown = idle.target_health.expect("a state");
    assert_eq!(shown.state, Some(TargetHealthStateEnum::Unused));
    assert_eq!(shown.reason.as_ref().map(|r| r.as_str()), Some("Target.NotInUse"));
    let stranger = TargetDescription::builder().id("i-0123456789abcdef0").build();
    let ask = account.elb.describe_target_health().target_group_arn(arn(&account, "beta-blue-tg").await).targets(stranger);
    let out = ask.send().await.expect("described");
    let reason = out.target_health_descriptions()[0].target_health().and_then(|h| h.reason()).map(|r| r.as_str());
    assert_eq!(reason, Some("Target.NotRegistered"));
    let error = account.elb.describe_target_health().target_group_arn("arn:nobody").send().await.unwrap_err().into_service_error();
    assert!(error.is_target_group_not_found_exception());
}

#[tokio::test(start_paused = true)]
async fn targets_leave_and_come_back() {
    let account = Account::new();
    let blue = arn(&account, "beta-blue-tg").await;
    let health = account.elb.describe_target_health().target_group_arn(&blue).send().await.expect("described");
    let target = health.target_health_descriptions()[0].target.clone().expect("a target");
    let state = async || {
        let out = account.elb.describe_target_health().target_group_arn(&blue).targets(target.clone()).send().await.expect("described");
        out.target_health_descriptions()[0].target_health.clone().and_then(|h| h.state).expect("a state")
    };
    account.elb.deregister_targets().target_group_arn(&blue).targets(target.clone()).send().await.expect("leaving");
    assert_eq!(state().await, TargetHealthStateEnum::Draining);
    sleep(Duration::from_secs(30)).await;
    assert_eq!(state().await, TargetHealthStateEnum::Unused);
    account.elb.register_targets().target_group_arn(&blue).targets(target.clone()).send().await.expect("coming");
    assert_eq!(state().await, TargetHealthStateEnum::Initial);
    sleep(Duration::from_secs(60)).await;
    assert_eq!(state().await, TargetHealthStateEnum::Healthy);
    let stranger = TargetDescription::builder().id("i-0123456789abcdef0").build();
    account.elb.deregister_targets().target_group_arn(&blue).targets(stranger.clone()).send().await.expect("an unknown target succeeds");
    let error = account.elb.register_targets().target_group_arn(&blue).targets(stranger).send().await.unwrap_err();
    assert!(error.into_service_error().is_invalid_target_exception());
}

#[tokio::test(start_paused = true)]
async fn the_published_rates_hold() {
    let account = Account::new();
    account.with(|sandbox| sandbox.world.timing.call = crate::sandbox::world::Range::ms(0, 0));
    let ask = || account.elb.describe_target_groups().send();
    for _ in 0..40 {
        ask().await.expect("within the burst");
    }
    let error = ask().await.unwrap_err().into_service_error();
    assert_eq!((error.code(), error.message()), (Some("Throttling"), Some("Rate exceeded")));
    sleep(Duration::from_secs(1)).await;
    for _ in 0..10 {
        ask().await.expect("ten a second come back");
    }
    ask().await.expect_err("and no more");
}
