//! EC2 Auto Scaling through its SDK client.

use super::Account;
use crate::sandbox::world::Throttle;
use aws_sdk_autoscaling::error::ProvideErrorMetadata;
use aws_sdk_autoscaling::types::{Filter, InstanceRefreshStatus, LifecycleState, ScalingActivityStatusCode};
use std::time::Duration;
use tokio::time::sleep;

async fn group(account: &Account, name: &str) -> aws_sdk_autoscaling::types::AutoScalingGroup {
    let out = account.asg.describe_auto_scaling_groups().auto_scaling_group_names(name).send().await.expect("described");
    out.auto_scaling_groups.unwrap_or_default().pop().expect("it exists")
}

#[tokio::test(start_paused = true)]
async fn a_group_is_described_with_its_instances() {
    let account = Account::new();
    let blue = group(&account, "beta-blue").await;
    assert_eq!((blue.min_size, blue.max_size, blue.desired_capacity), (Some(0), Some(6), Some(2)));
    assert_eq!(blue.health_check_type.as_deref(), Some("ELB"));
    assert_eq!(blue.health_check_grace_period, Some(300));
    assert!(blue.auto_scaling_group_arn().expect("an ARN").ends_with(":autoScalingGroupName/beta-blue"));
    assert!(blue.target_group_arns()[0].contains(":targetgroup/beta-blue-tg/"));
    assert_eq!(blue.instances().len(), 2);
    let instance = &blue.instances()[0];
    assert_eq!(instance.lifecycle_state, Some(LifecycleState::InService));
    assert_eq!(instance.health_status.as_deref(), Some("Healthy"));
    assert_eq!(instance.protected_from_scale_in, Some(false));
    assert!(blue.tags().iter().any(|tag| tag.key() == Some("Color") && tag.value() == Some("blue")));
    let distribution = blue.mixed_instances_policy.and_then(|policy| policy.instances_distribution).expect("blue has spot instances");
    assert_eq!(distribution.on_demand_base_capacity, Some(1));
    assert!(group(&account, "beta-green").await.launch_template.is_some());
}

#[tokio::test(start_paused = true)]
async fn an_unknown_group_is_left_out_not_an_error() {
    let account = Account::new();
    let out = account.asg.describe_auto_scaling_groups().auto_scaling_group_names("nobody").send().await.expect("no error");
    assert!(out.auto_scaling_groups().is_empty());
}

#[tokio::test(start_paused = true)]
async fn pages_follow_the_token_and_join_to_all_groups() {
    let account = Account::new();
    let pages = account.asg.describe_auto_scaling_groups().max_records(2).into_paginator().items().send();
    let names: Vec<String> = pages
        .collect::<Result<Vec<_>, _>>()
        .await
        .expect("every page")
        .into_iter()
        .filter_map(|group| group.auto_scaling_group_name)
        .collect();
    assert_eq!(names, ["beta-blue", "beta-green", "ce-router-beta", "ce-router-prod", "prod-blue", "prod-green"]);
    let error = account.asg.describe_auto_scaling_groups().next_token("bogus").send().await.unwrap_err().into_service_error();
    assert!(error.is_invalid_next_token());
}

#[tokio::test(start_paused = true)]
async fn more_than_fifty_names_are_refused_unless_the_page_is_larger() {
    let account = Account::new();
    let names: Vec<String> = (0..51).map(|n| format!("group-{n}")).collect();
    let ask = || account.asg.describe_auto_scaling_groups().set_auto_scaling_group_names(Some(names.clone()));
    let error = ask().send().await.unwrap_err().into_service_error();
    assert_eq!(error.code(), Some("ValidationError"));
    assert_eq!(error.message(), Some("The number of group names that may be passed in is limited to 50"));
    ask().max_records(100).send().await.expect("within the page");
    let error = account.asg.describe_auto_scaling_groups().max_records(101).send().await.unwrap_err().into_service_error();
    assert_eq!(error.code(), Some("ValidationError"));
}

#[tokio::test(start_paused = true)]
async fn instances_are_left_out_on_request_and_tags_filter() {
    let account = Account::new();
    let green = Filter::builder().name("tag:Color").values("green").build();
    let out = account.asg.describe_auto_scaling_groups().filters(green).send().await.expect("described");
    assert_eq!(out.auto_scaling_groups().len(), 2);
    let out = account.asg.describe_auto_scaling_groups().include_instances(false).send().await.expect("described");
    assert!(out.auto_scaling_groups().iter().all(|group| group.instances().is_empty()));
    let strange = Filter::builder().name("color").values("green").build();
    let error = account.asg.describe_auto_scaling_groups().filters(strange).send().await.unwrap_err().into_service_error();
    assert_eq!(error.code(), Some("ValidationError"));
}

