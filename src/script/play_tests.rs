//! Tests of playing: steps, aborts that nothing swallows, limits, modules, closures.

use super::play::{Panicked, PlayError, Poison};
use super::testing::{Played, played, played_files, played_with};
use std::sync::Arc;
use std::time::Duration;

const MAIN: &str = "main.rhai";

/// A playbook with a module `lib`.
fn with_lib(lib: &str, main: &str) -> Played {
    played_files(&[(MAIN, main), ("lib.rhai", lib)])
}

#[test]
fn a_step_runs_in_place_and_is_marked() {
    let p = played("let n = 1; let r = step `up ${n}` { n += 1; n * 10 }; [n, r]");
    assert_eq!(p.value(), "[2, 20]");
    assert_eq!(p.log, ["> up 1", "< up 1"]);
}

#[test]
fn return_break_and_continue_leave_a_step_well() {
    assert_eq!(played("fn f(x) { step \"a\" { if x > 1 { return 99; } x += 1; } x } [f(1), f(5)]").value(), "[2, 99]");
    let p = played("let s = 0; for i in 0..5 { step \"l\" { if i == 1 { continue; } if i == 3 { break; } s += i; } } s");
    assert_eq!(p.value(), "2");
    assert_eq!(p.log.len(), 8, "four rounds, all started and finished: {:?}", p.log);
    assert!(p.log.iter().all(|l| !l.starts_with('!')));
    assert_eq!(played("step \"x\" { return 7; } 8").value(), "7");
}

#[test]
fn a_step_that_throws_is_marked_failed_and_its_error_goes_on() {
    let p = played("let e = (); try { step \"x\" { step \"y\" { fail(\"no\"); } } } catch (err) { e = err.code; } e");
    assert_eq!(p.value(), "\"failed\"");
    assert_eq!(p.log, ["> x", "> y", "! y", "! x"]);
}

#[test]
fn what_a_step_declares_stays_inside() {
    assert_eq!(played("step \"x\" { let q = 2; } q").error().split(" [").next(), Some("main.rhai:1:25: unknown variable `q`"));
}

#[test]
fn the_name_of_a_step_is_text() {
    assert_eq!(played("step 5 { 1 }").error(), "main.rhai:1:6: the name of a step wants text, got i64");
}

/// Every way in which Rhai lets a closure run, with a verb that stops the playing inside.
#[test]
fn no_construct_swallows_an_abort() {
    let ways = [
        "A",
        "[1,2].map(|x| A)",
        "[1,2].filter(|x| { A; true })",
        "[1,2].for_each(|x| { A; })",
        "[1,2].reduce(|a, x| A)",
        "[1,2].some(|x| { A; true })",
        "[2,1].sort(|a, b| { A; 1 })",
        "#{a:1}.filter(|k, v| { A; true })",
        "(|| A).call()",
        "call(|| A)",
        "[1].map(|x| step \"s\" { A })",
        "step \"s\" { [1].map(|x| A) }",
        "wait_until(\"w\", #{}, || A)",
        "[1].map(closure(|x| A))",
        "f()",
        "lib::run(closure(|| A))",
    ];
    for way in ways {
        for abort in ["abort()", "poisoned_meanwhile()"] {
            let text = "import \"lib\" as lib; fn f() { A } try { WAY; } catch { } try { say(\"on\"); } catch { } 5"
                .replace("WAY", way)
                .replace('A', abort);
            let p = with_lib("fn run(f) { f.call() }", &text);
            let halted = p.halted();
            assert!(halted == "lock lost" || halted == "interrupted", "{way}: {halted}");
            assert!(!p.log.iter().any(|l| l.starts_with("say")), "{way}: a verb ran after the stop");
        }
    }
}

#[test]
fn a_loop_that_catches_everything_still_stops() {
    assert_eq!(played("loop { try { [1].map(|x| abort()); } catch { } }").halted(), "lock lost");
}

#[test]
fn an_abort_swallowed_at_the_very_end_is_still_an_abort() {
    assert_eq!(played("try { [1].map(|x| abort()); } catch { }").halted(), "lock lost");
}

