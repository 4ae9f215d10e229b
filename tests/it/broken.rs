//! Broken playbooks, one per kind of mistake: `bgx check` says the one right thing at the right place. And what it says of right ones.

use crate::program::{Project, exit_code, project};
use insta::assert_snapshot;

/// A mistake: its text, and `line:column level code: message [hint]`.
struct Broken {
    text: &'static str,
    told: &'static str,
}

const fn broken(text: &'static str, told: &'static str) -> Broken {
    Broken { text, told }
}

/// One per kind of mistake.
const BROKEN: &[Broken] = &[
    broken("step \"boot\" {\n    say(\"x\");\n", ":3:1 error syntax: expected `}` to terminate this block"),
    broken("let new = 1;\nsay(`${new}`);", ":1:5 error reserved-word: `new` is a reserved word of Rhai [choose another name]"),
    broken("let step = 1;", ":1:5 error reserved-word: `step` is a word of the language: step \"name\" { … } [choose another name]"),
    broken(
        "let c = colors();\nswich_rule(c.idle);",
        ":2:1 error unknown-function: unknown function `swich_rule` [did you mean `switch_rule`?]",
    ),
    broken(
        "let c = colors();\nscale(c.idle, #{ desird: 2 });",
        ":2:18 error unknown-option: `scale` has no option `desird` [did you mean `desired`?]",
    ),
    broken(
        "let c = colors();\nset_weights(#{ live: c.live, idle: c.idle, shar: 50 });",
        ":2:44 error unknown-option: `set_weights` has no option `shar` [did you mean `share`?]",
    ),
    broken(
        "let c = colors();\nscale(c.idle, #{ desired: \"2\" });",
        ":2:27 error wrong-argument: scale: `desired` wants a whole number, got \"2\"",
    ),
    broken(
        "watch(\"5 min\", #{ serving: colors().idle });",
        ":1:7 error wrong-argument: watch: `length` wants a duration: \"5 min\" is no duration; write e.g. \"90s\", \"5m\", \"1h30m\" or \"500ms\"",
    ),
    broken(
        "let c = colors();\naccept_less(c.idle, #{ healthy: 1 });",
        ":2:21 error missing-option: accept_less: option `reason` is missing [accept_less(color, #{healthy, reason})]",
    ),
    broken(
        "let c = colors();\nprotect_asg(c.live, 1, 2);",
        ":2:1 error wrong-arity: `protect_asg` does not take 3 arguments [it is protect_asg(color, #{freeze, max})]",
    ),
    broken("let count = 1;\nsay(`${cuont + count}`);", ":2:8 error unknown-variable: unknown variable `cuont` [did you mean `count`?]"),
    broken(
        "let n = 1;\nfn more() { n + 1 }\nsay(`${more()} ${n}`);",
        ":2:13 error unknown-variable: unknown variable `n` [a function sees its parameters, its own variables and `global::CONST`, no variables outside it; give `n` to it as a parameter]",
    ),
    broken(
        "const LEAST = 1;\nfn least() { LEAST }\nsay(`${least()} ${LEAST}`);",
        ":2:14 error unknown-variable: unknown variable `LEAST` [a function sees a constant of its file as `global::LEAST`]",
    ),
    broken(
        "import \"std/blue_gren\" as bg;\nbg::empty(colors().idle);",
        ":1:8 error unknown-module: there is no module \"std/blue_gren\" [did you mean \"std/blue_green\"?]",
    ),
    broken(
        "import \"std/\" + \"blue_green\" as bg;\nbg::empty(colors().idle);",
        ":1:1 error computed-import: the path of an `import` must be a literal string [a run keeps the sources of everything it imports, so they must be known before it starts]",
    ),
    broken("bg::empty(colors().idle);", ":1:5 error not-imported: module `bg` is not imported [import \"…\" as bg;]"),
    broken(
        "import \"std/blue_green\" as bg;\nbg::emty(colors().idle);",
        ":2:5 error unknown-function: module `bg` has no function `emty` [did you mean `bg::empty`?]",
    ),
    broken(
        "import \"team/circle\" as circle;\ncircle::f();",
        "team/circle.rhai:1:8 error import-cycle: import cycle: team/circle -> team/circle",
    ),
    broken("import \"team/lib\" as lib;\nlib::own();", ":2:6 error private-function: `lib::own` is private to its module"),
    broken(
        "import \"team/lib\" as lib;\nlib::each([1], |n| n + 1);",
        ":2:16 error loose-closure: a closure that a module calls must be tied to this file [write `closure(|| …)`: without it the module's functions would stand in for the ones here]",
    ),
    broken(
        "import \"team/eager\" as eager;\neager::f();",
        "team/eager.rhai:1:1 error module-top: a call of `say` stands at the top of a module [importing a module must change nothing: put it into a function]",
    ),
    broken(
        "fn scale(c, options) { say(`${c} ${options}`); }\nscale(1, 2);",
        ":1:22 error hides-verb: `scale` is a verb: a function of that name would hide it [choose another name]",
    ),
    broken("exit(3);", ":1:1 error not-available: `exit` is not available in playbooks [use `return` to end well, or `fail(\"why\")`]"),
    broken("//! recover: maybe\nsay(\"x\");", ":1:5 error header: `recover: maybe` is not known [`undo`, `resume` or `page`]"),
    broken("//! bgx: 2\nsay(\"x\");", ":1:5 error header: the playbook is written for API level 2, this bgx has 1 [use a newer bgx]"),
    broken(
        "let n = param(\"n\", #{ kind: \"itn\" });\nsay(`${n}`);",
        ":1:9 error parameter: parameter `n`: kind `itn` is not known; did you mean `int`?",
    ),
    broken(
        "let seed = param(\"seed\", #{ kind: \"int\" });\nsay(`${seed}`);",
        ":1:18 error parameter: `--seed` is a flag of bgx itself; choose another name for the parameter",
    ),
    broken(
        "fn f() {\n    return 1;\n    say(\"never\");\n}\nf();",
        ":3:5 warning unreachable: this is never reached: `return` stands before it [remove it, or move it up]",
    ),
    broken(
        "if env().min > 3 {\n    fail(\"too small\");\n    say(\"never\");\n}",
        ":3:5 warning unreachable: this is never reached: `fail` stands before it [remove it, or move it up]",
    ),
    broken(
        "let later = [];\nfor n in 0..3 {\n    later.push(|| n);\n}\nsay(`${later.len()}`);",
        ":3:19 warning loop-capture: every closure that is kept here will see the last `n` [copy it inside the loop: let this_n = n;]",
    ),
    broken(
        "let c = colors();\ntry { scale(c.idle, #{ desired: 1 }); } catch { }",
        ":2:1 warning hidden-failure: this `catch` hides every failure of `scale`, which changes the account [look at `e.code` and let go on what was not expected: catch (e) { if e.code != \"timeout\" { throw; } }]",
    ),
    broken(
        "let c = colors();\nlet forgotten = asg(c.idle);",
        ":2:5 warning unused-variable: `forgotten` is never used [remove it, or call it `_forgotten`]",
    ),
    broken(
        "import \"std/blue_green\" as bg;\nsay(\"x\");",
        ":1:28 warning unused-import: nothing of the module `bg` is used [remove the import]",
    ),
];

