//! Holes at the switch: routes that come apart, a record that does not follow, a cleanup that takes a switch for none.

use super::{deploy, failing, killed, rules, signalled, told, tool};
use crate::stage::Trouble;
use bgx::sandbox::fault::{Mishap, Rule};

#[test]
fn a_record_that_fails_after_the_switch_leaves_listener_and_record_apart() {
    let story = told(deploy("beta"), failing(Rule::throttle, "ssm", "PutParameter", 0)).story();
    insta::assert_snapshot!(story, @"
    ended failed: ssm:PutParameter on `/compiler-explorer/beta/active-color`: Rate exceeded
    I10    beta-green serves dist/gh/main/41002.tar.xz, but its next instance boots dist/gh/main/41000.tar.xz
    I2     Beta-Green serves, but /compiler-explorer/beta/active-color says blue
    I2     Beta-Green serves, but /compiler-explorer/beta/active-target-group-arn says Beta-Blue
      UpdateAutoScalingGroup beta-blue: min=2 max=2
      PutObject compiler-explorer/version/beta: dist/gh/main/41002.tar.xz
      UpdateAutoScalingGroup beta-green: min=2 desired=2
      POST /admin/clear-cache i-…
      ModifyRule listener-rule: forward Beta-Green=1
      UpdateAutoScalingGroup beta-blue: min=0 max=10
      UpdateAutoScalingGroup beta-green: min=0
      PutObject compiler-explorer/version/beta: dist/gh/main/41000.tar.xz
    ");
}

#[test]
fn a_cleanup_that_believes_the_record_empties_the_colour_that_serves() {
    let failed = told(deploy("beta"), failing(Rule::throttle, "ssm", "PutParameter", 0));
    insta::assert_snapshot!(failed.play(&tool("cleanup", "beta", &[]), Trouble::default()).story(), @"
    ended failed: ssm:PutParameter on `/compiler-explorer/beta/active-color`: Rate exceeded
    ended done
    I1a    Beta-Green gets 100 % of the traffic and has no healthy target, to the end
    I1b    Beta-Green gets 100 % of the traffic with 0 healthy target(s), and 2 are needed, to the end
    I1c    100.0 % of the requests of beta end in a 5xx, to the end
    I2     Beta-Green serves, but /compiler-explorer/beta/active-color says blue
    I2     Beta-Green serves, but /compiler-explorer/beta/active-target-group-arn says Beta-Blue
    I9     beta-green serves with 2 healthy target(s) and is shrunk from 2 to 0
      UpdateAutoScalingGroup beta-blue: min=2 max=2
      PutObject compiler-explorer/version/beta: dist/gh/main/41002.tar.xz
      UpdateAutoScalingGroup beta-green: min=2 desired=2
      POST /admin/clear-cache i-…
      ModifyRule listener-rule: forward Beta-Green=1
      UpdateAutoScalingGroup beta-blue: min=0 max=10
      UpdateAutoScalingGroup beta-green: min=0
      PutObject compiler-explorer/version/beta: dist/gh/main/41000.tar.xz
      UpdateAutoScalingGroup beta-green: min=0
      UpdateAutoScalingGroup beta-green: desired=0
    ");
}

#[test]
fn a_second_listener_that_fails_leaves_http_and_https_on_different_colours() {
    let story = told(deploy("prod"), failing(Rule::throttle, "elasticloadbalancing", "ModifyListener", 1)).story();
    insta::assert_snapshot!(story, @"
    ended failed: elasticloadbalancing:ModifyListener on listener Rate exceeded
    I2     routes disagree: 80 default -> Prod-Green 100 %; 443 default -> Prod-Blue 100 %
    I4     users meet several versions: Prod-Blue dist/gh/main/41000.tar.xz, Prod-Green dist/gh/main/41002.tar.xz, to the end
      UpdateAutoScalingGroup prod-blue: min=6 max=6
      PutObject compiler-explorer/version/release: dist/gh/main/41002.tar.xz
      UpdateAutoScalingGroup prod-green: min=6 desired=6
      POST /admin/clear-cache i-…
      POST /admin/clear-cache i-…
      ModifyListener listener: forward Prod-Green=1
      UpdateAutoScalingGroup prod-blue: min=2 max=40
      UpdateAutoScalingGroup prod-green: min=0
      PutObject compiler-explorer/version/release: dist/gh/main/41000.tar.xz
    ");
}

#[test]
fn a_death_between_switch_and_record_leaves_them_apart() {
    insta::assert_snapshot!(killed(deploy("beta"), "PutParameter", 0).story(), @"
    ended killed
    I2     Beta-Green serves, but /compiler-explorer/beta/active-color says blue
    I2     Beta-Green serves, but /compiler-explorer/beta/active-target-group-arn says Beta-Blue
    I3     MaxSize of beta-blue was 10 and is left at 2
    I3     MinSize of beta-blue was 0 and is left at 2
      UpdateAutoScalingGroup beta-blue: min=2 max=2
      PutObject compiler-explorer/version/beta: dist/gh/main/41002.tar.xz
      UpdateAutoScalingGroup beta-green: min=2 desired=2
      POST /admin/clear-cache i-…
      ModifyRule listener-rule: forward Beta-Green=1
    ");
}

#[test]
fn a_signal_between_switch_and_record_leaves_them_apart_and_takes_the_build_back() {
    let act = deploy("beta");
    let trouble = signalled(&act, "ModifyRule", 0);
    insta::assert_snapshot!(told(act, trouble).story(), @"
    ended failed: SIGTERM received
    I10    beta-green serves dist/gh/main/41002.tar.xz, but its next instance boots dist/gh/main/41000.tar.xz
    I2     Beta-Green serves, but /compiler-explorer/beta/active-color says blue
    I2     Beta-Green serves, but /compiler-explorer/beta/active-target-group-arn says Beta-Blue
      UpdateAutoScalingGroup beta-blue: min=2 max=2
      PutObject compiler-explorer/version/beta: dist/gh/main/41002.tar.xz
      UpdateAutoScalingGroup beta-green: min=2 desired=2
      POST /admin/clear-cache i-…
      ModifyRule listener-rule: forward Beta-Green=1
      UpdateAutoScalingGroup beta-blue: min=0 max=10
      UpdateAutoScalingGroup beta-green: min=0
      PutObject compiler-explorer/version/beta: dist/gh/main/41000.tar.xz
      UpdateAutoScalingGroup beta-blue: min=0 max=10
      UpdateAutoScalingGroup beta-green: min=0
      PutObject compiler-explorer/version/beta: dist/gh/main/41000.tar.xz
    ");
}

#[test]
fn a_signal_after_the_switch_takes_the_build_back_from_the_colour_that_serves_it() {
    let act = deploy("beta");
    let trouble = signalled(&act, "UpdateAutoScalingGroup", 2);
    insta::assert_snapshot!(told(act, trouble).story(), @"
    ended failed: SIGTERM received
    I10    beta-green serves dist/gh/main/41002.tar.xz, but its next instance boots dist/gh/main/41000.tar.xz
      UpdateAutoScalingGroup beta-blue: min=2 max=2
      PutObject compiler-explorer/version/beta: dist/gh/main/41002.tar.xz
      UpdateAutoScalingGroup beta-green: min=2 desired=2
      POST /admin/clear-cache i-…
      ModifyRule listener-rule: forward Beta-Green=1
      PutParameter /compiler-explorer/beta/active-color: green
      PutParameter /compiler-explorer/beta/active-target-group-arn: Beta-Green
      UpdateAutoScalingGroup beta-green: min=1
      UpdateAutoScalingGroup beta-blue: min=0 max=10
      UpdateAutoScalingGroup beta-green: min=0
      PutObject compiler-explorer/version/beta: dist/gh/main/41000.tar.xz
      UpdateAutoScalingGroup beta-blue: min=0 max=10
      UpdateAutoScalingGroup beta-green: min=0
      PutObject compiler-explorer/version/beta: dist/gh/main/41000.tar.xz
    ");
}

#[test]
fn a_refusal_after_the_switch_takes_the_build_back_from_the_colour_that_serves_it() {
    let story = told(deploy("beta"), failing(Rule::throttle, "autoscaling", "UpdateAutoScalingGroup", 2)).story();
    insta::assert_snapshot!(story, @"
    ended failed: autoscaling:UpdateAutoScalingGroup on `beta-green`: Rate exceeded
    I10    beta-green serves dist/gh/main/41002.tar.xz, but its next instance boots dist/gh/main/41000.tar.xz
      UpdateAutoScalingGroup beta-blue: min=2 max=2
      PutObject compiler-explorer/version/beta: dist/gh/main/41002.tar.xz
      UpdateAutoScalingGroup beta-green: min=2 desired=2
      POST /admin/clear-cache i-…
      ModifyRule listener-rule: forward Beta-Green=1
      PutParameter /compiler-explorer/beta/active-color: green
      PutParameter /compiler-explorer/beta/active-target-group-arn: Beta-Green
      UpdateAutoScalingGroup beta-blue: min=0 max=10
      UpdateAutoScalingGroup beta-green: min=0
      PutObject compiler-explorer/version/beta: dist/gh/main/41000.tar.xz
    ");
}

#[test]
fn a_routing_table_that_fails_turns_a_good_deploy_into_a_failed_one() {
    let table = rules([Rule::server_error("instance", "GET /beta/api/compilers").after(2).times(super::GIVEN_UP)]);
    insta::assert_snapshot!(told(deploy("beta"), table).story(), @"
    ended failed: the routing table could not be made
    I10    beta-green serves dist/gh/main/41002.tar.xz, but its next instance boots dist/gh/main/41000.tar.xz
      UpdateAutoScalingGroup beta-blue: min=2 max=2
      PutObject compiler-explorer/version/beta: dist/gh/main/41002.tar.xz
      UpdateAutoScalingGroup beta-green: min=2 desired=2
      POST /admin/clear-cache i-…
      ModifyRule listener-rule: forward Beta-Green=1
      PutParameter /compiler-explorer/beta/active-color: green
      PutParameter /compiler-explorer/beta/active-target-group-arn: Beta-Green
      UpdateAutoScalingGroup beta-green: min=1
      UpdateAutoScalingGroup beta-blue: min=0
      UpdateAutoScalingGroup beta-blue: min=0 max=10
      UpdateAutoScalingGroup beta-green: min=0
      PutObject compiler-explorer/version/beta: dist/gh/main/41000.tar.xz
    ");
}

#[test]
fn a_capacity_of_nothing_switches_to_an_empty_target_group() {
    let nothing = tool("deploy", "beta", &[("version", "latest"), ("capacity", "0")]);
    insta::assert_snapshot!(told(nothing, Trouble::default()).story(), @"
    ended done
    I1a    Beta-Green gets 100 % of the traffic and has no healthy target, for minutes
    I1b    Beta-Green gets 100 % of the traffic with 0 healthy target(s), and 2 are needed, to the end
    I1c    100.0 % of the requests of beta end in a 5xx, for minutes
      UpdateAutoScalingGroup beta-blue: min=2 max=2
      PutObject compiler-explorer/version/beta: dist/gh/main/41002.tar.xz
      UpdateAutoScalingGroup beta-green: min=0 desired=0
      POST /admin/clear-cache i-…
      ModifyRule listener-rule: forward Beta-Green=1
      PutParameter /compiler-explorer/beta/active-color: green
      PutParameter /compiler-explorer/beta/active-target-group-arn: Beta-Green
      UpdateAutoScalingGroup beta-green: min=1
      UpdateAutoScalingGroup beta-blue: min=0
      UpdateAutoScalingGroup beta-blue: min=0 max=10
    ");
}

#[test]
fn a_colour_that_grows_while_it_boots_fails_the_deploy() {
    let grown = Mishap::Policy { group: "beta-green".to_owned(), to: 3 };
    let story = told(deploy("beta"), rules([Rule::mishap("autoscaling", "DescribeAutoScalingGroups", grown).after(3)])).story();
    insta::assert_snapshot!(story, @"
    ended failed: expected 2 instances, but 3 are healthy
      UpdateAutoScalingGroup beta-blue: min=2 max=2
      PutObject compiler-explorer/version/beta: dist/gh/main/41002.tar.xz
      UpdateAutoScalingGroup beta-green: min=2 desired=2
      beta-green is scaled from 2 to 3 by its policy
      UpdateAutoScalingGroup beta-blue: min=0 max=10
      UpdateAutoScalingGroup beta-green: min=0
      PutObject compiler-explorer/version/beta: dist/gh/main/41000.tar.xz
    ");
}

#[test]
fn the_promoted_colour_shrinks_before_its_traffic_shows() {
    let shrinks = Mishap::Policy { group: "prod-green".to_owned(), to: 2 };
    let story = told(deploy("prod"), rules([Rule::mishap("autoscaling", "UpdateAutoScalingGroup", shrinks).after(3)])).story();
    insta::assert_snapshot!(story, @"
    ended done
    I1b    Prod-Green gets 100 % of the traffic with 0 healthy target(s), and 6 are needed, for minutes
      UpdateAutoScalingGroup prod-blue: min=6 max=6
      PutObject compiler-explorer/version/release: dist/gh/main/41002.tar.xz
      UpdateAutoScalingGroup prod-green: min=6 desired=6
      POST /admin/clear-cache i-…
      POST /admin/clear-cache i-…
      ModifyListener listener: forward Prod-Green=1 (2 times)
      PutParameter /compiler-explorer/prod/active-color: green
      PutParameter /compiler-explorer/prod/active-target-group-arn: Prod-Green
      UpdateAutoScalingGroup prod-green: min=2
      prod-green is scaled from 6 to 2 by its policy
      UpdateAutoScalingGroup prod-blue: min=0
      UpdateAutoScalingGroup prod-blue: min=2 max=40
    ");
}