#[test]
fn a_busy_loop_stops_when_the_playing_is_poisoned() {
    let poison = Poison::default();
    let outside = poison.clone();
    let started = std::time::Instant::now();
    let stopper = std::thread::spawn(move || {
        while started.elapsed() < Duration::from_millis(30) {
            std::thread::yield_now();
        }
        outside.set(Arc::new(std::io::Error::other("interrupted")));
    });
    let p = played_with(&[(MAIN, "loop { try { loop { } } catch { } }")], u64::MAX, &poison);
    stopper.join().expect("it only sets a flag");
    assert_eq!(p.halted(), "interrupted");
}

#[test]
fn a_poisoned_playing_does_not_start() {
    let poison = Poison::default();
    poison.set(Arc::new(std::io::Error::other("first")));
    poison.set(Arc::new(std::io::Error::other("second")));
    let p = played_with(&[(MAIN, "print(1);")], u64::MAX, &poison);
    assert_eq!(p.halted(), "first");
    assert!(p.printed.is_empty());
}

#[test]
fn an_endless_loop_meets_the_operation_limit() {
    let p = played_with(&[(MAIN, "let n = 0;\nwhile true { try { loop { n += 1; } } catch { } }")], 20_000, &Poison::default());
    assert!(p.error().contains("the playbook computed for too long without an end"), "{}", p.error());
}

#[test]
fn verbs_start_the_count_of_operations_anew() {
    let busy = "for i in 0..50 { for k in 0..100 { } say(\"x\"); }";
    assert_eq!(played_with(&[(MAIN, busy)], 2_000, &Poison::default()).value(), "()");
    let stuck = "for i in 0..50 { for k in 0..100 { } closure(|| 1); }";
    assert!(played_with(&[(MAIN, stuck)], 2_000, &Poison::default()).error().contains("computed for too long"));
    let swallowed = "try { [1].map(|x| { loop { } }); } catch { say(\"on\"); }";
    assert!(played_with(&[(MAIN, swallowed)], 2_000, &Poison::default()).error().contains("computed for too long"));
    let hidden = "wait_until(\"x\", #{}, || { loop { [1].map(|x| x); } })";
    assert!(played_with(&[(MAIN, hidden)], 2_000, &Poison::default()).error().contains("computed for too long"));
}

#[test]
fn endless_recursion_is_an_error_with_a_place() {
    let p = played("fn f(n) {\n    f(n + 1)\n}\nf(0)");
    assert!(p.error().starts_with("main.rhai:4:1: calls are nested too deep"), "{}", p.error());
    let p = played("fn f(n) { [1].map(|x| step \"s\" { if true { for i in 0..1 { let z = [#{a: f(n + 1)}]; } } }) } f(0)");
    assert!(p.error().contains("nested too deep"), "{}", p.error());
}

#[test]
fn values_cannot_grow_without_limit() {
    assert!(played("let s = \"x\"; loop { s += s; }").error().contains("a value grew too large"));
    assert!(played("let a = []; loop { a.push(1); }").error().contains("a value grew too large"));
}

#[test]
fn a_panic_in_a_verb_is_an_internal_error_that_names_it() {
    let p = played("let n = 7;\ntry { [n].map(|x| boom(x)); } catch { }");
    let Err(PlayError::Halted(halt)) = &p.result else { panic!("{:?}", p.result) };
    let panicked = halt.downcast_ref::<Panicked>().expect("of that type");
    assert_eq!(panicked.verb, "boom");
    assert_eq!(panicked.at.as_ref().map(|p| p.to_string()).as_deref(), Some("main.rhai:2:19"));
    assert!(panicked.message.contains("index out of bounds"), "{}", panicked.message);
}