#[tokio::test(start_paused = true)]
async fn an_update_launches_instances_and_writes_activities() {
    let account = Account::new();
    account.asg.update_auto_scaling_group().auto_scaling_group_name("beta-green").min_size(2).send().await.expect("updated");
    let green = group(&account, "beta-green").await;
    assert_eq!((green.min_size, green.desired_capacity), (Some(2), Some(2)));
    assert_eq!(green.instances().iter().filter(|i| i.lifecycle_state == Some(LifecycleState::Pending)).count(), 2);
    let describe = || account.asg.describe_scaling_activities().auto_scaling_group_name("beta-green");
    let going_on = describe().send().await.expect("described");
    assert_eq!(going_on.activities().len(), 2);
    assert!(going_on.activities()[0].end_time.is_none());
    sleep(Duration::from_secs(180)).await;
    let green = group(&account, "beta-green").await;
    assert!(green.instances().iter().all(|i| i.lifecycle_state == Some(LifecycleState::InService)), "{:?}", green.instances());
    let first = describe().max_records(1).send().await.expect("described");
    assert_eq!(first.activities()[0].status_code, Some(ScalingActivityStatusCode::Successful));
    assert!(first.activities()[0].cause().expect("a cause").contains("user request"));
    let second = describe().max_records(1).next_token(first.next_token().expect("there is more")).send().await.expect("described");
    assert_ne!(first.activities()[0].activity_id, second.activities()[0].activity_id);
    assert!(second.next_token().is_none());
}

#[tokio::test(start_paused = true)]
async fn refusals_carry_awss_code_and_words() {
    let account = Account::new();
    let error = account.asg.update_auto_scaling_group().auto_scaling_group_name("nobody").min_size(1).send().await.unwrap_err();
    let error = error.into_service_error();
    assert_eq!(error.code(), Some("ValidationError"));
    assert!(error.message().expect("a message").starts_with("AutoScalingGroup name not found"));
    let error = account.asg.set_desired_capacity().auto_scaling_group_name("beta-blue").desired_capacity(9).send().await.unwrap_err();
    let error = error.into_service_error();
    assert_eq!(error.message(), Some("New SetDesiredCapacity value 9 is above max value 6 for the AutoScalingGroup."));
    let error = account.asg.update_auto_scaling_group().auto_scaling_group_name("beta-blue").min_size(-1).send().await.unwrap_err();
    assert_eq!(error.into_service_error().code(), Some("ValidationError"));
    let error =
        account.asg.update_auto_scaling_group().auto_scaling_group_name("beta-blue").health_check_type("EC2").send().await.unwrap_err();
    assert_eq!(error.into_service_error().code(), Some("NotSimulated"));
}

#[tokio::test(start_paused = true)]
async fn the_desired_capacity_is_set() {
    let account = Account::new();
    account.asg.set_desired_capacity().auto_scaling_group_name("beta-blue").desired_capacity(4).send().await.expect("set");
    assert_eq!(group(&account, "beta-blue").await.desired_capacity, Some(4));
    assert!(account.with(|sandbox| sandbox.world.groups["beta-blue"].desired == 4));
}

#[tokio::test(start_paused = true)]
async fn processes_are_suspended_and_resumed() {
    let account = Account::new();
    let suspended = |group: &aws_sdk_autoscaling::types::AutoScalingGroup| {
        group.suspended_processes().iter().filter_map(|p| p.process_name.clone()).collect::<Vec<_>>()
    };
    let suspend = account.asg.suspend_processes().auto_scaling_group_name("beta-blue");
    suspend.scaling_processes("AlarmNotification").scaling_processes("AZRebalance").send().await.expect("suspended");
    let mut names = suspended(&group(&account, "beta-blue").await);
    names.sort();
    assert_eq!(names, ["AZRebalance", "AlarmNotification"]);
    let resume = account.asg.resume_processes().auto_scaling_group_name("beta-blue");
    resume.scaling_processes("AZRebalance").send().await.expect("resumed");
    assert_eq!(suspended(&group(&account, "beta-blue").await), ["AlarmNotification"]);
    account.asg.resume_processes().auto_scaling_group_name("beta-blue").send().await.expect("all resumed");
    assert!(suspended(&group(&account, "beta-blue").await).is_empty());
}

