//! Credentials that may do less than everything: what is only nice to know may be missing, what matters may not.

use crate::support::lab;
use bgx::run::event::{Outcome, What};
use bgx::sandbox::fault::Rule;

const LIST: &str = "DescribeInstanceInformation";

#[test]
fn without_the_right_to_list_addresses_a_deploy_says_that_versions_are_unknown_and_goes_on() {
    let deploy = lab("beta", "playbooks/deploy.rhai").param("version", "latest").param("bake", "1m");
    let deploy = deploy.answer("compilers", "go"); // the team's question where no instance can be asked
    let outcome = deploy.fault(Rule::denied("ssm", LIST).always()).run();
    assert_eq!(outcome.ended.outcome, Outcome::Done, "{:?}", outcome.ended);
    let unknown = "2 instance(s) of beta-green did not say which version they run";
    assert!(outcome.events.iter().any(|e| matches!(&e.what, What::Said { text, .. } if text == unknown)));
}

#[test]
fn addresses_that_could_not_be_read_are_an_error_and_not_unknown_versions() {
    let deploy = lab("beta", "playbooks/deploy.rhai").param("version", "latest").param("bake", "1m");
    let outcome = deploy.fault(Rule::server_error("ssm", LIST).always()).run();
    assert_eq!(outcome.ended.outcome, Outcome::Undone, "{:?}", outcome.ended);
    assert!(outcome.error.is_some_and(|text| text.contains(LIST)));
}