#[test]
fn thrown_values_come_out_whole() {
    let p = played("let r = []; try { refuse(); } catch (e) { r = [e.code, e.message, e.hint, `${e}`, type_of(e), e.causes]; } r");
    assert_eq!(
        p.value(),
        r#"["refused", "the live colour would be emptied", "bgx status", "the live colour would be emptied", "error", []]"#
    );
    let p = played("fn f() { refuse() }\nf();");
    let Err(PlayError::Script(uncaught)) = &p.result else { panic!("{:?}", p.result) };
    assert_eq!(uncaught.raised.as_ref().map(|r| r.kind.as_str()), Some("refused"));
    assert_eq!(p.error(), "main.rhai:1:10: the live colour would be emptied [bgx status]");
    let p = played("throw #{code: 7, message: \"seven\"}");
    let Err(PlayError::Script(uncaught)) = &p.result else { panic!("{:?}", p.result) };
    assert!(uncaught.raised.is_none() && uncaught.thrown.is_map());
    assert_eq!(p.error(), "main.rhai:1:1: seven");
}

#[test]
fn positions_name_the_right_file_across_modules_and_closures() {
    let lib = "fn run(f) {\n\n    f.call()\n}\nfn deep(c) {\n    scale(c, #{desired: 1});\n    refuse()\n}";
    let main = "import \"lib\" as lib;\nlet c = colors();\nfn x() {\n    refuse()\n}\ntry { lib::deep(c.idle); } catch { }\nlib::run(closure(|| x()));";
    let p = with_lib(lib, main);
    assert!(p.log[0].ends_with("@ lib.rhai:6:5"), "{:?}", p.log);
    insta::assert_snapshot!(p.rendered(), @r#"
    error: the live colour would be emptied
     --> main.rhai:4:5
      |
    4 |     refuse()
      |     ^^^^^^
      |
    note: in this call of `x`
     --> main.rhai:7:21
      |
    7 | lib::run(closure(|| x()));
      |                     ^
    note: in this closure
     --> main.rhai:7:10
      |
    7 | lib::run(closure(|| x()));
      |          ^^^^^^^
    note: in this call of `run`
     --> main.rhai:7:6
      |
    7 | lib::run(closure(|| x()));
      |      ^^^
    help: bgx status
    "#);
}

#[test]
fn print_and_debug_go_to_the_sink() {
    let p = played("print(\"a\"); debug(#{b: 1}); print(colors().idle.name);");
    assert_eq!(p.printed, ["a", "#{\"b\": 1}", "green"]);
}

#[test]
fn doors_of_rhai_are_closed() {
    assert_eq!(
        played("exit(3)").error(),
        "main.rhai:1:1: `exit` is not available in playbooks [use `return` to end well, or `fail(\"why\")`]"
    );
    assert!(played("try { exit(); } catch { } 4").value() == "4");
    assert!(played("timestamp()").error().contains("no function `timestamp` takes ()"));
    assert_eq!(played("sleep(5)").error(), "main.rhai:1:1: sleep: `duration` wants a duration such as \"5m\", got 5");
    assert_eq!(played("sleep(\"5m\")").log, ["sleep 5m"]);
    assert_eq!(
        played("eval(\"1\")").error(),
        "main.rhai:1:1: `eval` is not available in playbooks [code that is made while running cannot be checked or pinned]"
    );
}

#[test]
fn importing_a_module_changes_nothing() {
    let p = with_lib("say(\"hi\");\nfn f() { 1 }", "let x = 1;\nimport \"lib\" as lib;\nlib::f()");
    assert_eq!(
        p.error(),
        "lib.rhai:1:1: `say` is called at the top of a module [importing a module must change nothing: call it in a function of the module]"
    );
    assert!(p.log.is_empty());
    let p = with_lib("step \"s\" { 1 }", "import \"lib\" as lib;");
    assert!(p.error().contains("step `s` stands at the top of a module"), "{}", p.error());
    let p = with_lib(
        "const K = 3; fn k() { global::K } fn f(c) { scale(c, #{desired: 1}); k() }",
        "import \"lib\" as lib; let c = colors(); lib::f(c.idle)",
    );
    assert_eq!(p.value(), "3", "functions of modules call verbs and see their own constants");
}

#[test]
fn modules_come_from_the_sources_only() {
    assert_eq!(
        played("let p = \"nope\"; import p as x;").error().split(" [").next(),
        Some("main.rhai:1:24: module \"nope\" is not among the sources of this run")
    );
    let p = played_files(&[(MAIN, "import \"a\" as a;"), ("a.rhai", "import \"b\" as b;"), ("b.rhai", "import \"a\" as a;")]);
    assert!(p.error().contains("import cycle: a -> b -> a"), "{}", p.error());
}

#[test]
fn a_tied_closure_sees_its_own_file() {
    let lib = "const K = \"lib K\"; fn helper() { \"lib\" } fn run(f) { f.call() } fn run1(f) { f.call(5) } fn hooks(o) { [o.before.call(), o.after.call()] } fn mk() { closure(|| helper()) } fn mid(f) { step \"m\" { run(f) } }";
    let say = |call: &str| {
        let text = format!("import \"lib\" as lib; const K = \"main K\"; fn helper() {{ \"main\" }} let v = 3; let n = 0; {call}");
        with_lib(lib, &text).value()
    };
    assert_eq!(say("lib::run(closure(|| helper()))"), "\"main\"");
    assert_eq!(say("lib::run(closure(|| global::K))"), "\"main K\"");
    assert_eq!(say("lib::run1(closure(|x| [x, helper(), v]))"), "[5, \"main\", 3]");
    assert_eq!(say("lib::hooks(#{before: closure(|| helper()), after: closure(|| global::K)})"), "[\"main\", \"main K\"]");
    assert_eq!(say("lib::mk().call()"), "\"lib\"");
    assert_eq!(say("lib::mid(closure(|| helper()))"), "\"main\"");
    assert_eq!(say("fn f() { lib::run(closure(|| helper())) } f()"), "\"main\"");
    assert_eq!(say("lib::run(closure(|| { n += 1; n })); n"), "1");
    assert_eq!(say("lib::run(closure(helper))"), "\"main\"");
    assert_eq!(say("[1].map(closure(|x| x + 1))"), "[2]");
    assert_eq!(say("let r = (); try { lib::run(closure(|| refuse())); } catch (e) { r = e.code; } r"), "\"refused\"");
    assert_eq!(say("wait_until(\"w\", #{}, || helper())"), "\"main\"");
}

#[test]
fn verbs_call_functions_of_named_modules() {
    let hooks = "fn helper(c) { c.idle.name }\nfn before_switch(c) { say(helper(c)); helper(c) }\nfn bad(c) {\n    refuse()\n}";
    let run = |main: &str| played_files(&[(MAIN, main), ("team/hooks.rhai", hooks)]);
    let p = run("run_hooks(\"before_switch\", colors())");
    assert_eq!(p.value(), "\"green\"");
    assert_eq!(p.log, ["say(\"green\") {} @ team/hooks.rhai:2:23"]);
    assert_eq!(run("run_hooks(\"nothing_here\", colors())").value(), "()");
    let p = run("let x = 1;\nrun_hooks(\"bad\", colors())");
    insta::assert_snapshot!(p.rendered(), @r#"
    error: the live colour would be emptied
     --> team/hooks.rhai:4:5
      |
    4 |     refuse()
      |     ^^^^^^
      |
    note: in this call of `bad`
     --> main.rhai:2:1
      |
    2 | run_hooks("bad", colors())
      | ^^^^^^^^^
    help: bgx status
    "#);
}

#[test]
fn parameters_reach_the_playbook() {
    assert_eq!(played("let a = param(\"a\", #{kind: \"int\", otherwise: 3}); let b = param(\"b\"); [a, b]").value(), "[3, ()]");
}

#[test]
fn an_engine_without_a_playing_runs_no_verb() {
    let engine = super::engine::bare(super::testing::VERBS);
    let error = engine.eval::<()>("say(\"x\")").expect_err("refused").to_string();
    assert!(error.contains("Runtime error"), "{error}");
    assert_eq!(engine.eval::<i64>("1 + 1").expect("plain Rhai"), 2);
}

#[test]
fn a_module_may_be_imported_many_times() {
    let main =
        "fn f(i) { import \"lib\" as lib; lib::id(i) } let s = 0; for i in 0..200 { s += f(1); } for i in 0..200 { [1].map(|x| f(x)); } s";
    assert_eq!(with_lib("fn id(x) { x }", main).value(), "200");
}
