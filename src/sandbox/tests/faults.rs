//! Spoilt calls, as the SDK reports them and as the world remembers them.

use super::{Account, BUCKET};
use crate::sandbox::fault::{KINDS, Mishap, Rule};
use crate::sandbox::world::{Action, GroupUpdate, Lifecycle};
use aws_sdk_ssm::error::ProvideErrorMetadata as _;
use aws_sdk_ssm::error::SdkError;
use std::time::Duration;
use tokio::time::Instant;

const COLOR: &str = "/compiler-explorer/beta/active-color";

async fn put(account: &Account) -> Result<i64, SdkError<aws_sdk_ssm::operation::put_parameter::PutParameterError>> {
    account.ssm.put_parameter().name(COLOR).value("green").overwrite(true).send().await.map(|out| out.version)
}

/// The parameter's version in the world: 1 before any write took effect.
fn version(account: &Account) -> u64 {
    account.with(|sandbox| sandbox.world.parameters[COLOR].version)
}

fn spoil(account: &Account, rule: Rule) {
    account.with(|sandbox| sandbox.faults.add(rule));
}

#[tokio::test(start_paused = true)]
async fn refusals_do_nothing_and_name_themselves() {
    for (rule, code) in [
        (Rule::throttle("ssm", "PutParameter"), "ThrottlingException"),
        (Rule::denied("ssm", "PutParameter"), "AccessDeniedException"),
        (Rule::expired("ssm", "PutParameter"), "ExpiredTokenException"),
        (Rule::server_error("ssm", "PutParameter"), "InternalServerError"),
        (Rule::conflict("ssm", "PutParameter"), "TooManyUpdates"),
    ] {
        let account = Account::new();
        spoil(&account, rule);
        assert_eq!(put(&account).await.unwrap_err().into_service_error().code(), Some(code));
        assert_eq!(version(&account), 1, "{code}");
        put(&account).await.expect("once only");
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_reply_took_effect_and_a_lost_request_did_not() {
    for (rule, expected) in [(Rule::lost_reply("ssm", "PutParameter"), 2), (Rule::lost_request("ssm", "PutParameter"), 1)] {
        let account = Account::new();
        spoil(&account, rule);
        let error = put(&account).await.unwrap_err();
        assert!(matches!(&error, SdkError::DispatchFailure(failure) if failure.is_io()), "{error:?}");
        assert_eq!(version(&account), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_hang_ends_at_the_callers_timeout() {
    for (rule, expected) in [(Rule::hang("ssm", "PutParameter"), 1), (Rule::hang_after("ssm", "PutParameter"), 2)] {
        let account = Account::new();
        spoil(&account, rule);
        let start = Instant::now();
        let error = put(&account).await.unwrap_err();
        assert!(matches!(&error, SdkError::DispatchFailure(failure) if failure.is_timeout()), "{error:?}");
        assert_eq!(start.elapsed(), Duration::from_secs(20));
        assert_eq!(version(&account), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn garbage_is_taken_for_success_where_no_output_is_expected() {
    let account = Account::new();
    spoil(&account, Rule::garbage("autoscaling", "SetDesiredCapacity"));
    let set = account.asg.set_desired_capacity().auto_scaling_group_name("beta-blue").desired_capacity(4);
    set.send().await.expect("the SDK does not look into it");
    assert_eq!(account.with(|sandbox| sandbox.world.groups["beta-blue"].desired), 2);
}

#[tokio::test(start_paused = true)]
async fn query_services_and_s3_fail_in_their_own_formats() {
    let account = Account::new();
    spoil(&account, Rule::conflict("autoscaling", "UpdateAutoScalingGroup"));
    let error = account.asg.update_auto_scaling_group().auto_scaling_group_name("beta-blue").min_size(1).send().await.unwrap_err();
    assert!(error.into_service_error().is_resource_contention_fault());
    spoil(&account, Rule::scaling_in_progress("SetDesiredCapacity"));
    let error = account.asg.set_desired_capacity().auto_scaling_group_name("beta-blue").desired_capacity(1).send().await.unwrap_err();
    assert!(error.into_service_error().is_scaling_activity_in_progress_fault());
    spoil(&account, Rule::expired("autoscaling", "DescribeAutoScalingGroups"));
    let error = account.asg.describe_auto_scaling_groups().send().await.unwrap_err();
    assert_eq!(error.into_service_error().code(), Some("ExpiredToken"));
    spoil(&account, Rule::throttle("s3", "GetObject"));
    let error = account.s3.get_object().bucket(BUCKET).key("version/beta").send().await.unwrap_err();
    assert_eq!(error.raw_response().map(|reply| reply.status().as_u16()), Some(503));
    assert_eq!(error.into_service_error().code(), Some("SlowDown"));
    spoil(&account, Rule::denied("s3", "HeadObject"));
    let error = account.s3.head_object().bucket(BUCKET).key("version/beta").send().await.unwrap_err().into_service_error();
    assert!(!error.is_not_found(), "403 to HEAD says nothing about existence");
    assert_eq!(error.code(), None);
}

#[tokio::test(start_paused = true)]
async fn every_kind_of_fault_spoils_a_read() {
    for (name, make) in KINDS {
        let account = Account::new();
        spoil(&account, make("ssm", "GetParameter"));
        let spoilt = account.ssm.get_parameter().name(COLOR).send().await;
        assert!(spoilt.is_err(), "{name}");
        account.ssm.get_parameter().name(COLOR).send().await.expect("once only");
    }
}

#[tokio::test(start_paused = true)]
async fn the_world_can_change_between_two_calls() {
    let account = Account::new();
    let group = "beta-blue".to_owned();
    let desired = async || {
        let out = account.asg.describe_auto_scaling_groups().auto_scaling_group_names("beta-blue").send().await.expect("described");
        out.auto_scaling_groups()[0].desired_capacity
    };
    let policy = Mishap::Policy { group: group.clone(), to: 4 };
    spoil(&account, Rule::mishap("autoscaling", "DescribeAutoScalingGroups", policy).after(1));
    assert_eq!(desired().await, Some(2));
    assert_eq!(desired().await, Some(4), "the call itself is carried out after the mishap");
    let update = GroupUpdate { max: Some(3), ..GroupUpdate::default() };
    spoil(&account, Rule::mishap("autoscaling", "DescribeAutoScalingGroups", Mishap::Resize { group, update }));
    assert_eq!(desired().await, Some(3));
}

#[test]
fn every_mishap_befalls_what_it_names_and_nothing_else() {
    let account = crate::sandbox::world::World::new(&super::spec());
    let group = "beta-blue".to_owned();
    let in_service = |world: &crate::sandbox::world::World| {
        world.instances.values().filter(|i| i.group == "beta-blue" && i.lifecycle == Lifecycle::InService).count()
    };
    let rule = account.rules.keys().next().expect("beta has one").clone();
    let closed = vec![Action::FixedResponse { status: 503, content_type: None, body: None }];
    for mishap in [
        Mishap::Interrupt { group: group.clone() },
        Mishap::Kill { group: group.clone() },
        Mishap::Break { group: group.clone() },
        Mishap::LimitCapacity { group: group.clone(), limit: Some(0) },
        Mishap::Policy { group: group.clone(), to: 3 },
        Mishap::Schedule { group: group.clone(), to: 3 },
        Mishap::Resize { group, update: GroupUpdate { min: Some(1), ..GroupUpdate::default() } },
        Mishap::Parameter { name: COLOR.into(), value: "red".into() },
        Mishap::Actions { resource: rule, actions: closed.clone() },
        Mishap::Actions { resource: account.listeners.keys().next().expect("there are two").clone(), actions: closed },
    ] {
        let mut world = account.clone();
        assert!(mishap.befall(&mut world), "{mishap:?}");
        assert_ne!(world, account, "{mishap:?}");
    }
    let mut world = account.clone();
    assert!(Mishap::Kill { group: "beta-blue".into() }.befall(&mut world));
    world.advance(world.now.after_ms(15_000));
    assert_eq!(in_service(&world), in_service(&account) - 1);
    for nothing in [Mishap::Kill { group: "beta-green".into() }, Mishap::Policy { group: "nobody".into(), to: 1 }] {
        assert!(!nothing.befall(&mut account.clone()), "{nothing:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn calls_are_counted_by_service_and_operation() {
    let account = Account::new();
    put(&account).await.expect("written");
    put(&account).await.expect("written");
    account.s3.get_object().bucket(BUCKET).key("nobody").send().await.expect_err("missing");
    let counted = |service: &str, operation: &str| account.with(|s| s.calls.get(&(service.to_owned(), operation.to_owned())).copied());
    assert_eq!(counted("ssm", "PutParameter"), Some(2));
    assert_eq!(counted("s3", "GetObject"), Some(1));
    assert_eq!(counted("ssm", "GetParameter"), None);
}
