//! A policy in force, as the SDK clients meet it.

use super::{Account, BUCKET};
use crate::sandbox::world::{Policy, Statement};
use aws_sdk_ssm::error::ProvideErrorMetadata;

const GROUP: &str = "arn:aws:autoscaling:*:*:autoScalingGroup:*:autoScalingGroupName/beta-green";

fn allowed(account: &Account, rows: &[(&str, &str)]) {
    let row = |(action, resource): &(&str, &str)| Statement::allow(vec![(*action).to_owned()], vec![(*resource).to_owned()]);
    account.sandbox.lock().unwrap().world.policy = Some(Policy::new(rows.iter().map(row).collect()));
}

#[tokio::test(start_paused = true)]
async fn each_service_denies_with_its_own_code_and_names_what_is_missing() {
    let account = Account::new();
    allowed(&account, &[]);
    let error = account.ssm.get_parameter().name("/x/y").send().await.unwrap_err();
    assert_eq!((error.code(), error.raw_response().map(|raw| raw.status().as_u16())), (Some("AccessDeniedException"), Some(400)));
    assert!(error.message().is_some_and(|text| text.ends_with(
        "is not authorized to perform: ssm:GetParameter on resource: arn:aws:ssm:us-east-1:052730242331:parameter/x/y because no identity-based policy allows the ssm:GetParameter action"
    )));
    let error = account.asg.describe_auto_scaling_groups().send().await.unwrap_err();
    assert_eq!((error.code(), error.raw_response().map(|raw| raw.status().as_u16())), (Some("AccessDenied"), Some(403)));
    let error = account.elb.describe_load_balancers().send().await.unwrap_err();
    assert_eq!(error.code(), Some("AccessDenied"));
    let error = account.s3.get_object().bucket(BUCKET).key("version/beta").send().await.unwrap_err();
    assert_eq!((error.code(), error.raw_response().map(|raw| raw.status().as_u16())), (Some("AccessDenied"), Some(403)));
    assert!(account.cloudwatch.describe_alarms().send().await.unwrap_err().raw_response().is_some_and(|raw| raw.status().as_u16() == 403));
    account.sts.get_caller_identity().send().await.expect("needs no permission");
}

#[tokio::test(start_paused = true)]
async fn a_change_is_allowed_of_what_the_statement_names_and_of_nothing_else() {
    let account = Account::new();
    allowed(&account, &[("autoscaling:UpdateAutoScalingGroup", GROUP)]);
    let update = |name: &str| account.asg.update_auto_scaling_group().auto_scaling_group_name(name).desired_capacity(1).send();
    update("beta-green").await.expect("allowed");
    let error = update("beta-blue").await.unwrap_err();
    assert_eq!(error.code(), Some("AccessDenied"));
    let suspend = account.asg.suspend_processes().auto_scaling_group_name("beta-green").send().await.unwrap_err();
    assert_eq!(suspend.code(), Some("AccessDenied"));
}

#[tokio::test(start_paused = true)]
async fn whoever_may_not_list_a_bucket_is_not_told_that_a_key_is_missing() {
    let account = Account::new();
    let objects = format!("arn:aws:s3:::{BUCKET}/*");
    let get = || account.s3.get_object().bucket(BUCKET).key("nobody").send();
    allowed(&account, &[("s3:GetObject", &objects)]);
    assert_eq!(get().await.unwrap_err().code(), Some("AccessDenied"));
    allowed(&account, &[("s3:GetObject", &objects), ("s3:ListBucket", &format!("arn:aws:s3:::{BUCKET}"))]);
    assert_eq!(get().await.unwrap_err().code(), Some("NoSuchKey"));
}

#[tokio::test(start_paused = true)]
async fn an_acl_is_a_permission_of_its_own_and_a_copy_reads_its_source() {
    let account = Account::new();
    let key = |key: &str| format!("arn:aws:s3:::{BUCKET}/{key}");
    let put = || account.s3.put_object().bucket(BUCKET).key("a").acl(aws_sdk_s3::types::ObjectCannedAcl::PublicRead).send();
    allowed(&account, &[("s3:PutObject", &key("*"))]);
    assert_eq!(put().await.unwrap_err().code(), Some("AccessDenied"));
    allowed(&account, &[("s3:PutObject*", &key("*"))]);
    put().await.expect("allowed");
    let copy = || account.s3.copy_object().bucket(BUCKET).key("b").copy_source(format!("{BUCKET}/a")).send();
    assert_eq!(copy().await.unwrap_err().code(), Some("AccessDenied"));
    allowed(&account, &[("s3:PutObject*", &key("b")), ("s3:GetObject", &key("a"))]);
    copy().await.expect("allowed");
}
