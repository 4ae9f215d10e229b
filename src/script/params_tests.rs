//! Tests of declared and given parameters.

use super::*;
use crate::script::testing::sources;

const DEPLOY: &str = r#"let capacity = param("capacity", #{ kind: "int", min: 1, doc: "instances" });
let version  = param("version",  #{ kind: "string", required: true, doc: "build to try" });
let bake     = param("bake",     #{ kind: "duration", otherwise: "90s", max: "1h" });
let shares   = param("steps",    #{ kind: "ints", otherwise: [5, 25, 50], min: 1, max: 100 });
const WORSE  = param("worse",    #{ kind: "float", otherwise: 3 });
let mode     = param("mode",     #{ choices: ["fast", "slow"] }) ?? "fast";
param("dry", #{ kind: "bool" });
let to       = param("to",       #{ kind: "color" });
"#;

fn given(pairs: &[(&str, &str)]) -> Result<BTreeMap<String, ParamValue>, Vec<String>> {
    let specs = specs(&sources(&[("deploy.rhai", DEPLOY)])).expect("all literal");
    let given = pairs.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
    parse(&specs, &given)
        .map_err(|errors| errors.iter().map(|e| format!("{e}{}", e.hint.as_ref().map(|h| format!(" [{h}]")).unwrap_or_default())).collect())
}

#[test]
fn declarations_are_found_with_their_place() {
    let specs = specs(&sources(&[("deploy.rhai", DEPLOY)])).expect("all literal");
    let shown: Vec<String> = specs
        .iter()
        .map(|s| format!("{} {} {}", s.name, s.kind.word(), s.at.as_ref().map(|p| p.to_string()).unwrap_or_default()))
        .collect();
    assert_eq!(
        shown,
        [
            "capacity int deploy.rhai:1:16",
            "version string deploy.rhai:2:16",
            "bake duration deploy.rhai:3:16",
            "steps ints deploy.rhai:4:16",
            "worse float deploy.rhai:5:16",
            "mode string deploy.rhai:6:16",
            "dry bool deploy.rhai:7:1",
            "to color deploy.rhai:8:16"
        ]
    );
    assert_eq!(specs[0].doc, "instances");
    assert_eq!(specs[4].otherwise, Some(ParamValue::Float(3.0)));
}

#[test]
fn values_are_read_and_defaults_filled_in() {
    let values = given(&[("version", "gh-7"), ("capacity", "3"), ("steps", "1, 2"), ("dry", "true"), ("to", "green")]).expect("right");
    let shown: Vec<String> = values.iter().map(|(k, v)| format!("{k}={v}")).collect();
    assert_eq!(shown, ["bake=1m30s", "capacity=3", "dry=true", "steps=1,2", "to=green", "version=gh-7", "worse=3"]);
    assert_eq!(values["bake"].to_dynamic().to_string(), "1m30s", "scripts see a duration as text");
}

#[test]
fn what_is_wrong_is_said_all_at_once() {
    let errors = given(&[
        ("capacity", "five"),
        ("versoin", "x"),
        ("bake", "soon"),
        ("worse", "NaN"),
        ("dry", "1"),
        ("to", "red"),
        ("mode", "warp"),
        ("steps", "5,x"),
    ])
    .expect_err("wrong");
    assert_eq!(
        errors,
        [
            "the playbook has no parameter `--versoin` [did you mean `--version`?]",
            "`--capacity` wants a whole number, got `five`",
            "`--version` is required (build to try)",
            "`--bake` wants a duration such as 5m, got `soon`",
            "`--steps` wants whole numbers such as 5,25,50, got `5,x`",
            "`--worse` wants a number, got `NaN`",
            "`--mode` must be one of fast, slow, got `warp`",
            "`--dry` wants true or false, got `1`",
            "`--to` wants blue or green, got `red`",
        ]
    );
}

#[test]
fn limits_hold_for_numbers_lists_and_durations() {
    let one = |k: &str, v: &str| given(&[("version", "x"), (k, v)]).expect_err("outside").remove(0);
    assert_eq!(one("capacity", "0"), "`--capacity` must be at least 1, got 0");
    assert_eq!(one("steps", "5,101"), "`--steps` must be at most 100, got 5,101");
    assert_eq!(one("bake", "61m"), "`--bake` must be at most 1h, got 1h1m");
}

/// The errors of one declaration.
fn refused(text: &str) -> Vec<String> {
    specs(&sources(&[("a.rhai", text)])).expect_err("refused").iter().map(Diagnostic::to_string).collect()
}

#[test]
fn only_literal_declarations_at_the_top_count() {
    let nested = "`param` must stand at the top of the playbook, outside of functions, blocks and steps: it is read before anything runs";
    assert_eq!(refused("let n = 1;\nif n > 1 { param(\"x\"); }"), [format!("a.rhai:2:12: {nested}")]);
    assert_eq!(refused("fn f() { param(\"x\") }"), [format!("a.rhai:1:10: {nested}")]);
    assert_eq!(refused("step \"s\" { let y = param(\"x\"); }"), [format!("a.rhai:1:20: {nested}")]);
    assert_eq!(refused("let f = || param(\"x\");"), [format!("a.rhai:1:12: {nested}")]);
    assert_eq!(refused("say(param(\"x\"));"), [format!("a.rhai:1:5: {nested}")]);
    assert_eq!(refused("let n = \"x\"; param(n);"), ["a.rhai:1:14: the name of a parameter must be a literal string"]);
    assert_eq!(
        refused("let n = 1; param(\"x\", #{otherwise: n});"),
        ["a.rhai:1:36: `otherwise` of a parameter must be literal: flags are known before anything runs"]
    );
    assert_eq!(
        refused("let o = #{}; param(\"x\", o);"),
        ["a.rhai:1:25: the options of a parameter must be literal: flags are known before anything runs"]
    );
    assert_eq!(refused("param(\"x\"); param(\"x\");"), ["a.rhai:1:13: parameter `x` is declared twice"]);
}

#[test]
fn a_module_declares_no_parameters() {
    let errors = specs(&sources(&[("a.rhai", ""), ("lib.rhai", "let x = param(\"x\");")])).expect_err("refused");
    assert_eq!(errors[0].to_string(), "lib.rhai:1:9: `param` belongs at the top of the playbook, not into a module");
}

#[test]
fn declarations_that_make_no_sense_are_refused() {
    let cases = [
        ("kind: \"number\"", "kind `number` is not known; it can be int, float, string, bool, duration, ints, strings, color"),
        ("kind: \"itn\"", "kind `itn` is not known; did you mean `int`?"),
        ("required: true, otherwise: \"x\"", "`required` and `otherwise` exclude each other"),
        ("kind: \"int\", otherwise: \"x\"", "`otherwise` wants a whole number, got \"x\""),
        ("kind: \"int\", min: 3, otherwise: 2", "`otherwise` must be at least 3, got 2"),
        ("min: 3", "a string has no `min` and `max`"),
        ("kind: \"duration\", min: 3", "3 is no limit for a duration"),
    ];
    for (options, why) in cases {
        assert_eq!(refused(&format!("param(\"x\", #{{{options}}});")), [format!("a.rhai:1:1: parameter `x`: {why}")]);
    }
    assert_eq!(refused("param(\"x\", #{requird: true});"), ["a.rhai:1:14: `param` has no option `requird`; did you mean `required`?"]);
    assert_eq!(refused("param(\"x\", #{required: 1});"), ["a.rhai:1:24: `required` wants true or false, got 1"]);
    assert_eq!(refused("param(\"env\");"), ["a.rhai:1:7: `--env` is a flag of bgx itself; choose another name for the parameter"]);
    assert_eq!(refused("param(\"Big One\");"), ["a.rhai:1:7: `Big One` cannot be a flag: use small letters, digits, `-` and `_`"]);
}
