//! Others are told how a run goes, by notices and metrics, and nothing of that can fail a run or hold it up.

use crate::support::{Lab, Outcome, lab, root};
use bgx::config::Secret;
use bgx::run::event::{OnFailure, Outcome as Ending, What};
use bgx::run::tell::METRICS;
use bgx::sandbox::fault::Rule;
use insta::assert_snapshot;
use std::collections::BTreeMap;

fn telling(playbook: &str) -> Lab {
    let mut lab = lab("beta", playbook);
    lab.config.envs.values_mut().for_each(|env| {
        env.notify = Some(Secret::Env("BGX_WEBHOOK".to_owned()));
        env.metrics = Some("bgx".to_owned());
    });
    lab
}

fn deploy() -> Lab {
    telling("playbooks/deploy.rhai").param("version", "latest").param("bake", "1m")
}

/// All notices; how long it took is not what they are read for here.
fn notices(outcome: &Outcome) -> String {
    let timeless = |text: String| text.split_once(" done in ").map(|(what, _)| format!("{what} done")).unwrap_or(text);
    let text = |body: &String| serde_json::from_str::<serde_json::Value>(body).expect("JSON")["text"].as_str().map(str::to_owned);
    outcome.after.notices.iter().filter_map(text).map(timeless).collect::<Vec<_>>().join("\n---\n")
}

/// Those of the environment alone.
fn metrics(outcome: &Outcome) -> BTreeMap<String, f64> {
    let alone = outcome.after.published.iter().filter(|datum| datum.dimensions.len() == 1 && datum.dimensions["Environment"] == "beta");
    alone.map(|datum| (datum.name.clone(), datum.sum)).collect()
}

fn noticed(outcome: &Outcome) -> Vec<&str> {
    let texts = outcome.events.iter().filter_map(|e| if let What::Noticed { text, .. } = &e.what { Some(text.as_str()) } else { None });
    texts.collect()
}

fn flags(outcome: &Outcome) -> [f64; 3] {
    let found = metrics(outcome);
    assert_eq!(found.keys().map(String::as_str).collect::<Vec<_>>(), ["RunSeconds", "RunsFailed", "RunsWaiting", "Switches"]);
    assert!((found["RunSeconds"] - outcome.ended.seconds).abs() < 10.0);
    ["RunsFailed", "RunsWaiting", "Switches"].map(|name| found[name])
}

#[test]
fn a_run_that_is_done() {
    let outcome = deploy().run();
    assert_eq!(outcome.ended.outcome, Ending::Done, "{:?}", outcome.ended.why);
    assert_snapshot!(notices(&outcome), @"
    beta: deploy started by tester
    `bgx show lab7` follows it
    ---
    beta: deploy done
    ");
    assert_eq!(flags(&outcome), [0.0, 0.0, 1.0]);
    assert_eq!(outcome.after.published.len(), 8, "and by playbook too");
}

#[test]
fn a_run_that_was_taken_back() {
    let outcome = deploy().fault(Rule::denied("elasticloadbalancing", "ModifyRule").always()).run();
    assert_eq!(outcome.ended.outcome, Ending::Undone);
    assert_snapshot!(notices(&outcome), @"
    beta: deploy started by tester
    `bgx show lab7` follows it
    ---
    beta: deploy failed, and everything was taken back: elasticloadbalancing:ModifyRule on `arn:aws:elasticloadbalancing:us-east-1:123456789012:listener-rule/app/GccExplorerApp/63cbe1e459320dd7/953aeb70673e29cb/1363f25caeb7c570`: User is not authorized to perform: elasticloadbalancing:ModifyRule because no identity-based policy allows it
    `bgx why lab7`
    ");
    assert_eq!(flags(&outcome), [1.0, 0.0, 0.0]);
}

#[test]
fn a_run_that_waits_for_somebody() {
    let outcome = deploy().fault(Rule::denied("elasticloadbalancing", "ModifyRule").always()).on_failure(OnFailure::Pause).run();
    assert_eq!(outcome.ended.outcome, Ending::Paused);
    assert_snapshot!(notices(&outcome), @"
    beta: deploy started by tester
    `bgx show lab7` follows it
    ---
    beta: deploy is PAUSED as it is: elasticloadbalancing:ModifyRule on `arn:aws:elasticloadbalancing:us-east-1:123456789012:listener-rule/app/GccExplorerApp/63cbe1e459320dd7/953aeb70673e29cb/1363f25caeb7c570`: User is not authorized to perform: elasticloadbalancing:ModifyRule because no identity-based policy allows it
    `bgx resume lab7` or `bgx undo lab7`
    ");
    assert_eq!(flags(&outcome), [1.0, 1.0, 0.0]);
}

#[test]
fn what_a_playbook_announces_goes_to_the_webhook_too() {
    let outcome = telling("playbooks/notify-live.rhai").param("send", "true").run();
    assert_eq!(outcome.ended.outcome, Ending::Done, "{:?}", outcome.ended.why);
    assert_eq!(notices(&outcome), "beta: dist/gh/main/41000.tar.xz is live");
    assert!(telling("playbooks/notify-live.rhai").run().after.notices.is_empty());
}

#[test]
fn who_only_looks_is_nobodys_news() {
    let outcome = telling("playbooks/validate.rhai").run();
    assert_eq!(outcome.ended.outcome, Ending::Done, "{:?}", outcome.ended.why);
    assert!(outcome.after.notices.is_empty() && outcome.after.published.is_empty());
}

#[test]
fn nobody_who_is_told_can_fail_a_run_or_hold_it_up() {
    let calm = deploy().run();
    for (rule, why) in [
        (Rule::hang as fn(&str, &str) -> Rule, "it did not answer"),
        (Rule::lost_request, "it did not answer"),
        (Rule::server_error, "it answers 5"),
    ] {
        let outcome = deploy().fault(rule("webhook", "POST /").always()).fault(rule("monitoring", "PutMetricData").always()).run();
        assert_eq!(outcome.ended.outcome, Ending::Done, "{:?}", outcome.ended.why);
        let noticed = noticed(&outcome);
        assert_eq!(noticed.len(), 3, "{noticed:?}");
        assert!(noticed[0].starts_with("the webhook did not get a notice: ") && noticed[0].contains(why), "{noticed:?}");
        assert!(noticed[2].starts_with("CloudWatch has no metrics of this run: "), "{noticed:?}");
        assert!(outcome.ended.seconds < calm.ended.seconds + 60.0, "{} {}", outcome.ended.seconds, calm.ended.seconds);
    }
}

#[test]
fn the_files_to_load_name_the_metrics_that_are_published() {
    for (file, name) in [("alarms.json", "\"MetricName\": \""), ("dashboard.json", "MetricName=\\\"")] {
        let text = std::fs::read_to_string(root().join("docs/cloudwatch").join(file)).expect("it is in the repository");
        serde_json::from_str::<serde_json::Value>(&text).unwrap_or_else(|error| panic!("{file}: {error}"));
        // The load balancer's own metrics are AWS's to name.
        let lines: String = text.lines().filter(|line| !line.contains("AWS/")).collect();
        let named: Vec<&str> = lines.split(name).skip(1).filter_map(|rest| rest.split(['"', '\\']).next()).collect();
        assert!(named.len() >= 3 && named.iter().all(|name| METRICS.contains(name)), "{file}: {named:?}");
    }
}