#[tokio::test(start_paused = true)]
async fn instances_are_protected_listed_and_terminated() {
    let account = Account::new();
    let id = group(&account, "beta-blue").await.instances()[0].instance_id.clone().expect("an id");
    let protect = account.asg.set_instance_protection().auto_scaling_group_name("beta-blue").instance_ids(&id);
    protect.protected_from_scale_in(true).send().await.expect("protected");
    let listed = account.asg.describe_auto_scaling_instances().instance_ids(&id).instance_ids("i-nobody").send().await.expect("listed");
    let [one] = listed.auto_scaling_instances() else { panic!("{listed:?}") };
    assert_eq!(one.health_status(), Some("HEALTHY"));
    assert_eq!(one.protected_from_scale_in, Some(true));
    assert_eq!(one.auto_scaling_group_name(), Some("beta-blue"));
    let terminate = account.asg.terminate_instance_in_auto_scaling_group().instance_id(&id).should_decrement_desired_capacity(true);
    let activity = terminate.send().await.expect("terminating").activity.expect("an activity");
    assert_eq!(activity.auto_scaling_group_name(), Some("beta-blue"));
    assert!(activity.cause().expect("a cause").contains(&id));
    assert_eq!(group(&account, "beta-blue").await.desired_capacity, Some(1));
}

#[tokio::test(start_paused = true)]
async fn all_instances_are_listed_in_pages() {
    let account = Account::new();
    let pages = account.asg.describe_auto_scaling_instances().max_records(3).into_paginator().items().send();
    let all = pages.collect::<Result<Vec<_>, _>>().await.expect("every page");
    assert_eq!(all.len(), 3 + 2 + 1 + 1);
}

#[tokio::test(start_paused = true)]
async fn asking_too_often_is_throttled_until_the_bucket_fills() {
    let account = Account::new();
    account.with(|sandbox| {
        let now = sandbox.world.now;
        sandbox.world.throttles.insert("autoscaling".into(), Throttle { capacity: 2.0, per_second: 0.1, tokens: 2.0, at: now });
    });
    let ask = || account.asg.describe_auto_scaling_groups().send();
    ask().await.expect("first token");
    ask().await.expect("second token");
    let error = ask().await.unwrap_err().into_service_error();
    assert_eq!((error.code(), error.message()), (Some("Throttling"), Some("Rate exceeded")));
    sleep(Duration::from_secs(10)).await;
    ask().await.expect("one token came back");
}

#[tokio::test(start_paused = true)]
async fn an_instance_leaves_for_standby_and_comes_back() {
    let account = Account::new();
    let id = group(&account, "beta-blue").await.instances()[0].instance_id().expect("an id").to_owned();
    let enter = |decrement| {
        account.asg.enter_standby().auto_scaling_group_name("beta-blue").instance_ids(&id).should_decrement_desired_capacity(decrement)
    };
    let out = enter(true).send().await.expect("it goes");
    assert!(out.activities()[0].cause().expect("a cause").ends_with("shrinking the capacity from 2 to 1."));
    let blue = group(&account, "beta-blue").await;
    assert_eq!((blue.desired_capacity, blue.instances().len()), (Some(1), 2));
    let state = |blue: &aws_sdk_autoscaling::types::AutoScalingGroup| {
        blue.instances().iter().find(|i| i.instance_id() == Some(id.as_str())).and_then(|i| i.lifecycle_state.clone())
    };
    assert_eq!(state(&blue), Some(LifecycleState::Standby));
    let error = enter(true).send().await.unwrap_err().into_service_error();
    assert_eq!(error.message(), Some(format!("The instance {id} is not in InService.").as_str()));
    sleep(Duration::from_secs(30)).await;
    account.asg.exit_standby().auto_scaling_group_name("beta-blue").instance_ids(&id).send().await.expect("it comes");
    let blue = group(&account, "beta-blue").await;
    assert_eq!((blue.desired_capacity, state(&blue)), (Some(2), Some(LifecycleState::InService)));
    enter(false).send().await.expect("it goes again");
    sleep(Duration::from_secs(120)).await;
    let blue = group(&account, "beta-blue").await;
    assert_eq!((blue.desired_capacity, blue.instances().len()), (Some(2), 3), "another one was launched in its place");
}

#[tokio::test(start_paused = true)]
async fn standby_keeps_to_the_bounds_of_the_group() {
    let account = Account::new();
    let id = group(&account, "beta-blue").await.instances()[0].instance_id().expect("an id").to_owned();
    account.asg.update_auto_scaling_group().auto_scaling_group_name("beta-blue").min_size(2).send().await.expect("updated");
    let enter = account.asg.enter_standby().auto_scaling_group_name("beta-blue").instance_ids(&id).should_decrement_desired_capacity(true);
    let error = enter.send().await.unwrap_err().into_service_error();
    assert!(error.message().expect("a text").contains("To place into standby 1 instance"), "{error:?}");
    let exit = account.asg.exit_standby().auto_scaling_group_name("beta-blue").instance_ids(&id);
    assert_eq!(exit.send().await.unwrap_err().into_service_error().code(), Some("ValidationError"));
    let strange = account.asg.exit_standby().auto_scaling_group_name("beta-green").instance_ids(&id).send().await;
    assert!(strange.unwrap_err().into_service_error().message().expect("a text").contains("is not part of"));
}

