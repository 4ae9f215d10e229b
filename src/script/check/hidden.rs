//! Finds a `catch` that does nothing around something that changes the account, waits or asks: the playbook would go on as if it had happened.

use super::facts::{Facts, Known};
use crate::script::verb::{Effect, Verb};
use rhai::{ASTNode, Expr, FnCallExpr, Position, Stmt};

/// Functions that call functions are followed this deep; recursion ends there too.
const DEPTH: usize = 8;

/// Where the `try` stands, and what its `catch` hides.
pub fn hidden(own: &Facts, path: &[ASTNode], known: &Known) -> Option<(Position, String)> {
    let call = called(path.last()?)?;
    let around = path.iter().rev().find_map(|node| match node {
        ASTNode::Stmt(Stmt::TryCatch(flow, position)) => Some((flow, *position)),
        _ => None,
    });
    let (flow, position) = around?;
    if !flow.branch.statements().iter().all(Stmt::is_noop) {
        return None;
    }
    let verb = acting(own, call, known, DEPTH)?;
    let name = if verb.name == call.name { format!("`{}`", verb.name) } else { format!("`{}`, that is of `{}`", call.name, verb.name) };
    let does = match verb.effect {
        Effect::Wait => "waits",
        Effect::Ask => "asks",
        Effect::Write | Effect::Pure | Effect::Read | Effect::Say => "changes the account",
    };
    Some((position, format!("this `catch` hides every failure of {name}, which {does}")))
}

fn called<'a>(node: &ASTNode<'a>) -> Option<&'a FnCallExpr> {
    match node {
        ASTNode::Expr(Expr::FnCall(call, _)) | ASTNode::Stmt(Stmt::FnCall(call, _)) => Some(call),
        _ => None,
    }
}

/// The verb that a call comes to: itself, or the first that its function calls.
fn acting(own: &Facts, call: &FnCallExpr, known: &Known, depth: usize) -> Option<&'static Verb> {
    let namespace: Vec<&str> = call.namespace.path.iter().map(|part| part.name.as_str()).collect();
    if namespace.is_empty()
        && let Some(verb) = known.verbs.get(call.name.as_str())
    {
        return matches!(verb.effect, Effect::Write | Effect::Wait | Effect::Ask).then_some(*verb);
    }
    // What a closure does inside the function is not followed: the verb that takes it is met anyway.
    let file = if namespace.is_empty() { own } else { known.module(own, &namespace).ok()?? };
    let function = file.ast.iter_fn_def().find(|f| f.name == call.name && f.params.len() == call.args.len())?;
    let body = function.body.start_position();
    let mut found = None;
    if depth > 0 {
        file.walk(&mut |_, path| {
            let inside = path.first().is_some_and(|root| file.body_start(root.position()) == Some(body));
            if let (None, true, Some(inner)) = (found, inside, path.last().and_then(called)) {
                found = acting(file, inner, known, depth - 1);
            }
        });
    }
    found
}
