//! Holes of the way back: a version that stays, a colour that has shrunk, a build that never passed.

use super::{Told, deploy, rules, told, tool};
use crate::stage::Trouble;
use bgx::sandbox::fault::{Mishap, Rule};

fn back(told: Told, trouble: Trouble) -> Told {
    told.play(&tool("rollback", "beta", &[]), trouble)
}

#[test]
fn a_rollback_leaves_the_new_build_in_the_key() {
    insta::assert_snapshot!(back(told(deploy("beta"), Trouble::default()), Trouble::default()).story(), @"
    ended done
    ended done
    I10    beta-blue serves dist/gh/main/41000.tar.xz, but its next instance boots dist/gh/main/41002.tar.xz
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
      ModifyRule listener-rule: forward Beta-Blue=1
      PutParameter /compiler-explorer/beta/active-color: blue
      PutParameter /compiler-explorer/beta/active-target-group-arn: Beta-Blue
    ");
}

#[test]
fn a_rollback_goes_to_a_colour_that_has_shrunk() {
    let deployed = told(deploy("beta"), Trouble::default());
    let shrunk = deployed.then(|world| {
        world.advance(world.now.after_ms(600_000));
        assert!(Mishap::Policy { group: "beta-blue".to_owned(), to: 1 }.befall(world));
        world.advance(world.now.after_ms(600_000));
    });
    insta::assert_snapshot!(back(shrunk, Trouble::default()).story(), @"
    ended done
    ended done
    I10    beta-blue serves dist/gh/main/41000.tar.xz, but its next instance boots dist/gh/main/41002.tar.xz
    I1a    Beta-Blue gets 100 % of the traffic and has no healthy target
    I1b    Beta-Blue gets 100 % of the traffic with 0 healthy target(s), and 2 are needed, to the end
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
      beta-blue is scaled from 2 to 1 by its policy
      ModifyRule listener-rule: forward Beta-Blue=1
      PutParameter /compiler-explorer/beta/active-color: blue
      PutParameter /compiler-explorer/beta/active-target-group-arn: Beta-Blue
    ");
}

#[test]
fn a_rollback_after_a_failed_deploy_sends_traffic_to_what_failed() {
    let breaks = Mishap::Break { group: "beta-green".to_owned() };
    let failed = told(deploy("beta"), rules([Rule::mishap("instance", "GET /healthcheck", breaks)]));
    insta::assert_snapshot!(back(failed, Trouble::default()).story(), @"
    ended failed: some instances do not answer
    ended done
    I10    beta-green serves dist/gh/main/41000.tar.xz, dist/gh/main/41002.tar.xz, but its next instance boots dist/gh/main/41000.tar.xz
    I1b    Beta-Green gets 100 % of the traffic with 0 healthy target(s), and 2 are needed, for minutes
    I4-key Beta-Green serves dist/gh/main/41002.tar.xz, but i-… run(s) dist/gh/main/41000.tar.xz, to the end
      UpdateAutoScalingGroup beta-blue: min=2 max=2
      PutObject compiler-explorer/version/beta: dist/gh/main/41002.tar.xz
      UpdateAutoScalingGroup beta-green: min=2 desired=2
      UpdateAutoScalingGroup beta-blue: min=0 max=10
      UpdateAutoScalingGroup beta-green: min=0
      PutObject compiler-explorer/version/beta: dist/gh/main/41000.tar.xz
      ModifyRule listener-rule: forward Beta-Green=1
      PutParameter /compiler-explorer/beta/active-color: green
      PutParameter /compiler-explorer/beta/active-target-group-arn: Beta-Green
    ");
}

#[test]
fn a_rollback_whose_record_fails_leaves_listener_and_record_apart() {
    let deployed = told(deploy("beta"), Trouble::default());
    let denied = Rule::denied("ssm", "PutParameter").times(1);
    insta::assert_snapshot!(back(deployed, rules([denied])).story(), @"
    ended done
    ended failed: ssm:PutParameter on `/compiler-explorer/beta/active-color`: User is not authorized to perform: ssm:PutParameter because no identity-based policy allows it
    I10    beta-blue serves dist/gh/main/41000.tar.xz, but its next instance boots dist/gh/main/41002.tar.xz
    I2     Beta-Blue serves, but /compiler-explorer/beta/active-color says green
    I2     Beta-Blue serves, but /compiler-explorer/beta/active-target-group-arn says Beta-Green
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
      ModifyRule listener-rule: forward Beta-Blue=1
    ");
}
