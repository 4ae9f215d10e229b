//! Tests of records as playbooks use them.

use super::*;
use crate::script::testing::{color, map, played};

#[test]
fn fields_are_read_by_property_and_index() {
    assert_eq!(
        played("let c = colors(); [c.idle.name, c[\"idle\"][\"asg\"], c.live[\"name\"]]").value(),
        r#"["green", "beta-green", "blue"]"#
    );
    assert_eq!(played("let c = colors(); [c.idle].map(|x| x.name)").value(), r#"["green"]"#);
    assert_eq!(played("let m = #{a: colors()}; m.a.idle.name").value(), r#""green""#);
    assert_eq!(played("let c = colors(); let f = || c.idle.name; f.call()").value(), r#""green""#);
    assert_eq!(played("const C = colors(); fn f() { global::C.idle.name } f()").value(), r#""green""#);
    assert_eq!(played("colors()?.idle?.name ?? 1").value(), r#""green""#);
}

#[test]
fn an_unknown_field_is_an_error_with_a_suggestion() {
    assert_eq!(played("let c = colors();\nc.idle.nmae").error(), "main.rhai:2:8: `color` has no field `nmae` [did you mean `name`?]");
    assert_eq!(played("colors().other").error(), "main.rhai:1:10: `colors` has no field `other` [it has idle, live]");
}

#[test]
fn a_record_cannot_be_changed() {
    assert_eq!(
        played("let c = colors(); c.idle = 1;").error(),
        "main.rhai:1:21: `colors` cannot be changed: `idle` is a fact that was read [copy it: let mine = x.idle;]"
    );
    assert!(played("let c = colors(); c[\"idle\"] = 1;").error().contains("cannot be changed"));
    assert!(played("let e = env(); e.alarms.push(1);").error().contains("cannot be changed"), "not silently lost");
    assert_eq!(played("let e = env(); let mine = e.alarms; mine.push(1); [e.alarms.len(), mine.len()]").value(), "[0, 1]");
}

#[test]
fn records_compare_by_value() {
    assert_eq!(
        played("let c = colors(); [c == colors(), c != colors(), c.live == c.idle, c.live != c.idle, c == 5, c == ()]").value(),
        "[true, false, false, true, false, false]"
    );
    assert_eq!(
        played("let c = colors(); [c.live in [c.live], c.live in [c.idle], [c.idle].contains(c.idle)]").value(),
        "[true, false, true]"
    );
    let with = |v: Dynamic| Record::new("x", [("v", v)]);
    let deep = |n: i64| {
        Dynamic::from(vec![Dynamic::from(map(&[("a", Dynamic::from(color("blue"))), ("n", n.into())])), 1.5.into(), true.into(), ().into()])
    };
    assert_eq!(with(deep(1)), with(deep(1)));
    assert_ne!(with(deep(1)), with(deep(2)));
    assert_ne!(with(1_i64.into()), with("1".into()));
}

#[test]
fn records_print_readably() {
    assert_eq!(played("`${asg(colors().idle)}`").value(), "\"asg{desired: 4}\"");
    let inner = Record::new("b", [("list", Dynamic::from(vec![Dynamic::from("x"), Dynamic::UNIT]))]);
    let outer = Record::new("a", [("in", Dynamic::from(inner)), ("m", Dynamic::from(map(&[("k", 1_i64.into())])))]);
    assert_eq!(outer.to_string(), "a{in: b{list: [\"x\", ()]}, m: #{k: 1}}");
}

#[test]
fn fields_are_given_as_a_map() {
    assert_eq!(played("colors().idle.fields().keys()").value(), r#"["asg", "name", "tg", "version"]"#);
    assert_eq!(played("colors().idle.kind()").value(), "\"color\"");
    assert_eq!(played("type_of(colors())").value(), "\"record\"");
}
