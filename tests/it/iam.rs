//! The policy that `bgx prove --iam` writes is enough for all that was played, and without any of its statements something fails.

use crate::program::{exit_code, project};
use crate::support::{Crash, Go, Lab, config, lab, root};
use bgx::account::Memo;
use bgx::prove::permissions::{Ids, policy};
use bgx::prove::{Extent, Mode, ProveError, Report, Rights, Start, Subject, prove};
use bgx::run::event::Outcome;
use bgx::sandbox::world::{Policy, Statement};
use bgx::script::session::Playbook;
use std::collections::BTreeMap;

fn deploy(rights: Rights) -> Subject {
    let config = config();
    let env = config.env("beta").expect("beta is in bgx.toml").clone();
    let playbook = Playbook::load(&root().join("playbooks/deploy.rhai"), &config, Some("team/compiler_explorer"))
        .unwrap_or_else(|p| panic!("{}", p.render(false)));
    let params = BTreeMap::from([("version", "latest"), ("bake", "1m")].map(|(name, value)| (name.to_owned(), value.to_owned())));
    Subject {
        config,
        env,
        also: Vec::new(),
        playbook,
        path: "deploy".to_owned(),
        params,
        answers: BTreeMap::new(),
        seed: 7,
        start: Start::Fresh,
        rights,
        given: None,
        memo: Some(Memo::default()),
    }
}

/// Signals late in the run, so that all is taken back, and credentials that end: then it is resumed, and undone.
fn proved(subject: &Subject) -> Result<Vec<Report>, ProveError> {
    let some = |(fault, every): (&str, usize)| {
        let extent = Extent { mode: Mode::Single, fault: Some(fault.to_owned()), every, limit: None, most: None, threads: 2 };
        prove(subject, &extent, &|_| true)
    };
    [("SIGTERM", 40), ("credentials expired", 50)].into_iter().map(some).collect()
}

fn without(policy: &Policy, index: usize) -> Policy {
    let mut less = policy.clone();
    less.statement.remove(index);
    less
}

/// Whether a deploy or one of its recoveries fails with this policy, or a deploy whose journal is in the bucket.
fn fails(policy: &Policy) -> bool {
    let proved = match proved(&deploy(Rights::enforced(policy.clone()))) {
        Err(ProveError::Baseline { .. }) => false,
        Err(other) => panic!("{other}"),
        Ok(reports) => reports.iter().all(Report::is_clean),
    };
    !proved || kept_in_bucket(policy).tried().map_or(true, |outcome| outcome.ended.outcome != Outcome::Done)
}

fn kept_in_bucket(policy: &Policy) -> Lab {
    let policy = policy.clone();
    let deploy = lab("beta", "playbooks/deploy.rhai").param("version", "latest").param("bake", "1m");
    deploy.in_s3().prepare(move |world| world.policy = Some(policy.clone()))
}

#[test]
fn the_policy_is_enough_and_each_of_its_statements_is_needed() {
    let subject = deploy(Rights::default());
    assert!(proved(&subject).expect("it runs").iter().all(Report::is_clean));
    let written = policy(&subject.rights.seen(), &[&subject.env], Ids::Made(None));
    assert!(!fails(&written), "it is enough");
    assert!(written.statement.len() >= 5, "{written:#?}");
    for index in 0..written.statement.len() {
        assert!(fails(&without(&written, index)), "not needed: {:#?}", written.statement[index]);
    }
}

#[test]
fn the_next_deploy_which_goes_the_other_way_needs_no_more() {
    let subject = deploy(Rights::default());
    proved(&subject).expect("it runs");
    let written = policy(&subject.rights.seen(), &[&subject.env], Ids::Made(None));
    let first = kept_in_bucket(&written).run();
    assert_eq!(first.ended.outcome, Outcome::Done, "its journal is in the bucket: {:?}", first.ended);
    let crash = Crash { journal: Vec::new(), world: first.after };
    let next = kept_in_bucket(&written).seed(8).param("version", "41001").answer("existing", "fresh").recover(&crash, Go::Run);
    assert_eq!(next.ended.outcome, Outcome::Done, "{:?}", next.ended);
    assert!(next.after.policy.is_some() && next.before.policy == Some(written));
}