const MODULES: [(&str, &str); 3] = [
    ("team/circle.rhai", "import \"team/circle\" as again;\nfn f() { again::f() }\n"),
    ("team/lib.rhai", "fn each(list, f) { list.map(f) }\nprivate fn own() { 1 }\nfn two() { own() }\n"),
    ("team/eager.rhai", "say(\"imported\");\nfn f() { 1 }\n"),
];

fn with_modules() -> Project {
    MODULES.into_iter().fold(project(), |project, (name, text)| project.file(name, text))
}

/// The findings of one file, one line each.
fn told(project: &Project, text: &str) -> Vec<String> {
    project.write("playbooks/broken.rhai", text);
    let answer = project.bgx(&["check", "--format", "json", "--deny", "warnings", "playbooks/broken.rhai"]);
    assert_eq!(exit_code(&answer), Some(2), "{text}\n{answer}");
    let lines = answer.lines().filter(|line| line.starts_with('{'));
    let of = |line: &str| {
        let found: serde_json::Value = serde_json::from_str(line).expect("one object a line");
        let word = |key: &str| found[key].as_str().map(str::to_owned).unwrap_or_else(|| found[key].to_string());
        let file = word("file").replace("playbooks/broken.rhai", "");
        let hint = found["hint"].as_str().map(|hint| format!(" [{hint}]")).unwrap_or_default();
        format!("{file}:{}:{} {} {}: {}{hint}", word("line"), word("column"), word("level"), word("code"), word("message"))
    };
    lines.map(of).collect()
}

