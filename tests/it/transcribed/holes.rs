//! Holes before and around the switch: reads that are swallowed, sizes that stay pinned, a version key that stays behind.

use super::{Told, deploy, failing, killed, rules, signalled, told, tool};
use crate::stage::Trouble;
use bgx::sandbox::fault::{Mishap, Rule};
use bgx::sandbox::world::GroupUpdate;

#[test]
fn without_any_fault_traffic_goes_to_targets_that_nobody_checked() {
    let found: Vec<String> = told(deploy("beta"), Trouble::default()).all_findings().breaches.iter().map(super::sentence).collect();
    insta::assert_snapshot!(found.join("\n"), @"
    I1a    Beta-Green gets 100 % of the traffic and has no healthy target
    I1b    Beta-Green gets 100 % of the traffic with 0 healthy target(s), and 2 are needed
    ");
}

#[test]
fn a_group_that_cannot_be_read_counts_as_empty_and_six_instances_become_two() {
    let story = told(deploy("prod"), failing(Rule::throttle, "autoscaling", "DescribeAutoScalingGroups", 0)).story();
    insta::assert_snapshot!(story, @"
    ended done
    I1b    Prod-Green gets 100 % of the traffic with 0 healthy target(s), and 6 are needed, for minutes
      UpdateAutoScalingGroup prod-blue: min=6 max=6
      PutObject compiler-explorer/version/release: dist/gh/main/41002.tar.xz
      UpdateAutoScalingGroup prod-green: min=2 desired=2
      POST /admin/clear-cache i-…
      POST /admin/clear-cache i-…
      ModifyListener listener: forward Prod-Green=1 (2 times)
      PutParameter /compiler-explorer/prod/active-color: green
      PutParameter /compiler-explorer/prod/active-target-group-arn: Prod-Green
      UpdateAutoScalingGroup prod-green: min=2
      UpdateAutoScalingGroup prod-blue: min=0
      UpdateAutoScalingGroup prod-blue: min=2 max=40
    ");
}

#[test]
fn a_group_that_cannot_be_read_is_not_protected() {
    let story = told(deploy("beta"), failing(Rule::denied, "autoscaling", "DescribeAutoScalingGroups", 2)).story();
    insta::assert_snapshot!(story, @"
    ended done
      PutObject compiler-explorer/version/beta: dist/gh/main/41002.tar.xz
      UpdateAutoScalingGroup beta-green: min=2 desired=2
      POST /admin/clear-cache i-…
      ModifyRule listener-rule: forward Beta-Green=1
      PutParameter /compiler-explorer/beta/active-color: green
      PutParameter /compiler-explorer/beta/active-target-group-arn: Beta-Green
      UpdateAutoScalingGroup beta-green: min=1
      UpdateAutoScalingGroup beta-blue: min=0
    ");
}

#[test]
fn a_pin_whose_reply_is_lost_stays() {
    let story = told(deploy("beta"), failing(Rule::lost_reply, "autoscaling", "UpdateAutoScalingGroup", 0)).story();
    insta::assert_snapshot!(story, @"
    ended failed: autoscaling:UpdateAutoScalingGroup on `beta-blue`: io error: connection reset by peer
    I3     MaxSize of beta-blue was 10 and is left at 2
    I3     MinSize of beta-blue was 0 and is left at 2
    I3     beta-blue serves and is pinned: MinSize = MaxSize = 2
      UpdateAutoScalingGroup beta-blue: min=2 max=2 (8 times)
    ");
}

#[test]
fn a_signal_while_the_pin_is_sent_leaves_it() {
    let act = deploy("beta");
    let trouble = signalled(&act, "UpdateAutoScalingGroup", 0);
    insta::assert_snapshot!(told(act, trouble).story(), @"
    ended failed: SIGTERM received
    I3     MaxSize of beta-blue was 10 and is left at 2
    I3     MinSize of beta-blue was 0 and is left at 2
    I3     beta-blue serves and is pinned: MinSize = MaxSize = 2
      UpdateAutoScalingGroup beta-blue: min=2 max=2
      UpdateAutoScalingGroup beta-green: min=0
    ");
}

#[test]
fn a_pin_cuts_off_what_a_scaling_policy_has_just_added() {
    let grown = Mishap::Policy { group: "beta-blue".to_owned(), to: 4 };
    let story = told(deploy("beta"), rules([Rule::mishap("autoscaling", "UpdateAutoScalingGroup", grown)])).story();
    insta::assert_snapshot!(story, @"
    ended done
    I1b    Beta-Blue gets 100 % of the traffic with 1 healthy target(s), and 2 are needed, for minutes
    I9     beta-blue serves with 2 healthy target(s) and is shrunk from 4 to 2
      beta-blue is scaled from 2 to 4 by its policy
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
    ");
}

#[test]
fn a_replacement_on_the_live_colour_boots_the_new_build() {
    let dies = Mishap::Kill { group: "beta-blue".to_owned() };
    let dies = Rule::mishap("autoscaling", "DescribeAutoScalingGroups", dies).after(3);
    // The new instances take their time to list their compilers, as they do.
    let slow = Rule::error("instance", "GET /beta/api/compilers", 500, "", "").times(60);
    let story = told(deploy("beta"), rules([dies, slow])).story();
    insta::assert_snapshot!(story, @"
    ended done
    I4-key Beta-Blue serves dist/gh/main/41000.tar.xz, but i-… run(s) dist/gh/main/41002.tar.xz, for minutes
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
    ");
}

#[test]
fn a_killed_deploy_leaves_the_live_group_pinned_and_the_new_build_in_the_key() {
    insta::assert_snapshot!(killed(deploy("beta"), "ModifyRule", 0).story(), @"
    ended killed
    I10    beta-blue serves dist/gh/main/41000.tar.xz, but its next instance boots dist/gh/main/41002.tar.xz
    I3     MaxSize of beta-blue was 10 and is left at 2
    I3     MinSize of beta-blue was 0 and is left at 2
    I3     beta-blue serves and is pinned: MinSize = MaxSize = 2
      UpdateAutoScalingGroup beta-blue: min=2 max=2
      PutObject compiler-explorer/version/beta: dist/gh/main/41002.tar.xz
      UpdateAutoScalingGroup beta-green: min=2 desired=2
      POST /admin/clear-cache i-…
    ");
}

#[test]
fn the_next_deploy_takes_the_pinned_sizes_for_the_original_ones() {
    let first = killed(deploy("beta"), "ModifyRule", 0);
    let cleaned = first.play(&tool("cleanup", "beta", &[]), Trouble::default()).then(|world| world.advance(world.now.after_ms(600_000)));
    insta::assert_snapshot!(cleaned.play(&deploy("beta"), Trouble::default()).story(), @"
    ended killed
    ended done
    ended done
    I3     MaxSize of beta-blue was 10 and is left at 2
    I3     MinSize of beta-blue was 0 and is left at 2
      UpdateAutoScalingGroup beta-blue: min=2 max=2
      PutObject compiler-explorer/version/beta: dist/gh/main/41002.tar.xz
      UpdateAutoScalingGroup beta-green: min=2 desired=2
      POST /admin/clear-cache i-…
      UpdateAutoScalingGroup beta-green: min=0
      UpdateAutoScalingGroup beta-green: desired=0
      UpdateAutoScalingGroup beta-blue: min=2 max=2
      PutObject compiler-explorer/version/beta: dist/gh/main/41002.tar.xz
      UpdateAutoScalingGroup beta-green: min=2 desired=2
      POST /admin/clear-cache i-…
      ModifyRule listener-rule: forward Beta-Green=1
      PutParameter /compiler-explorer/beta/active-color: green
      PutParameter /compiler-explorer/beta/active-target-group-arn: Beta-Green
      UpdateAutoScalingGroup beta-green: min=1
      UpdateAutoScalingGroup beta-blue: min=0
      UpdateAutoScalingGroup beta-blue: min=2 max=2
    ");
}

#[test]
fn two_deploys_at_once_leave_the_old_group_pinned() {
    let resize = |min, max| GroupUpdate { min: Some(min), max: Some(max), ..GroupUpdate::default() };
    let begun = Told::begin(deploy("beta"));
    let (group, of) = ("beta-blue".to_owned(), begun.world.groups["beta-blue"].clone());
    // The other deploy pins the group before this one looks, and gives it back before this one does.
    let pinned = begun.then(|world| {
        assert!(Mishap::Resize { group: group.clone(), update: resize(of.desired, of.desired) }.befall(world));
        world.advance(world.now.after_ms(60_000));
    });
    let given_back = Mishap::Resize { group: group.clone(), update: resize(of.min, of.max) };
    let both = pinned.play(&deploy("beta"), rules([Rule::mishap("elasticloadbalancing", "ModifyRule", given_back)]));
    insta::assert_snapshot!(both.story(), @"
    ended done
    I3     MaxSize of beta-blue was 10 and is left at 2
    I3     MinSize of beta-blue was 0 and is left at 2
      UpdateAutoScalingGroup beta-blue: min=2 max=2 (somebody else)
      UpdateAutoScalingGroup beta-blue: min=2 max=2
      PutObject compiler-explorer/version/beta: dist/gh/main/41002.tar.xz
      UpdateAutoScalingGroup beta-green: min=2 desired=2
      POST /admin/clear-cache i-…
      UpdateAutoScalingGroup beta-blue: min=0 max=10 (somebody else)
      ModifyRule listener-rule: forward Beta-Green=1
      PutParameter /compiler-explorer/beta/active-color: green
      PutParameter /compiler-explorer/beta/active-target-group-arn: Beta-Green
      UpdateAutoScalingGroup beta-green: min=1
      UpdateAutoScalingGroup beta-blue: min=0
      UpdateAutoScalingGroup beta-blue: min=2 max=2
    ");
}

#[test]
fn a_token_that_cannot_be_read_leaves_the_new_build_in_the_key() {
    let story = told(deploy("beta"), failing(Rule::denied, "ssm", "GetParameter", 3)).story();
    insta::assert_snapshot!(story, @"
    ended failed: ssm:GetParameter on `/compiler-explorer/sentryAuthToken`: User is not authorized to perform: ssm:GetParameter because no identity-based policy allows it
    I10    beta-blue serves dist/gh/main/41000.tar.xz, but its next instance boots dist/gh/main/41002.tar.xz
      UpdateAutoScalingGroup beta-blue: min=2 max=2
      PutObject compiler-explorer/version/beta: dist/gh/main/41002.tar.xz
      UpdateAutoScalingGroup beta-blue: min=0 max=10
      UpdateAutoScalingGroup beta-green: min=0
    ");
}

#[test]
fn a_signal_before_the_tool_has_noted_the_new_build_leaves_it_in_the_key() {
    let act = deploy("beta");
    let trouble = signalled(&act, "PutObject", 0);
    insta::assert_snapshot!(told(act, trouble).story(), @"
    ended failed: SIGTERM received
    I10    beta-blue serves dist/gh/main/41000.tar.xz, but its next instance boots dist/gh/main/41002.tar.xz
      UpdateAutoScalingGroup beta-blue: min=2 max=2
      PutObject compiler-explorer/version/beta: dist/gh/main/41002.tar.xz
      UpdateAutoScalingGroup beta-blue: min=0 max=10
      UpdateAutoScalingGroup beta-green: min=0
      UpdateAutoScalingGroup beta-blue: min=0 max=10
      UpdateAutoScalingGroup beta-green: min=0
    ");
}

#[test]
fn an_error_in_the_cleanup_hides_the_rest_of_it() {
    // The routing table cannot be made, so the cleanup runs; its first call is refused.
    let fifth = Rule::throttle("autoscaling", "UpdateAutoScalingGroup").after(4).times(super::GIVEN_UP);
    let table = Rule::server_error("instance", "GET /beta/api/compilers").after(2).times(super::GIVEN_UP);
    insta::assert_snapshot!(told(deploy("beta"), rules([fifth, table])).story(), @"
    ended failed: autoscaling:UpdateAutoScalingGroup on `beta-blue`: Rate exceeded
    I3     MaxSize of beta-blue was 10 and is left at 2
      UpdateAutoScalingGroup beta-blue: min=2 max=2
      PutObject compiler-explorer/version/beta: dist/gh/main/41002.tar.xz
      UpdateAutoScalingGroup beta-green: min=2 desired=2
      POST /admin/clear-cache i-…
      ModifyRule listener-rule: forward Beta-Green=1
      PutParameter /compiler-explorer/beta/active-color: green
      PutParameter /compiler-explorer/beta/active-target-group-arn: Beta-Green
      UpdateAutoScalingGroup beta-green: min=1
      UpdateAutoScalingGroup beta-blue: min=0
    ");
}

#[test]
fn the_floor_that_step_5_5_takes_away_comes_back_in_the_cleanup() {
    let told = told(deploy("prod"), Trouble::default());
    insta::assert_snapshot!(told.story(), @"
    ended done
      UpdateAutoScalingGroup prod-blue: min=6 max=6
      PutObject compiler-explorer/version/release: dist/gh/main/41002.tar.xz
      UpdateAutoScalingGroup prod-green: min=6 desired=6
      POST /admin/clear-cache i-…
      POST /admin/clear-cache i-…
      ModifyListener listener: forward Prod-Green=1 (2 times)
      PutParameter /compiler-explorer/prod/active-color: green
      PutParameter /compiler-explorer/prod/active-target-group-arn: Prod-Green
      UpdateAutoScalingGroup prod-green: min=2
      UpdateAutoScalingGroup prod-blue: min=0
      UpdateAutoScalingGroup prod-blue: min=2 max=40
    ");
}

#[test]
fn an_answer_of_no_is_called_a_success() {
    let mut act = tool("deploy", "beta", &[("version", "latest"), ("attended", "true")]);
    act.answers.insert("proceed".to_owned(), "no".to_owned());
    let no = told(act, Trouble::default());
    let again = no.play(&deploy("beta"), Trouble::default());
    insta::assert_snapshot!(again.story(), @"
    ended done
    ended failed: beta-green already has instances
      UpdateAutoScalingGroup beta-blue: min=2 max=2
      PutObject compiler-explorer/version/beta: dist/gh/main/41002.tar.xz
      UpdateAutoScalingGroup beta-green: min=2 desired=2
      UpdateAutoScalingGroup beta-blue: min=0 max=10
      UpdateAutoScalingGroup beta-green: min=0
      PutObject compiler-explorer/version/beta: dist/gh/main/41000.tar.xz
    ");
}

#[test]
fn a_deploy_onto_existing_instances_serves_the_old_build_under_the_new_name() {
    let mut act = tool("deploy", "beta", &[("version", "latest"), ("attended", "true")]);
    act.answers.insert("existing".to_owned(), "yes".to_owned());
    act.answers.insert("proceed".to_owned(), "yes".to_owned());
    let there = Told::begin(deploy("beta")).then(|world| {
        let two = GroupUpdate { min: None, max: None, desired: Some(2) };
        assert!(Mishap::Resize { group: "beta-green".to_owned(), update: two }.befall(world));
        world.advance(world.now.after_ms(900_000));
    });
    insta::assert_snapshot!(there.play(&act, Trouble::default()).story(), @"
    ended done
    I10    beta-green serves dist/gh/main/41000.tar.xz, but its next instance boots dist/gh/main/41002.tar.xz
      UpdateAutoScalingGroup beta-green: desired=2 (somebody else)
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
    ");
}