#[test]
fn the_policy_names_what_may_be_changed_and_nothing_of_another_environment() {
    let subject = deploy(Rights::default());
    proved(&subject).expect("it runs");
    let written = policy(&subject.rights.seen(), &[&subject.env], Ids::Made(Some("052730242331")));
    insta::assert_snapshot!(serde_json::to_string_pretty(&written).expect("it is JSON"), @r#"
    {
      "Version": "2012-10-17",
      "Statement": [
        {
          "Effect": "Allow",
          "Action": [
            "autoscaling:DescribeAutoScalingGroups",
            "autoscaling:DescribeScalingActivities",
            "elasticloadbalancing:DescribeListeners",
            "elasticloadbalancing:DescribeLoadBalancers",
            "elasticloadbalancing:DescribeRules",
            "elasticloadbalancing:DescribeTargetGroups",
            "elasticloadbalancing:DescribeTargetHealth",
            "ssm:DescribeInstanceInformation"
          ],
          "Resource": [
            "*"
          ]
        },
        {
          "Effect": "Allow",
          "Action": [
            "autoscaling:ResumeProcesses",
            "autoscaling:SuspendProcesses",
            "autoscaling:UpdateAutoScalingGroup"
          ],
          "Resource": [
            "arn:aws:autoscaling:us-east-1:052730242331:autoScalingGroup:*:autoScalingGroupName/beta-blue",
            "arn:aws:autoscaling:us-east-1:052730242331:autoScalingGroup:*:autoScalingGroupName/beta-green"
          ]
        },
        {
          "Effect": "Allow",
          "Action": [
            "elasticloadbalancing:ModifyRule"
          ],
          "Resource": [
            "arn:aws:elasticloadbalancing:us-east-1:052730242331:listener-rule/app/GccExplorerApp/*/*/*"
          ]
        },
        {
          "Effect": "Allow",
          "Action": [
            "s3:DeleteObject",
            "s3:PutObject"
          ],
          "Resource": [
            "arn:aws:s3:::compiler-explorer/bgx/locks/beta.json"
          ]
        },
        {
          "Effect": "Allow",
          "Action": [
            "s3:DeleteObject",
            "s3:PutObject",
            "s3:PutObjectAcl"
          ],
          "Resource": [
            "arn:aws:s3:::compiler-explorer/version/beta"
          ]
        },
        {
          "Effect": "Allow",
          "Action": [
            "s3:GetObject"
          ],
          "Resource": [
            "arn:aws:s3:::compiler-explorer/*"
          ]
        },
        {
          "Effect": "Allow",
          "Action": [
            "s3:ListBucket"
          ],
          "Resource": [
            "arn:aws:s3:::compiler-explorer"
          ]
        },
        {
          "Effect": "Allow",
          "Action": [
            "s3:PutObject"
          ],
          "Resource": [
            "arn:aws:s3:::compiler-explorer/bgx/runs/beta/*"
          ]
        },
        {
          "Effect": "Allow",
          "Action": [
            "ssm:DeleteParameter",
            "ssm:PutParameter"
          ],
          "Resource": [
            "arn:aws:ssm:us-east-1:052730242331:parameter/compiler-explorer/beta/active-color",
            "arn:aws:ssm:us-east-1:052730242331:parameter/compiler-explorer/beta/active-target-group-arn",
            "arn:aws:ssm:us-east-1:052730242331:parameter/compiler-explorer/beta/blue-version",
            "arn:aws:ssm:us-east-1:052730242331:parameter/compiler-explorer/beta/green-version"
          ]
        },
        {
          "Effect": "Allow",
          "Action": [
            "ssm:GetParameter",
            "ssm:GetParameters"
          ],
          "Resource": [
            "arn:aws:ssm:us-east-1:052730242331:parameter/compiler-explorer/beta/*"
          ]
        }
      ]
    }
    "#);
}

/// What `bgx doctor` points to, and the policy, agree.
#[test]
fn the_page_about_permissions_has_every_action_of_the_policy() {
    let page = std::fs::read_to_string(root().join("docs/adopting.md")).expect("the repository has it");
    let (_, section) = page.split_once("## 4. Permissions").expect("it has the section");
    let section = section.split("\n## ").next().unwrap_or_default();
    let subject = deploy(Rights::default());
    proved(&subject).expect("it runs");
    let written = policy(&subject.rights.seen(), &[&subject.env], Ids::Made(None));
    for action in written.statement.iter().flat_map(|statement| &statement.action) {
        let (service, name) = action.split_once(':').expect("an action has a service");
        assert!(
            section.contains(&format!("`{action}`")) || (section.contains(&format!("{service}:")) && section.contains(name)),
            "{action}"
        );
    }
}

#[test]
fn a_denied_call_is_answered_as_aws_does_and_the_run_takes_back_what_it_did() {
    let all = |actions: &[&str]| Statement::allow(actions.iter().map(|text| (*text).to_owned()).collect(), vec!["*".to_owned()]);
    let no_switch = Policy::new(vec![all(&["autoscaling:*", "elasticloadbalancing:Describe*", "ssm:*", "s3:*", "cloudwatch:*"])]);
    let deploy = lab("beta", "playbooks/deploy.rhai").param("version", "latest").param("bake", "1m");
    let outcome = deploy.prepare(move |world| world.policy = Some(no_switch.clone())).run();
    assert_eq!(outcome.ended.outcome, Outcome::Undone, "{:?}", outcome.ended);
    let told = outcome.error.expect("it failed");
    assert!(told.contains("is not authorized to perform: elasticloadbalancing:ModifyRule on resource: arn:aws:"), "{told}");
}

#[test]
fn prove_writes_a_policy_and_plays_under_one() {
    let project = project();
    let prove = |more: &[&str]| project.bgx(&[&["prove", "start", "--env", "beta", "--world", "empty", "--sample", "400"], more].concat());
    let said = prove(&["--iam", "policy.json"]);
    assert_eq!(exit_code(&said), Some(0), "{said}");
    assert!(said.contains("statements: policy.json") && said.contains("those of a sample"), "{said}");
    let said = prove(&["--policy", "policy.json"]);
    assert_eq!(exit_code(&said), Some(0), "{said}");
    let written = project.read("policy.json").expect("it was written");
    project.write("less.json", written.replacen("autoscaling:UpdateAutoScalingGroup", "autoscaling:Nothing", 1));
    let said = prove(&["--policy", "less.json"]);
    assert_eq!(exit_code(&said), Some(2), "{said}");
    assert!(said.contains("autoscaling:UpdateAutoScalingGroup"), "{said}");
    project.write(
        "odd.json",
        r#"{ "Version": "2012-10-17", "Statement": [{ "Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {} }] }"#,
    );
    let said = prove(&["--policy", "odd.json"]);
    assert_eq!(exit_code(&said), Some(2), "{said}");
    assert!(said.contains("`odd.json` is no IAM policy that the sandbox can enforce: unknown field `Condition`"), "{said}");
}
