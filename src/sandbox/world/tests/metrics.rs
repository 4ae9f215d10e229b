//! Rules of what CloudWatch publishes.

use super::*;

const MINUTE: u64 = 60_000;
/// A moment at which a period of five minutes begins.
const BEGIN: Time = Time(START.0 - START.0 % (5 * MINUTE));

/// A world that begins there.
fn world() -> World {
    let mut beta = env("beta", 2, 2);
    beta.colors[1].version = NEW.to_owned();
    let mut world = World::new(&WorldSpec { start: BEGIN, ..spec(vec![beta]) });
    world.timing.metric_lag = 0;
    world
}

/// Dimension value of a target group: `targetgroup/Beta-Blue/0123`.
fn group(world: &World, name: &str) -> String {
    world.tg(name).rsplit_once(':').expect("an ARN").1.to_owned()
}

fn balancer(world: &World) -> String {
    let arn = world.load_balancers.keys().next().expect("there is one");
    arn.split_once(":loadbalancer/").expect("an ARN").1.to_owned()
}

fn asked(world: &World, name: &str, dimensions: &[(&str, String)]) -> Asked {
    let own = [("LoadBalancer", balancer(world))];
    let dimensions = own.iter().chain(dimensions).map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    Asked { namespace: "AWS/ApplicationELB".into(), name: name.into(), dimensions, period_seconds: 60, statistic: "Sum".into() }
}

/// Values of a target group's metric, minute by minute from the start.
fn of_group(world: &World, name: &str, target_group: &str) -> Vec<(u64, f64)> {
    let asked = asked(world, name, &[("TargetGroup", group(world, target_group))]);
    points(world, &asked)
}

fn points(world: &World, asked: &Asked) -> Vec<(u64, f64)> {
    world.metric(asked, BEGIN, world.now).into_iter().map(|(at, value)| (at.since(BEGIN) / MINUTE, value)).collect()
}

#[test]
fn requests_are_counted_by_minute_and_split_by_zone() {
    let mut world = world();
    world.wait(180);
    assert_eq!(of_group(&world, "RequestCount", "Beta-Blue"), [(0, 600.0), (1, 600.0), (2, 600.0)]);
    let zone = [("TargetGroup", group(&world, "Beta-Blue")), ("AvailabilityZone", "us-east-1b".to_owned())];
    assert_eq!(points(&world, &asked(&world, "RequestCount", &zone)).iter().map(|p| p.1).sum::<f64>(), 600.0, "a third");
    assert_eq!(points(&world, &asked(&world, "RequestCount", &zone[1..])).len(), 3);
    assert_eq!(points(&world, &asked(&world, "RequestCount", &[])).len(), 3);
}

#[test]
fn a_set_of_dimensions_that_is_not_published_has_no_data_and_is_no_error() {
    let mut world = world();
    world.wait(120);
    let none = |asked: Asked| assert_eq!(points(&world, &asked), []);
    let right = asked(&world, "RequestCount", &[("TargetGroup", group(&world, "Beta-Blue"))]);
    assert_eq!(points(&world, &right).len(), 2);
    let mut alone = right.clone();
    alone.dimensions.remove("LoadBalancer");
    none(alone);
    none(asked(&world, "RequestCount", &[("TargetGroup", "Beta-Blue".to_owned())]));
    none(asked(&world, "RequestCount", &[("TargetGroup", world.tg("Beta-Blue"))]));
    none(asked(&world, "RequestCount", &[("AvailabilityZone", "us-east-1z".to_owned())]));
    none(asked(&world, "RequestCount", &[("Colour", "blue".to_owned())]));
    none(asked(&world, "HTTPCode_ELB_5XX_Count", &[("TargetGroup", group(&world, "Beta-Blue"))]));
    none(asked(&world, "HealthyHostCount", &[]));
    none(Asked { namespace: "AWS/NetworkELB".into(), ..right });
}

#[test]
fn what_is_zero_is_not_published() {
    let mut world = world();
    world.wait(120);
    assert_eq!(of_group(&world, "HTTPCode_Target_5XX_Count", "Beta-Blue"), [], "no errors");
    assert_eq!(of_group(&world, "RequestCount", "Beta-Green"), [], "no requests");
    assert_eq!(of_group(&world, "TargetResponseTime", "Beta-Green"), []);
}

#[test]
fn a_faulty_build_answers_its_share_of_requests_with_a_500() {
    let mut world = world();
    world.build_errors.insert(NEW.to_owned(), 0.05);
    let both = forward(&[(world.tg("Beta-Blue"), 80), (world.tg("Beta-Green"), 20)]);
    world.modify_rule(&world.rule(), both).unwrap();
    world.wait(360);
    let requests = of_group(&world, "RequestCount", "Beta-Green");
    assert_eq!(requests.last(), Some(&(5, 120.0)));
    assert_eq!(of_group(&world, "HTTPCode_Target_5XX_Count", "Beta-Green").last(), Some(&(5, 6.0)), "two at each node");
    assert_eq!(of_group(&world, "HTTPCode_Target_5XX_Count", "Beta-Blue"), []);
    let users = world.users("beta", Time(world.now.0 - MINUTE));
    assert!((users.errors - 6.0).abs() < 1e-6, "users meet the same: {users:?}");
}

