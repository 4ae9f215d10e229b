//! Rules about what runs, and is hardly ever meant: each of them is certain, so each of them is worth a look.

use super::facts::{Facts, Known, Within};
use super::hidden::hidden;
use crate::script::diagnose::Diagnostic;
use crate::script::sources::Sources;
use crate::script::verb::Deprecated;
use rhai::{ASTFlags, ASTNode, Expr, FnCallExpr, Position, Stmt};
use std::collections::BTreeSet;

/// Verbs that never give control back.
const ENDING: [&str; 2] = ["fail", "decline"];
/// Ways to keep a closure in a list or map.
const KEEPING: [&str; 3] = ["push", "insert", "unshift"];

pub fn check(own: &Facts, known: &Known, sources: &Sources, found: &mut Vec<Diagnostic>) {
    let mut report = |position, diagnostic: Diagnostic| found.push(diagnostic.at(sources.locate(position)));
    unreachable_code(own.ast.statements(), &mut report);
    let used = Used::of(own);
    // The statements of a body are met one by one, and only its place tells whose body it is.
    let mut left: Option<(Position, &str)> = None;
    own.walk(&mut |within, path| {
        if let ([ASTNode::Stmt(statement)], true) = (path, within != Within::Top) {
            let body = own.body_start(statement.position());
            if let Some((_, word)) = left.filter(|(start, _)| Some(*start) == body && !statement.is_noop()) {
                report(statement.position(), never_reached(word));
            }
            left = body.zip(leaves(statement));
        }
        match path.last() {
            Some(ASTNode::Stmt(Stmt::Var(var, flags, _))) if !flags.intersects(ASTFlags::EXPORTED) && !used.names(&var.0.name) => {
                report(var.0.pos, unused(&var.0.name));
            }
            // What a module imports can be reached through it from other files.
            Some(ASTNode::Stmt(Stmt::Import(import, _))) if !own.is_module && !used.imports(&import.1.name) => {
                let text = format!("nothing of the module `{}` is used", import.1.name);
                report(import.1.pos, Diagnostic::warning(text).code("unused-import").hint("remove the import"));
            }
            Some(ASTNode::Stmt(Stmt::Share(names))) => {
                for (name, _) in names.iter() {
                    if keeps_loop_variable(&name.name, path) {
                        report(name.pos, loop_capture(&name.name));
                    }
                }
            }
            Some(ASTNode::Expr(Expr::FnCall(call, at)) | ASTNode::Stmt(Stmt::FnCall(call, at))) => {
                if let Some(diagnostic) = deprecated(own, call, known) {
                    report(*at, diagnostic);
                }
            }
            _ => {}
        }
        blocks(path.last()).into_iter().for_each(|block| unreachable_code(block, &mut report));
        if let Some((position, text)) = hidden(own, path, known) {
            let hint = "look at `e.code` and let go on what was not expected: catch (e) { if e.code != \"timeout\" { throw; } }";
            report(position, Diagnostic::warning(text).code("hidden-failure").hint(hint));
        }
    });
}

/// A verb that still works, and has something better beside it.
fn deprecated(own: &Facts, call: &FnCallExpr, known: &Known) -> Option<Diagnostic> {
    let is_verb = !call.is_qualified() && !own.functions.contains_key(call.name.as_str());
    let verb = known.verbs.get(call.name.as_str()).filter(|_| is_verb)?;
    let Deprecated { since, instead } = verb.deprecated?;
    let text = format!("`{}` is deprecated since API level {since}", verb.name);
    Some(Diagnostic::warning(text).code("deprecated").hint(format!("write {instead}")))
}

fn unused(name: &str) -> Diagnostic {
    Diagnostic::warning(format!("`{name}` is never used")).code("unused-variable").hint(format!("remove it, or call it `_{name}`"))
}

fn loop_capture(name: &str) -> Diagnostic {
    Diagnostic::warning(format!("every closure that is kept here will see the last `{name}`"))
        .code("loop-capture")
        .hint(format!("copy it inside the loop: let this_{name} = {name};"))
}

/// What the text of a file mentions.
struct Used {
    variables: BTreeSet<String>,
    modules: BTreeSet<String>,
    /// `is_def_var("x")` mentions a variable in a way that is not followed.
    by_name: bool,
}

impl Used {
    fn of(own: &Facts) -> Used {
        let mut used = Used { variables: BTreeSet::new(), modules: BTreeSet::new(), by_name: false };
        own.walk(&mut |_, path| {
            used.note(path);
            // Rhai's own walk leaves out what a `break` gives.
            if let Some(ASTNode::Stmt(Stmt::BreakLoop(Some(value), ..))) = path.last() {
                value.walk(&mut Vec::new(), &mut |path: &[ASTNode]| {
                    used.note(path);
                    true
                });
            }
        });
        used
    }

