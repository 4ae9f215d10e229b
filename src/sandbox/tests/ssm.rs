//! Systems Manager and STS through their SDK clients.

use super::Account;
use aws_sdk_ssm::error::ProvideErrorMetadata;
use aws_sdk_ssm::types::{InstanceInformationStringFilter, ParameterType, PingStatus};

const COLOR: &str = "/compiler-explorer/beta/active-color";

#[tokio::test(start_paused = true)]
async fn a_parameter_is_read_written_and_deleted() {
    let account = Account::new();
    let read = account.ssm.get_parameter().name(COLOR).send().await.expect("read").parameter.expect("a parameter");
    assert_eq!((read.value(), read.version, read.r#type()), (Some("blue"), 1, Some(&ParameterType::String)));
    assert_eq!(read.arn.as_deref(), Some("arn:aws:ssm:us-east-1:052730242331:parameter/compiler-explorer/beta/active-color"));
    assert!(read.last_modified_date.is_some());
    let put = account.ssm.put_parameter().name(COLOR).value("green").overwrite(true).send().await.expect("written");
    assert_eq!(put.version, 2);
    let old = account.ssm.get_parameter().name(format!("{COLOR}:1")).send().await.expect("read").parameter.expect("a parameter");
    assert_eq!((old.name(), old.value(), old.selector()), (Some(COLOR), Some("blue"), Some(":1")));
    account.ssm.delete_parameter().name(COLOR).send().await.expect("deleted");
    let error = account.ssm.get_parameter().name(COLOR).send().await.unwrap_err().into_service_error();
    assert!(error.is_parameter_not_found());
    let error = account.ssm.delete_parameter().name(COLOR).send().await.unwrap_err().into_service_error();
    assert!(error.is_parameter_not_found());
}

#[tokio::test(start_paused = true)]
async fn a_name_that_exists_is_not_overwritten_unasked() {
    let account = Account::new();
    let error =
        account.ssm.put_parameter().name(COLOR).value("x").r#type(ParameterType::String).send().await.unwrap_err().into_service_error();
    assert!(error.is_parameter_already_exists());
    assert!(error.message().expect("a message").starts_with("The parameter already exists."));
    let error = account.ssm.put_parameter().name("/new").value("x").send().await.unwrap_err().into_service_error();
    assert_eq!(error.code(), Some("ValidationException"));
}

#[tokio::test(start_paused = true)]
async fn several_parameters_come_in_order_and_the_missing_are_named() {
    let account = Account::new();
    let ask = account.ssm.get_parameters().names("/nobody").names("/compiler-explorer/prod/active-color").names(COLOR);
    let out = ask.send().await.expect("read");
    let names: Vec<_> = out.parameters().iter().filter_map(|p| p.name()).collect();
    assert_eq!(names, [COLOR, "/compiler-explorer/prod/active-color"]);
    assert_eq!(out.invalid_parameters(), ["/nobody"]);
    let eleven = (0..11).map(|n| format!("/p{n}")).collect();
    let error = account.ssm.get_parameters().set_names(Some(eleven)).send().await.unwrap_err().into_service_error();
    assert_eq!(error.code(), Some("ValidationException"));
}

#[tokio::test(start_paused = true)]
async fn parameters_under_a_path_come_in_pages() {
    let account = Account::new();
    for n in 0..12 {
        account.with(|sandbox| sandbox.world.put_parameter(&format!("/many/{n:02}"), "x", Some("String"), false)).expect("written");
    }
    account.with(|sandbox| sandbox.world.put_parameter("/many/deep/er", "x", Some("String"), false)).expect("written");
    let ask = || account.ssm.get_parameters_by_path().path("/many");
    let first = ask().send().await.expect("read");
    assert_eq!(first.parameters().len(), 10);
    let second = ask().next_token(first.next_token().expect("more")).send().await.expect("read");
    assert_eq!((second.parameters().len(), second.next_token()), (2, None));
    let pages = ask().recursive(true).into_paginator().send().collect::<Result<Vec<_>, _>>().await.expect("every page");
    assert_eq!(pages.iter().map(|page| page.parameters().len()).sum::<usize>(), 13);
    let error = ask().next_token("bogus").send().await.unwrap_err().into_service_error();
    assert!(error.is_invalid_next_token());
    let error = ask().max_results(11).send().await.unwrap_err().into_service_error();
    assert_eq!(error.code(), Some("ValidationException"));
}

#[tokio::test(start_paused = true)]
async fn running_instances_are_online_with_their_address() {
    let account = Account::new();
    let out = account.ssm.describe_instance_information().max_results(5).send().await.expect("described");
    assert_eq!(out.instance_information_list().len(), 5);
    assert!(out.next_token().is_some());
    let all = account.ssm.describe_instance_information().into_paginator().items().send().collect::<Result<Vec<_>, _>>().await;
    let all = all.expect("every page");
    assert_eq!(all.len(), 7);
    let one = &all[0];
    assert_eq!(one.ping_status, Some(PingStatus::Online));
    let id = one.instance_id.clone().expect("an id");
    assert_eq!(one.ip_address().map(str::to_owned), account.with(|s| s.world.instances.get(&id).map(|i| i.private_ip.clone())));
    let filter = |id: &str| InstanceInformationStringFilter::builder().key("InstanceIds").values(id).build().expect("complete");
    let out = account.ssm.describe_instance_information().filters(filter(&id)).send().await.expect("described");
    assert_eq!(out.instance_information_list(), [one.clone()].map(|i| touched(i, &out.instance_information_list()[0])));
    let error = account.ssm.describe_instance_information().filters(filter("i-nobody")).send().await.unwrap_err().into_service_error();
    assert!(error.is_invalid_instance_id());
}

/// The same node with the later ping of the other answer.
fn touched(
    mut node: aws_sdk_ssm::types::InstanceInformation,
    later: &aws_sdk_ssm::types::InstanceInformation,
) -> aws_sdk_ssm::types::InstanceInformation {
    node.last_ping_date_time = later.last_ping_date_time;
    node
}

#[tokio::test(start_paused = true)]
async fn reads_have_their_own_rate() {
    let account = Account::new();
    account.with(|sandbox| sandbox.world.throttles.get_mut("ssm-put").expect("a bucket").tokens = 0.5);
    let put = || account.ssm.put_parameter().name(COLOR).value("green").overwrite(true).send();
    let error = put().await.unwrap_err().into_service_error();
    assert_eq!((error.code(), error.message()), (Some("ThrottlingException"), Some("Rate exceeded")));
    account.ssm.get_parameter().name(COLOR).send().await.expect("reads go on");
}

#[tokio::test(start_paused = true)]
async fn the_caller_is_the_deployer_of_the_account() {
    let account = Account::new();
    let out = account.sts.get_caller_identity().send().await.expect("known");
    assert_eq!(out.arn(), Some("arn:aws:sts::052730242331:assumed-role/deployer/bgx"));
    assert_eq!(out.account(), Some("052730242331"));
}

#[tokio::test(start_paused = true)]
async fn a_command_restarts_the_application_and_is_found_by_its_comment() {
    let account = Account::new();
    let (id, ip) = account.with(|sandbox| {
        let one = sandbox.world.instances.values().find(|i| i.group == "beta-blue").expect("there is one");
        (one.id.clone(), one.private_ip.clone())
    });
    let answers = || account.with(|sandbox| sandbox.world.instance_http((&ip, 80), "GET", "/healthcheck").is_some());
    assert!(answers());
    let send = account.ssm.send_command().document_name("AWS-RunShellScript").instance_ids(&id).comment("bgx abc step 3");
    let sent = send.parameters("commands", vec!["systemctl restart app".to_owned()]).send().await.expect("sent");
    let command = sent.command.and_then(|c| c.command_id).expect("an id");
    assert!(!answers(), "it is down while it restarts");
    let listed = account.ssm.list_commands().instance_id(&id).send().await.expect("listed");
    assert_eq!(listed.commands()[0].comment(), Some("bgx abc step 3"));
    tokio::time::sleep(std::time::Duration::from_secs(60)).await;
    let ended = account.ssm.get_command_invocation().command_id(&command).instance_id(&id).send().await.expect("known");
    assert_eq!((ended.status.map(|s| s.as_str().to_owned()), ended.response_code), (Some("Success".to_owned()), 0));
    account.ssm.get_parameter().name(COLOR).send().await.expect("read");
    assert!(answers());
}

#[tokio::test(start_paused = true)]
async fn a_command_to_nobody_and_one_that_is_not_known_are_refused() {
    let account = Account::new();
    let error = account.ssm.send_command().document_name("AWS-RunShellScript").instance_ids("i-0").send().await.unwrap_err();
    assert_eq!(error.into_service_error().code(), Some("InvalidInstanceId"));
    let error = account.ssm.get_command_invocation().command_id("00000000-0000-4000-a000-000000000000").instance_id("i-0").send().await;
    assert!(error.unwrap_err().into_service_error().is_invocation_does_not_exist());
}
