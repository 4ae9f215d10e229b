//! One account in two regions, with the same names in both: a call finds what is in the region that it is sent to, as on AWS.

use super::*;
use aws_sdk_s3::error::ProvideErrorMetadata as _;
use aws_sdk_s3::primitives::ByteStream;

const ABROAD: &str = "eu-west-1";

/// `shop` in both regions; abroad with a bucket of its own.
fn two() -> WorldSpec {
    let home = env("shop", vec![route(443, None)], 2);
    let abroad = EnvSpec {
        name: "shop-eu".into(),
        region: Some(ABROAD.into()),
        bucket: Some("shop-eu".into()),
        ..env("shop", vec![route(443, None)], 3)
    };
    WorldSpec { envs: vec![home, abroad], ..spec() }
}

fn clients() -> (Account, Account) {
    let home = Account::behind(Arc::new(Mutex::new(Sandbox::new(World::new(&two())))), |door| door);
    let abroad = Account::in_region(ABROAD, home.sandbox.clone(), |door| door);
    (home, abroad)
}

#[tokio::test(start_paused = true)]
async fn groups_and_parameters_of_one_name_are_two_and_a_change_of_one_leaves_the_other() {
    let (home, abroad) = clients();
    let desired = async |account: &Account| {
        let found = account.asg.describe_auto_scaling_groups().auto_scaling_group_names("shop-blue").send().await.expect("it is read");
        let group = &found.auto_scaling_groups()[0];
        (group.desired_capacity().expect("it has one"), group.auto_scaling_group_arn().expect("it has one").to_owned())
    };
    assert_eq!([desired(&home).await.0, desired(&abroad).await.0], [2, 3]);
    assert!(desired(&abroad).await.1.starts_with("arn:aws:autoscaling:eu-west-1:052730242331:"));
    abroad.asg.update_auto_scaling_group().auto_scaling_group_name("shop-blue").desired_capacity(4).send().await.expect("it may");
    assert_eq!([desired(&home).await.0, desired(&abroad).await.0], [2, 4]);
    let value = async |account: &Account| {
        let found = account.ssm.get_parameter().name("/compiler-explorer/shop/active-color").send().await.expect("it is there");
        found.parameter().and_then(|p| p.value()).expect("it has one").to_owned()
    };
    let put = home.ssm.put_parameter().name("/compiler-explorer/shop/active-color").value("green").overwrite(true);
    put.send().await.expect("it may");
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!([value(&home).await, value(&abroad).await], ["green", "blue"]);
}

#[tokio::test(start_paused = true)]
async fn what_is_in_another_region_is_not_found_and_its_arn_is_none() {
    let (home, _) = clients();
    let nowhere = Account::in_region("ap-south-1", home.sandbox.clone(), |door| door);
    let groups = nowhere.asg.describe_auto_scaling_groups().auto_scaling_group_names("shop-blue").send().await.expect("an empty list");
    assert!(groups.auto_scaling_groups().is_empty());
    let error = nowhere.elb.describe_load_balancers().names("GccExplorerApp").send().await.expect_err("there is none");
    assert_eq!(error.code(), Some("LoadBalancerNotFound"));
    let balancers = home.elb.describe_load_balancers().names("GccExplorerApp").send().await.expect("it is there");
    let arn = balancers.load_balancers()[0].load_balancer_arn().expect("it has one").to_owned();
    let error = nowhere.elb.describe_listeners().load_balancer_arn(&arn).send().await.expect_err("it is of another region");
    assert_eq!(error.code(), Some("ValidationError"));
    assert_eq!(error.message(), Some(format!("'{arn}' is not a valid load balancer ARN").as_str()));
    assert!(nowhere.sts.get_caller_identity().send().await.is_ok(), "the account is the same everywhere");
}

#[tokio::test(start_paused = true)]
async fn a_bucket_is_reached_in_the_region_where_it_lies_alone() {
    let (home, abroad) = clients();
    let put = |account: &Account, bucket: &str| account.s3.put_object().bucket(bucket).key("k").body(ByteStream::from_static(b"v")).send();
    put(&abroad, "shop-eu").await.expect("it lies there");
    put(&home, BUCKET).await.expect("it lies there");
    let error = put(&home, "shop-eu").await.expect_err("it lies elsewhere");
    assert_eq!(error.code(), Some("PermanentRedirect"));
    let reply = error.raw_response().expect("a reply");
    assert_eq!((reply.status().as_u16(), reply.headers().get("x-amz-bucket-region")), (301, Some(ABROAD)));
    let head = home.s3.head_object().bucket("shop-eu").key("k").send().await.expect_err("it lies elsewhere");
    assert_eq!(head.raw_response().and_then(|reply| reply.headers().get("x-amz-bucket-region")), Some(ABROAD));
    home.with(|sandbox| assert!(sandbox.world.elsewhere[ABROAD].buckets.is_empty(), "buckets are the account's"));
}

#[tokio::test(start_paused = true)]
async fn each_region_has_an_api_rate_of_its_own() {
    let (home, abroad) = clients();
    home.with(|sandbox| sandbox.world.throttles.get_mut("ssm-get").expect("there is one").tokens = 0.0);
    let get = |account: &Account| account.ssm.get_parameter().name("/compiler-explorer/shop/active-color").send();
    home.with(|sandbox| sandbox.world.throttles.get_mut("ssm-get").expect("there is one").per_second = 0.0);
    assert_eq!(get(&home).await.expect_err("it is used up").code(), Some("ThrottlingException"));
    get(&abroad).await.expect("its own is not");
}

#[test]
fn regions_move_together_have_instances_of_their_own_and_boot_from_the_accounts_buckets() {
    let mut world = World::new(&two());
    let ids = |world: &World| {
        world.regions().flat_map(|there| there.instances.values()).map(|i| (i.id.clone(), i.private_ip.clone())).collect::<Vec<_>>()
    };
    let before = ids(&world);
    let mut addresses: Vec<&String> = before.iter().map(|(_, address)| address).collect();
    addresses.sort();
    addresses.dedup();
    assert_eq!((before.len(), addresses.len()), (7, 7));
    world.in_region(ABROAD, |there| {
        let update = super::super::world::GroupUpdate { desired: Some(1), ..Default::default() };
        there.update_group("shop-green", &update).expect("it may");
    });
    world.advance(START.after_ms(180_000));
    let there = &world.elsewhere[ABROAD];
    assert_eq!(there.now, world.now);
    let booted = there.instances.values().find(|i| i.group == "shop-green").expect("it was launched");
    assert_eq!((booted.version.as_deref(), booted.zone.starts_with(ABROAD)), (Some("gh-100"), true));
    assert!(world.instances.values().all(|i| i.group != "shop-green"));
    assert!(world.users("shop-eu", START).requests > 1000.0 && world.users("shop", START).requests > 1000.0);
}

#[test]
fn a_world_that_was_saved_with_one_region_is_read_and_saved_as_it_was() {
    let world = World::new(&spec());
    let text = serde_json::to_string(&world).expect("a world is JSON");
    assert!(!text.contains("elsewhere") && !text.contains("bucket_regions"));
    assert_eq!(serde_json::from_str::<World>(&text).expect("it is a world"), world);
    let two = World::new(&two());
    let again: World = serde_json::from_str(&serde_json::to_string(&two).expect("a world is JSON")).expect("it is a world");
    assert_eq!(again, two);
}