    fn note(&mut self, path: &[ASTNode]) {
        match path.last() {
            Some(ASTNode::Expr(Expr::Variable(variable, ..))) => {
                self.variables.insert(variable.1.to_string());
                self.modules.extend(variable.2.path.iter().map(|part| part.name.to_string()));
            }
            Some(ASTNode::Stmt(Stmt::Export(export, _))) => drop(self.variables.replace(export.0.name.to_string())),
            Some(ASTNode::Expr(Expr::FnCall(call, _) | Expr::MethodCall(call, _)) | ASTNode::Stmt(Stmt::FnCall(call, _))) => {
                self.modules.extend(call.namespace.path.iter().map(|part| part.name.to_string()));
                self.by_name |= call.name == "is_def_var";
            }
            _ => {}
        }
    }

    fn imports(&self, alias: &str) -> bool {
        alias.is_empty() || self.modules.contains(alias)
    }

    fn names(&self, variable: &str) -> bool {
        // `step` as a name is an error of its own.
        self.by_name || variable.starts_with('_') || variable == "step" || self.variables.contains(variable)
    }
}

/// The lists of statements that a node holds.
fn blocks<'a>(node: Option<&ASTNode<'a>>) -> Vec<&'a [Stmt]> {
    match node {
        Some(ASTNode::Stmt(Stmt::If(flow, _) | Stmt::TryCatch(flow, _))) => vec![flow.body.statements(), flow.branch.statements()],
        Some(ASTNode::Stmt(Stmt::While(flow, _) | Stmt::Do(flow, ..))) => vec![flow.body.statements()],
        Some(ASTNode::Stmt(Stmt::For(parts, _))) => vec![parts.2.body.statements()],
        Some(ASTNode::Stmt(Stmt::Block(block)) | ASTNode::Expr(Expr::Stmt(block))) => vec![block.statements()],
        _ => Vec::new(),
    }
}

/// The first statement after one that never gives control on.
fn unreachable_code(block: &[Stmt], report: &mut dyn FnMut(Position, Diagnostic)) {
    let real: Vec<&Stmt> = block.iter().filter(|s| !s.is_noop()).collect();
    for pair in real.windows(2) {
        if let Some(word) = leaves(pair[0]) {
            return report(pair[1].position(), never_reached(word));
        }
    }
}

fn never_reached(word: &str) -> Diagnostic {
    let text = format!("this is never reached: `{word}` stands before it");
    Diagnostic::warning(text).code("unreachable").hint("remove it, or move it up")
}

fn leaves(statement: &Stmt) -> Option<&'static str> {
    match statement {
        Stmt::Return(_, flags, _) => Some(if flags.intersects(ASTFlags::BREAK) { "throw" } else { "return" }),
        Stmt::BreakLoop(_, flags, _) => Some(if flags.intersects(ASTFlags::BREAK) { "break" } else { "continue" }),
        Stmt::FnCall(call, _) => ending(call),
        Stmt::Expr(expr) => match &**expr {
            Expr::FnCall(call, _) => ending(call),
            _ => None,
        },
        _ => None,
    }
}

fn ending(call: &FnCallExpr) -> Option<&'static str> {
    ENDING.into_iter().find(|name| !call.is_qualified() && call.name == *name)
}

/// A closure is put away in a list that is older than the loop whose variable it captures.
fn keeps_loop_variable(name: &str, path: &[ASTNode]) -> bool {
    let [before @ .., _, ASTNode::Expr(Expr::Dot(dot, ..)), ASTNode::Expr(Expr::MethodCall(call, _)), ASTNode::Expr(Expr::Stmt(_)), _] =
        path
    else {
        return false;
    };
    let Expr::Variable(list, ..) = &dot.lhs else { return false };
    let parent = path.len() - 5;
    let around = before.iter().chain(std::iter::once(&path[parent]));
    let of_loop = around.rev().find_map(|node| match node {
        ASTNode::Stmt(Stmt::For(parts, _)) => Some(parts).filter(|p| p.0.name == name || p.1.as_ref().is_some_and(|i| i.name == name)),
        _ => None,
    });
    KEEPING.contains(&call.name.as_str()) && of_loop.is_some_and(|parts| !declares(parts.2.body.statements(), &list.1))
}

fn declares(block: &[Stmt], name: &str) -> bool {
    let mut found = false;
    for statement in block {
        statement.walk(&mut Vec::new(), &mut |path: &[ASTNode]| {
            found |= matches!(path.last(), Some(ASTNode::Stmt(Stmt::Var(var, ..))) if var.0.name == name);
            true
        });
    }
    found
}

#[cfg(test)]
mod tests {
    use crate::script::check::warnings;
    use crate::script::engine::bare;
    use crate::script::testing::{VERBS, sources};

