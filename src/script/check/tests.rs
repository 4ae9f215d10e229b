//! Tests of the check: each rule, and silence on right playbooks.

use crate::script::testing::checked;

fn one(text: &str) -> Vec<String> {
    checked(&[("a.rhai", text)])
}

const LIB: (&str, &str) = (
    "std/bg.rhai",
    "import \"std/deep\" as deep;\nfn boot(c, n) { scale(c, #{desired: n}) }\nfn each(xs, f) { xs.map(f) }\nprivate fn own() { 1 }\nexport const WIDTH = 3;",
);
const DEEP: (&str, &str) = ("std/deep.rhai", "fn dig(n) { n }");

fn with_lib(text: &str) -> Vec<String> {
    checked(&[("a.rhai", text), LIB, DEEP])
}

#[test]
fn several_findings_come_in_the_order_of_the_text() {
    let text = "import \"std/bg\" as bg;\nlet c = colors();\nfn deploy(x) {\n    scale(x, #{desired: 2, mn: 0});\n    wait_helthy(x);\n    bg::boott(x, 1);\n    bgg::boot(x, 1);\n    protect_asg(x, 1, 2);\n}\ndeploy(c.idle, 1);\n";
    insta::assert_snapshot!(with_lib(text).join("\n"), @r#"
    a.rhai:4:28: `scale` has no option `mn` [did you mean `min`?]
    a.rhai:5:5: unknown function `wait_helthy` [did you mean `wait_healthy`?]
    a.rhai:6:9: module `bg` has no function `boott` [did you mean `bg::boot`?]
    a.rhai:7:10: module `bgg` is not imported [did you mean `bg`?]
    a.rhai:8:5: `protect_asg` does not take 3 arguments [it is protect_asg(color, #{freeze, max})]
    a.rhai:10:1: `deploy` does not take 2 arguments [it is deploy(x)]
    "#);
}

#[test]
fn unknown_functions_get_a_hint_that_helps() {
    assert_eq!(one("let x = swich_rule(1);"), ["a.rhai:1:9: unknown function `swich_rule` [did you mean `switch_rule`?]"]);
    assert_eq!(
        one("let f = || 1; f();"),
        ["a.rhai:1:15: unknown function `f` [`f` is a variable; a closure in it is called as `f.call(…)`]"]
    );
    assert_eq!(with_lib("import \"std/bg\" as bg; boot(1, 2);"), ["a.rhai:1:24: unknown function `boot` [did you mean `bg::boot`?]"]);
    assert_eq!(one("\"x\".to_uper();"), ["a.rhai:1:5: unknown function `to_uper` [did you mean `to_upper`?]"]);
    assert_eq!(one("exit(1);"), ["a.rhai:1:1: `exit` is not available in playbooks [use `return` to end well, or `fail(\"why\")`]"]);
    assert_eq!(one("timestamp();"), ["a.rhai:1:1: `timestamp` is not available in playbooks [use the verb `now()`]"]);
}

#[test]
fn a_verb_of_a_later_level_wants_the_level_in_the_header() {
    let told = "`scale_all` came with API level 2, and the playbook is written for 1 [write `//! bgx: 2`]";
    assert_eq!(one("//! bgx: 1\nscale_all(colors().idle);"), [format!("a.rhai:2:1: {told}")]);
    assert_eq!(one("scale_all(colors().idle);"), [format!("a.rhai:1:1: {told}")]);
}

#[test]
fn calls_in_steps_closures_and_strings_are_seen() {
    assert_eq!(one("step \"x\" { nope(1); let f = || nope2(2); `${nope3()}`; }").len(), 3);
    assert_eq!(one("switch 1 { 1 => nope(), 2..5 => nope2(), _ => nope3() }").len(), 3);
    assert_eq!(one("try { nope() } catch (e) { nope2(e) }").len(), 2);
}

#[test]
fn arities_count() {
    assert_eq!(one("commit(1);"), ["a.rhai:1:1: `commit` does not take 1 argument [it is commit()]"]);
    assert_eq!(one("fn f(a, b) { a + b } f(1);"), ["a.rhai:1:22: `f` does not take 1 argument [it is f(a, b)]"]);
    assert_eq!(
        with_lib("import \"std/bg\" as bg; bg::boot(1);"),
        ["a.rhai:1:28: `bg::boot` does not take 1 argument [it is bg::boot(c, n)]"]
    );
    assert!(one("fn f(a) { this + a } let x = 1; x.f(2);").is_empty(), "as a method");
}

#[test]
fn options_and_literal_arguments_are_checked() {
    assert_eq!(
        one("let c = colors(); scale(c.idle, #{desird: 2});"),
        ["a.rhai:1:35: `scale` has no option `desird` [did you mean `desired`?]"]
    );
    assert_eq!(
        one("let c = colors(); scale(c.idle, #{desired: \"2\"});"),
        ["a.rhai:1:44: scale: `desired` wants a whole number, got \"2\""]
    );
    assert_eq!(one("scale(\"blue\");"), ["a.rhai:1:7: scale: `color` wants a colour such as `c.idle`, got \"blue\""]);
    assert_eq!(one("watch(300);"), ["a.rhai:1:7: watch: `duration` wants a duration such as \"5m\", got 300"]);
    assert_eq!(
        one("watch(\"5 min\");"),
        ["a.rhai:1:7: watch: `duration` wants a duration: \"5 min\" is no duration; write e.g. \"90s\", \"5m\", \"1h30m\" or \"500ms\""]
    );
    assert_eq!(
        one("let c = colors().idle; wait_healthy(c, #{timeout: 5});"),
        ["a.rhai:1:51: wait_healthy: `timeout` wants a duration such as \"5m\", got 5"]
    );
    assert_eq!(
        one("let c = colors().idle; accept_less(c, #{healthy: 1});"),
        ["a.rhai:1:39: accept_less: option `reason` is missing [accept_less(color, #{healthy, reason})]"]
    );
    assert_eq!(one("wait_until(\"x\", #{}, 5);"), ["a.rhai:1:22: wait_until: `f` wants a closure `|| …`, got 5"]);
    assert_eq!(one("say(#{a: 1});"), ["a.rhai:1:5: say: `text` wants text, got a map"]);
}

#[test]
fn undefined_variables_are_found_everywhere_at_once() {
    assert_eq!(one("let capacity = 1; capactiy + 1;"), ["a.rhai:1:19: unknown variable `capactiy` [did you mean `capacity`?]"]);
    let outer = "a function sees its parameters, its own variables and `global::CONST`, no variables outside it";
    assert_eq!(one("let v = 1; fn f() { v }"), [format!("a.rhai:1:21: unknown variable `v` [{outer}; give `v` to it as a parameter]")]);
    assert_eq!(
        one("const K = 1; fn f() { K }"),
        ["a.rhai:1:23: unknown variable `K` [a function sees a constant of its file as `global::K`]"]
    );
    assert_eq!(one("let v = 1; fn f() { global::v }").len(), 1);
    assert_eq!(
        one("const KEY = 1; fn f() { global::KYE }"),
        ["a.rhai:1:33: there is no constant `KYE` in this file [did you mean `global::KEY`?]"]
    );
    assert_eq!(one("let x = 1; let f = || x + zz;"), ["a.rhai:1:27: unknown variable `zz`"]);
    assert_eq!(one("fn f(a) { [1].map(|b| a + b + [2].map(|d| d + nope).len()) }"), ["a.rhai:1:47: unknown variable `nope`"]);
    assert_eq!(one("step \"x\" { let q = 1; } q;"), ["a.rhai:1:25: unknown variable `q`"]);
    assert_eq!(one("a1 + 1; b2 + 1;").len(), 2);
    assert_eq!(one("`${nope}`;").len(), 1);
}

#[test]
fn modules_are_followed() {
    assert_eq!(
        with_lib("import \"std/bg\" as bg; bg::boott(1, 2);"),
        ["a.rhai:1:28: module `bg` has no function `boott` [did you mean `bg::boot`?]"]
    );
    assert_eq!(with_lib("import \"std/bg\" as bg; bgg::boot(1, 2);"), ["a.rhai:1:29: module `bgg` is not imported [did you mean `bg`?]"]);
    assert_eq!(with_lib("import \"std/bg\" as bg; bg::own();"), ["a.rhai:1:28: `bg::own` is private to its module"]);
    assert!(with_lib("import \"std/bg\" as bg; bg::deep::dig(bg::WIDTH);").is_empty());
    assert_eq!(
        with_lib("import \"std/bg\" as bg; bg::deep::dgi(1);"),
        ["a.rhai:1:34: module `bg::deep` has no function `dgi` [did you mean `bg::deep::dig`?]"]
    );
    assert_eq!(
        with_lib("import \"std/bg\" as bg; bg + 1;"),
        ["a.rhai:1:24: unknown variable `bg` [`bg` is a module: its functions are called as `bg::…`]"]
    );
}

#[test]
fn closures_for_modules_must_be_tied() {
    let text = "import \"std/bg\" as bg; let n = 1; fn h(x) { x } bg::each([1], CLOSURE);";
    let with = |closure: &str| with_lib(&text.replace("CLOSURE", closure));
    let why = "a closure that a module calls must be tied to this file";
    assert_eq!(
        with("|x| x + 1"),
        [format!("a.rhai:1:63: {why} [write `closure(|| …)`: without it the module's functions would stand in for the ones here]")]
    );
    assert_eq!(with("|x| x + n").len(), 1, "with captures");
    assert_eq!(with("#{before: |x| x}").len(), 1, "in a map");
    assert_eq!(with("h").len(), 1, "a function by name");
    assert!(with("closure(|x| x + n)").is_empty());
    assert!(with("closure(h)").is_empty());
    assert!(with("[1].map(|x| x + n)").is_empty(), "called here, not there");
}

#[test]
fn modules_do_nothing_at_their_top() {
    let found = checked(&[
        ("a.rhai", ""),
        ("lib.rhai", "say(\"x\");\nstep \"s\" { 1 }\nfn f() { say(\"x\"); step \"s\" { 1 } }\nconst F = || say(\"x\");"),
    ]);
    assert_eq!(found.len(), 2, "{found:?}");
    assert_eq!(
        found[0],
        "lib.rhai:1:1: a call of `say` stands at the top of a module [importing a module must change nothing: put it into a function]"
    );
    assert!(found[1].starts_with("lib.rhai:2:1: a step stands"));
}

#[test]
fn a_function_does_not_hide_a_verb() {
    let found = one("fn scale(c, o) { 1 }\nfn other() { 2 }");
    assert_eq!(found, ["a.rhai:1:16: `scale` is a verb: a function of that name would hide it [choose another name]"]);
}

#[test]
fn header_and_parameters_are_part_of_the_check() {
    let found = one("//! recover: maybe\nlet x = param(\"x\", #{kind: \"itn\"});\nnope();");
    assert_eq!(found.len(), 3, "{found:?}");
}

#[test]
fn a_file_that_does_not_parse_does_not_hide_the_others() {
    let found = checked(&[("a.rhai", "import \"std/bad\" as bad; bad::f(); nope();"), ("std/bad.rhai", "fn f( {")]);
    assert_eq!(found.len(), 2, "{found:?}");
}

#[test]
fn right_playbooks_are_left_alone() {
    let right = [
        "let m = #{a: 1}; [m.a, m?.b ?? 3, m[\"c\"], m.keys(), m.len()];",
        "let o = #{before: || 1}; o.before(); o.before.call();",
        "fn f(x) { x } let g = f; g.call(1); [1, 2].map(f); call(f, 3); Fn(\"f\").call(1);",
        "let a = [3, 1]; a.sort(); for (x, i) in a { print(x + i); }",
        "const K = 3; fn f() { global::K } let x = f(); x += 1;",
        "let c = colors(); let n = if asg(c.idle).desired > 0 { 1 } else { 2 }; say(`${n}: ${c.idle.name.to_upper()}`);",
        "let s = 0; for i in 0..5 { s += i; if i == 3 { break; } } while s > 0 { s -= 1; } do { s += 1; } until s > 3;",
        "let x = switch 3 { 1 | 2 => \"a\", 3 if true => \"b\", 4..9 => \"c\", _ => \"d\" };",
        "try { fail(\"x\") } catch (e) { if e.code == \"failed\" { throw; } print(`${e}`); }",
        "let why = (); let f = |n| { why = n; n * 2 }; f.call(2); print(why);",
        "let c = colors(); let t = \"5m\"; wait_healthy(c.idle, #{timeout: t, count: ()}); watch(`${5}m`, #{alarms: env().alarms});",
        "let c = colors(); let o = #{desired: 1}; scale(c.idle, o); c.idle.scale(#{desired: 2});",
        "let a = 5; let b = a.to_string() + \"x\".len() + [1].len; is_def_var(\"a\"); type_of(a) == \"i64\"; print(b);",
        "step \"a\" { step `b ${1 + 1}` { return; } }",
        "let f = || step \"in closure\" { 5 }; f.call();",
        "fn fact(n) { if n < 2 { 1 } else { n * fact(n - 1) } } fact(5);",
        "let v = (); v = v ?? fail(\"none\");",
        "[1, 2].reduce(|sum, v| sum + v, 0); [1].filter(|x| x in [1, 2]).is_empty(); (1..4).step_by;",
        "let x = closure(|| 1); x.call(); wait_until(\"x\", #{ every: \"15s\" }, || true);",
        "let x = { let y = 1; y + 1 }; loop { break x; }",
        "let q = 1; let f = || step \"in\" { q + 1 }; f.call(); let g = |x| if x > q { || x + q } else { || q }; `${[1].map(|z| z + q)}`;",
        "fn f() { import \"std/bg\" as m; m::each([1], closure(|x| x)) } fn g() { import \"std/deep\" as m; m::dig(1) }",
        "let n = 1; fn h(n) { let m = |a| { n += a; let k = |b| { n + a + b }; k.call(1) }; m.call(2) } h(n);",
        "print(); print(1); debug(2); let n = -5; n.abs(); 2 ** 3; !true; 1 << 2;",
        "import \"std/bg\" as bg; let c = colors(); bg::boot(c.idle, 2); fn f() { import \"std/deep\" as d; d::dig(1) }",
    ];
    for text in right {
        assert_eq!(with_lib(text), Vec::<String>::new(), "{text}");
    }
}