#[tokio::test(start_paused = true)]
async fn a_refresh_tells_how_far_it_is_and_is_cancelled_once() {
    let account = Account::new();
    let percent = aws_sdk_autoscaling::types::RefreshPreferences::builder().min_healthy_percentage(50).instance_warmup(30).build();
    let start = || account.asg.start_instance_refresh().auto_scaling_group_name("beta-blue").preferences(percent.clone());
    let id = start().send().await.expect("it begins").instance_refresh_id.expect("an id");
    assert!(start().send().await.unwrap_err().into_service_error().is_instance_refresh_in_progress_fault());
    let newest = async || {
        let out = account.asg.describe_instance_refreshes().auto_scaling_group_name("beta-blue").max_records(1).send().await;
        out.expect("described").instance_refreshes.unwrap_or_default().remove(0)
    };
    assert_eq!(newest().await.status, Some(InstanceRefreshStatus::Pending));
    sleep(Duration::from_secs(60)).await;
    let refresh = newest().await;
    assert_eq!((refresh.status, refresh.instance_refresh_id), (Some(InstanceRefreshStatus::InProgress), Some(id)));
    assert_eq!(refresh.preferences.expect("as asked").min_healthy_percentage, Some(50));
    assert_eq!((refresh.percentage_complete, refresh.instances_to_update), (Some(0), Some(2)));
    let rolled = account.asg.rollback_instance_refresh().auto_scaling_group_name("beta-blue").send().await;
    assert!(rolled.unwrap_err().into_service_error().is_irreversible_instance_refresh_fault());
    let cancel = || account.asg.cancel_instance_refresh().auto_scaling_group_name("beta-blue").wait_for_transitioning_instances(false);
    cancel().send().await.expect("it is cancelled");
    sleep(Duration::from_secs(10)).await;
    assert_eq!(newest().await.status, Some(InstanceRefreshStatus::Cancelled));
    assert!(cancel().send().await.unwrap_err().into_service_error().is_active_instance_refresh_not_found_fault());
    start().send().await.expect("another one");
    sleep(Duration::from_secs(1200)).await;
    let done = newest().await;
    assert_eq!((done.status, done.percentage_complete), (Some(InstanceRefreshStatus::Successful), Some(100)));
    assert!(done.end_time.expect("an end").secs() > done.start_time.expect("a start").secs());
}

#[tokio::test(start_paused = true)]
async fn a_refresh_with_what_the_sandbox_does_not_act_on_is_refused() {
    let account = Account::new();
    let skip = aws_sdk_autoscaling::types::RefreshPreferences::builder().skip_matching(true).build();
    let error = account.asg.start_instance_refresh().auto_scaling_group_name("beta-blue").preferences(skip).send().await.unwrap_err();
    assert_eq!(error.into_service_error().code(), Some("NotSimulated"));
    let nobody = account.asg.describe_instance_refreshes().auto_scaling_group_name("nobody").send().await.unwrap_err();
    assert!(nobody.into_service_error().message().expect("a text").contains("AutoScalingGroup name not found"));
}

#[tokio::test(start_paused = true)]
async fn policies_say_what_target_tracking_holds() {
    let account = Account::new();
    let policies = async |group: &str| {
        let out = account.asg.describe_policies().auto_scaling_group_name(group).send().await.expect("described");
        out.scaling_policies.unwrap_or_default()
    };
    assert!(policies("beta-blue").await.is_empty(), "no group of this world is scaled");
    account.sandbox.lock().expect("nobody else has it").world.groups.get_mut("beta-blue").expect("it is there").cpu_target = Some(25.0);
    let found = policies("beta-blue").await;
    let tracking = found[0].target_tracking_configuration.clone().expect("it tracks");
    assert_eq!((found.len(), tracking.target_value), (1, Some(25.0)));
    let metric = tracking.predefined_metric_specification.and_then(|metric| metric.predefined_metric_type);
    assert_eq!(metric.expect("a metric").as_str(), "ASGAverageCPUUtilization");
    assert!(account.asg.describe_policies().auto_scaling_group_name("nobody").send().await.is_err());
}