    fn warned(text: &str) -> Vec<String> {
        let sources = sources(&[("a.rhai", text), ("lib.rhai", "import \"deep\" as deep; fn f() { 1 }"), ("deep.rhai", "fn g() { 2 }")]);
        let found = warnings(&sources, &bare(VERBS), VERBS);
        found
            .iter()
            .map(|d| format!("{}:{} {}", d.at.as_ref().map_or(0, |at| at.line), d.at.as_ref().map_or(0, |at| at.column), d.code))
            .collect()
    }

    #[test]
    fn what_is_used_in_any_way_is_not_unused() {
        let right = [
            "let x = 1; say(`${x}`);",
            "let x = 1; let y = loop { break x; }; say(`${y}`);",
            "let x = 1; let f = || x; f.call();",
            "let m = #{}; m.key = 1;",
            "let x = 1; if is_def_var(\"x\") { say(\"x\"); }",
            "let x = 1; step `${x}` { say(\"x\"); }",
            "let _x = 1; for round in 0..3 { say(\"x\"); }",
            "const K = 1; fn f() { global::K } f();",
            "import \"lib\" as lib; fn f() { lib::f() } f();",
            "import \"lib\" as lib; lib::deep::g();",
            "let x = switch 1 { 1 if true => 2, _ => 3 }; say(`${x}`);",
        ];
        for text in right {
            assert_eq!(warned(text), Vec::<String>::new(), "{text}");
        }
        assert_eq!(warned("fn f() { let x = 1; 2 }\nf();"), ["1:14 unused-variable"]);
        assert_eq!(warned("import \"lib\" as lib;"), ["1:17 unused-import"]);
    }

    #[test]
    fn a_verb_that_has_a_better_one_beside_it_is_told_of_at_each_call() {
        assert_eq!(
            warned("let c = colors();\nresize(c.idle, 1);\nfn f(c) { if true { resize(c, 2); } }\nf(c.idle);"),
            ["2:1 deprecated", "3:21 deprecated"]
        );
        assert_eq!(warned("fn resize(c, n) { say(`${c}${n}`); }\nresize(1, 2);"), Vec::<String>::new(), "it is the playbook's own");
        let told = sources(&[("a.rhai", "resize(colors().idle, 1);")]);
        let found = warnings(&told, &bare(VERBS), VERBS);
        let [only] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!(only.message, "`resize` is deprecated since API level 1");
        assert_eq!(only.hint.as_deref(), Some("write scale(color, #{desired})"));
    }

    #[test]
    fn code_after_an_end_is_never_reached_wherever_it_stands() {
        for text in ["return;\nsay(1);", "fn f() { throw 1;\nsay(1); }", "loop { break;\nsay(1); }", "step \"x\" { fail(\"x\");\nsay(1); }"]
        {
            assert!(warned(text).iter().any(|w| w.starts_with("2:") && w.ends_with("unreachable")), "{text}: {:?}", warned(text));
        }
        for text in ["fn f() { return 1; }\nfn g() { say(1); }", "if true { return; }\nsay(1);", "let x = () ?? fail(\"x\"); say(`${x}`);"]
        {
            assert_eq!(warned(text), Vec::<String>::new(), "{text}");
        }
    }

    #[test]
    fn only_a_closure_that_outlives_its_round_sees_the_last_item() {
        assert_eq!(warned("let fs = []; for n in 0..3 { fs.push(|| n); }"), ["1:41 loop-capture"]);
        let right = [
            "for n in 0..3 { wait_until(\"x\", #{}, || n > 0); }",
            "let fs = []; for n in 0..3 { let own = n; fs.push(|| own); }",
            "for n in 0..3 { let fs = []; fs.push(|| n); say(`${fs.len()}`); }",
        ];
        for text in right {
            assert_eq!(warned(text), Vec::<String>::new(), "{text}");
        }
    }

    #[test]
    fn a_catch_that_does_something_hides_nothing() {
        let hiding = [
            "let c = colors(); try { scale(c.idle); } catch (e) { }",
            "let c = colors(); try { wait_healthy(c.idle); } catch { }",
            "fn shrink(c) { if true { deeper(c); } } fn deeper(c) { scale(c); } try { shrink(colors().idle); } catch { }",
        ];
        for text in hiding {
            assert!(warned(text).iter().any(|w| w.ends_with(" hidden-failure")), "{text}: {:?}", warned(text));
        }
        for text in
            ["let c = colors(); try { scale(c.idle); } catch (e) { say(`${e}`); }", "let c = colors(); try { asg(c.idle); } catch { }"]
        {
            assert_eq!(warned(text), Vec::<String>::new(), "{text}");
        }
    }
}
