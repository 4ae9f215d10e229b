//! Tests of Rhai's errors in an operator's words.

use crate::script::testing::{checked, played};

/// The first finding of the check, without the hint.
fn parse(text: &str) -> String {
    let found = checked(&[("a.rhai", text)]);
    found.first().map(|f| f.split(" [").next().unwrap_or(f).to_string()).unwrap_or_default()
}

#[test]
fn reserved_words_are_named() {
    assert_eq!(parse("fn default() { 1 }"), "a.rhai:1:4: `default` is a reserved word of Rhai");
    assert_eq!(parse("let new = 1;"), "a.rhai:1:5: `new` is a reserved word of Rhai");
    assert_eq!(parse("new(1);"), "a.rhai:1:1: `new` is a reserved word of Rhai");
    assert_eq!(parse("let x = #{}; x.match = 1;"), "a.rhai:1:16: `match` is a reserved word of Rhai");
    assert_eq!(parse("fn f(until) { 1 }"), "a.rhai:1:6: `until` is a reserved word of Rhai");
    assert_eq!(parse("fn step(x) { 1 }"), "a.rhai:1:12: `step` is a word of the language: step \"name\" { … }");
    assert_eq!(parse("let step = 1;"), "a.rhai:1:5: `step` is a word of the language: step \"name\" { … }");
    assert_eq!(parse("eval(\"1\");"), "a.rhai:1:1: `eval` is not available in playbooks");
    assert_eq!(parse("for with in 1..2 { }"), "a.rhai:1:5: `with` is a reserved word of Rhai");
}

#[test]
fn a_step_that_is_no_step_gets_a_hint() {
    for text in ["let m = #{}; m.step = 1;", "step(\"x\", || 1);", "step { 1 }"] {
        let found = checked(&[("a.rhai", text)]);
        assert!(found[0].ends_with("[`step` is a word of the language: step \"name\" { … }]"), "{found:?}");
    }
    assert!(!checked(&[("a.rhai", "let steps = ; step \"x\" { }")])[0].contains("word of the language"));
}

#[test]
fn parse_errors_read_as_sentences() {
    assert_eq!(parse("let x = ;"), "a.rhai:1:9: unexpected ';'");
    assert_eq!(parse("if true {"), "a.rhai:1:10: expected `}` to terminate this block");
    assert_eq!(parse("f(1, 2"), "a.rhai:1:7: expected `)` to close the arguments list of this function call 'f'");
    assert_eq!(parse("break;"), "a.rhai:1:1: `break` and `continue` work only inside a loop");
}

fn runtime(text: &str) -> String {
    let error = played(text).error();
    error.split_once(": ").map(|(_, e)| e.split(" [").next().unwrap_or(e).to_string()).expect("there is a place")
}

#[test]
fn runtime_errors_read_as_sentences() {
    assert_eq!(runtime("let a = [1]; a[9]"), "index 9 is outside the list, which has 1 item");
    assert_eq!(runtime("let f = \"x\"; nope(f, 1)"), "no function `nope` takes (text, int)");
    assert_eq!(runtime("\"a\" - 1"), "`-` does not work on text and int");
    assert_eq!(runtime("() + 1.5"), "`+` does not work on () and float");
    assert_eq!(runtime("let x = 5; if x { }"), "expected bool, got int");
    assert_eq!(runtime("x + 1"), "unknown variable `x`");
    assert_eq!(runtime("1 / 0"), "division by zero: 1 / 0");
    assert_eq!(runtime("const K = 1; K = 2;"), "`K` is a constant and cannot be assigned");
    assert_eq!(runtime("throw;"), "the playbook threw `()`");
    assert_eq!(runtime("throw \"plain\""), "plain");
    assert_eq!(runtime("let x = 5; x.foo"), "unknown property 'foo' - a getter is not registered for type 'i64'");
    assert_eq!(runtime("let n = 5; for x in n { }"), "for loop expects iterable type");
    assert_eq!(runtime("fn f() { let x = (); x.y.z } f()"), "unknown property 'y' - a getter is not registered for type '()'");
}
