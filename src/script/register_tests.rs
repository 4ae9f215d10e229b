//! Tests of what happens around the body of every verb.

use crate::script::testing::{VERBS, played};

/// A call with `c` for the idle colour; the error without its place.
fn refused(call: &str) -> String {
    let error = played(&format!("let c = colors().idle; {call}")).error();
    error.split_once(": ").map(|(_, e)| e.to_string()).expect("there is a place")
}

const SCALE: &str = "[scale(color, #{desired, min, max, lease})]";

#[test]
fn options_are_checked_by_name_and_kind() {
    assert_eq!(refused("scale(c, #{desird: 2})"), format!("scale: option \"desird\" is not known; did you mean \"desired\"? {SCALE}"));
    assert_eq!(refused("scale(c, #{zzz: 2})"), format!("scale: option \"zzz\" is not known {SCALE}"));
    assert_eq!(refused("scale(c, #{desired: \"2\"})"), "scale: `desired` wants a whole number, got \"2\"");
    assert_eq!(refused("scale(c, #{desired: 2.5})"), "scale: `desired` wants a whole number, got 2.5");
    assert_eq!(refused("wait_healthy(c, #{timeout: 5})"), "wait_healthy: `timeout` wants a duration such as \"5m\", got 5");
    assert_eq!(
        refused("wait_healthy(c, #{timeout: \"5 min\"})"),
        "wait_healthy: `timeout` wants a duration: \"5 min\" is no duration; write e.g. \"90s\", \"5m\", \"1h30m\" or \"500ms\""
    );
    assert_eq!(refused("wait_healthy(c, #{count: -1})"), "wait_healthy: `count` wants a number from 0, got -1");
    assert_eq!(
        refused("accept_less(c, #{healthy: 1})"),
        "accept_less: option \"reason\" is missing [accept_less(color, #{healthy, reason})]"
    );
    assert_eq!(
        refused("accept_less(c, #{healthy: 1, reason: ()})"),
        "accept_less: option \"reason\" is missing [accept_less(color, #{healthy, reason})]"
    );
}

#[test]
fn arguments_are_checked_by_kind() {
    assert_eq!(refused("scale(\"blue\")"), format!("scale: `color` wants a colour such as `c.idle`, got \"blue\" {SCALE}"));
    assert_eq!(refused("scale(colors())"), format!("scale: `color` wants a colour such as `c.idle`, got a colors record {SCALE}"));
    assert_eq!(refused("scale(#{desired: 2})"), format!("scale: `color` wants a colour such as `c.idle`, got () {SCALE}"));
    assert_eq!(refused("scale(c, 5)"), format!("scale: the options must be a map #{{…}}, got 5 {SCALE}"));
    assert_eq!(refused("say(c)"), "say: `text` wants text, got a color record [say(text)]");
    assert_eq!(refused("wait_until(\"x\", #{}, 7)"), "wait_until: `f` wants a closure `|| …`, got 7 [wait_until(text, options, f)]");
    assert_eq!(refused("say([1])"), "say: `text` wants text, got a list [say(text)]");
    assert_eq!(refused("say(|| 1)"), "say: `text` wants text, got a closure [say(text)]");
}

#[test]
fn options_and_optional_arguments_may_be_left_out() {
    assert_eq!(played("lazy(1)").value(), "\"1 None None\"");
    assert_eq!(played("lazy(1, 2)").value(), "\"1 Some(2.0) None\"");
    assert_eq!(played("lazy(1, #{c: \"5s\"})").value(), "\"1 None Some(5s)\"");
    assert_eq!(played("lazy(1, 2.5, #{c: \"5s\"})").value(), "\"1 Some(2.5) Some(5s)\"");
    assert_eq!(
        played("lazy(#{x: 1})").value(),
        "\"#{\\\"x\\\": 1} None None\"",
        "a map for a parameter that takes any value is that value"
    );
    assert_eq!(played("lazy(1, (), #{c: ()})").value(), "\"1 None None\"");
    assert_eq!(
        played("let c = colors().idle; scale(c); scale(c, #{min: (), desired: 3});").log,
        [
            "scale(color{asg: \"beta-green\", name: \"green\", tg: \"beta-green\", version: \"gh-1\"}) {} @ main.rhai:1:24",
            "scale(color{asg: \"beta-green\", name: \"green\", tg: \"beta-green\", version: \"gh-1\"}) {desired: 3} @ main.rhai:1:34"
        ]
    );
}

#[test]
fn a_call_in_method_style_leaves_its_variable_alone() {
    assert_eq!(played("let t = \"5m\"; t.sleep(); t").value(), "\"5m\"");
    assert_eq!(played("let t = \"5m\"; let f = || t; t.sleep(); f.call()").value(), "\"5m\"");
}

#[test]
fn signatures_and_arities_follow_from_the_row() {
    let row = |name: &str| VERBS.iter().find(|v| v.name == name).expect("in the table");
    assert_eq!(row("lazy").signature(), "lazy(a, [b], #{c})");
    assert_eq!(row("lazy").arities(), 1..=3);
    assert_eq!(row("accept_less").arities(), 2..=2);
    assert_eq!(row("commit").arities(), 0..=0);
}

#[test]
fn every_verb_reaches_the_metadata_with_its_words() {
    let engine = crate::script::engine::bare(VERBS);
    let signatures = engine.collect_fn_metadata(None, |f| Some(f.metadata.gen_signature(|t| t.to_string().into())), false);
    assert!(signatures.iter().any(|s| s.contains("scale(color: color, options: map)")), "{signatures:?}");
}