#[test]
fn slow_requests_are_counted_above_any_bound() {
    let mut world = world();
    world.build_slow.insert(NEW.to_owned(), 0.05);
    let both = forward(&[(world.tg("Beta-Blue"), 80), (world.tg("Beta-Green"), 20)]);
    world.modify_rule(&world.rule(), both).unwrap();
    world.wait(360);
    let of = |name: &str, statistic: &str| {
        let asked =
            Asked { statistic: statistic.to_owned(), ..asked(&world, "TargetResponseTime", &[("TargetGroup", group(&world, name))]) };
        points(&world, &asked).last().map(|point| point.1)
    };
    let counts = ["SampleCount", "TC(0.01:)", "TC(0.5:)", "TC(2:)"].map(|statistic| of("Beta-Green", statistic));
    assert_eq!(counts, [Some(120.0), Some(120.0), Some(6.0), Some(0.0)]);
    assert_eq!((of("Beta-Blue", "TC(0.5:)"), of("Beta-Blue", "p99")), (Some(0.0), Some(0.05)));
    assert_eq!((of("Beta-Green", "p99"), of("Beta-Green", "p90"), of("Beta-Green", "Maximum")), (Some(2.0), Some(0.05), Some(2.0)));
}

#[test]
fn a_dead_machine_is_a_connection_error_and_the_balancers_own_5xx() {
    let mut world = world();
    let id = world.ids("beta-blue")[0].clone();
    world.kill_instance(&id);
    world.wait(60);
    let refused: f64 = of_group(&world, "TargetConnectionErrorCount", "Beta-Blue").iter().map(|p| p.1).sum();
    assert!(refused > 10.0, "{refused}");
    assert_eq!(of_group(&world, "HTTPCode_Target_5XX_Count", "Beta-Blue"), []);
    let own: f64 = points(&world, &asked(&world, "HTTPCode_ELB_5XX_Count", &[])).iter().map(|p| p.1).sum();
    assert_eq!(own, refused);
}

#[test]
fn an_empty_target_group_is_the_balancers_own_5xx_alone() {
    let mut world = World::new(&WorldSpec { start: BEGIN, ..spec(vec![env("beta", 2, 0)]) });
    world.timing.metric_lag = 0;
    let green = forward(&[(world.tg("Beta-Green"), 1)]);
    world.modify_rule(&world.rule(), green).unwrap();
    world.wait(120);
    assert_eq!(of_group(&world, "RequestCount", "Beta-Green"), [], "no target was chosen");
    assert_eq!(points(&world, &asked(&world, "HTTPCode_ELB_5XX_Count", &[])).last(), Some(&(1, 600.0)));
}

#[test]
fn a_minute_appears_after_the_lag_and_grows_until_it_is_whole() {
    let mut world = world();
    world.timing.metric_lag = 90_000;
    world.wait(90);
    assert_eq!(of_group(&world, "RequestCount", "Beta-Blue"), []);
    world.wait(30);
    assert_eq!(of_group(&world, "RequestCount", "Beta-Blue"), [(0, 300.0)]);
    world.wait(60);
    assert_eq!(of_group(&world, "RequestCount", "Beta-Blue"), [(0, 600.0), (1, 300.0)]);
}

#[test]
fn hosts_are_counted_where_they_are_checked() {
    let mut world = world();
    world.wait(120);
    let hosts = |world: &World, name: &str, target_group: &str, statistic: &str| {
        let asked = asked(world, name, &[("TargetGroup", group(world, target_group))]);
        points(world, &Asked { statistic: statistic.to_owned(), ..asked })
    };
    assert_eq!(hosts(&world, "HealthyHostCount", "Beta-Blue", "Minimum"), [(0, 2.0), (1, 2.0)]);
    assert_eq!(hosts(&world, "HealthyHostCount", "Beta-Green", "Minimum"), [], "it stands in no rule");
    let id = world.ids("beta-blue")[0].clone();
    world.groups.get_mut("beta-blue").unwrap().suspended.insert("ReplaceUnhealthy".to_owned());
    world.break_application(&id);
    world.wait(60);
    assert_eq!(hosts(&world, "HealthyHostCount", "Beta-Blue", "Minimum").last(), Some(&(2, 1.0)));
    assert_eq!(hosts(&world, "HealthyHostCount", "Beta-Blue", "Maximum").last(), Some(&(2, 2.0)));
    assert_eq!(hosts(&world, "UnHealthyHostCount", "Beta-Blue", "Maximum").last(), Some(&(2, 1.0)));
}

#[test]
fn longer_periods_are_the_sum_of_their_minutes() {
    let mut world = world();
    world.wait(600);
    let by_minute: f64 = of_group(&world, "RequestCount", "Beta-Blue").iter().map(|p| p.1).sum();
    let asked = asked(&world, "RequestCount", &[("TargetGroup", group(&world, "Beta-Blue"))]);
    let by_five: f64 = points(&world, &Asked { period_seconds: 300, ..asked }).iter().map(|p| p.1).sum();
    assert_eq!(by_minute, by_five);
}

#[test]
fn composite_alarms_are_found_only_by_who_asks_for_their_type() {
    let mut world = world();
    world.set_alarm("a", false, "OK");
    world.set_alarm("b", true, "ALARM");
    let names = |names: &[&str], kinds: &[&str]| {
        let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        world.describe_alarms(&texts(names), &texts(kinds)).iter().map(|a| a.name.clone()).collect::<Vec<_>>()
    };
    assert_eq!(names(&[], &[]), ["a"]);
    assert_eq!(names(&["b"], &[]), Vec::<String>::new(), "even by its name");
    assert_eq!(names(&["a", "b", "nobody"], &["MetricAlarm", "CompositeAlarm"]), ["a", "b"]);
}