#[test]
fn each_mistake_gets_one_message_at_its_place() {
    let project = with_modules();
    for mistake in BROKEN {
        let found = told(&project, mistake.text);
        assert_eq!(found, [mistake.told], "{}", mistake.text);
    }
    assert!(BROKEN.len() >= 20);
}

#[test]
fn what_is_shipped_has_no_finding() {
    let project = project();
    let text = project.bgx(&["check", "--deny", "warnings", "--run", "--env", "beta", "--env", "prod"]);
    assert_eq!(exit_code(&text), Some(0), "{text}");
    assert!(text.contains(": 0 errors, 0 warnings"), "{text}");
}

#[test]
fn a_finding_shows_its_line_and_a_module_is_shown_as_its_file() {
    let project = project().file("stdlib/bad.rhai", "fn f(c) {\n    scale(c, #{ mni: 2 });\n    let unused = 1;\n}\n");
    let playbook = "import \"std/bad\" as bad;\nbad::f(colors().idle);\n";
    let project = project.file("playbooks/a.rhai", playbook).file("playbooks/b.rhai", playbook);
    assert_snapshot!(project.bgx(&["check", "playbooks/a.rhai", "playbooks/b.rhai", "stdlib/bad.rhai"]), @"
    error[unknown-option]: `scale` has no option `mni`
     --> stdlib/bad.rhai:2:17
      |
    2 |     scale(c, #{ mni: 2 });
      |                 ^^^
      |
    help: did you mean `min`?

    warning[unused-variable]: `unused` is never used
     --> stdlib/bad.rhai:3:9
      |
    3 |     let unused = 1;
      |         ^^^^^^
      |
    help: remove it, or call it `_unused`

    3 files checked: 1 error, 1 warning
    [exit status: 2]
    ");
}

#[test]
fn warnings_alone_are_denied_only_on_request() {
    let project = project().file("playbooks/a.rhai", "let x = 1;\n");
    assert_eq!(exit_code(&project.bgx(&["check", "playbooks/a.rhai"])), Some(0));
    assert_eq!(exit_code(&project.bgx(&["check", "--deny", "warnings", "playbooks/a.rhai"])), Some(2));
}

#[test]
fn a_run_finds_what_the_text_does_not_tell() {
    let wrong = "let c = colors();\nlet n = asg(c.live).desird;\nsay(`${n}`);\n";
    let asks = "let v = param(\"v\", #{ kind: \"string\", required: true });\nsay(v.nope);\n";
    let project = project().file("playbooks/a.rhai", wrong).file("playbooks/b.rhai", asks);
    assert_eq!(exit_code(&project.bgx(&["check", "playbooks/a.rhai"])), Some(0));
    assert_snapshot!(project.bgx(&["check", "--run", "--env", "beta", "playbooks/a.rhai", "playbooks/b.rhai"]), @"
    error[run]: in a sandbox of beta: `asg` has no field `desird`
     --> playbooks/a.rhai:2:21
      |
    2 | let n = asg(c.live).desird;
      |                     ^^^^^^
      |
    help: did you mean `desired`?

    2 files checked: 1 error, 0 warnings
    [exit status: 2]
    ");
}

#[test]
fn a_path_that_is_not_there_is_an_error() {
    let text = project().bgx(&["check", "playbooks/deplyo.rhai"]);
    assert!(text.contains("there is no file or folder `playbooks/deplyo.rhai`"), "{text}");
    assert_eq!(exit_code(&text), Some(2));
}
