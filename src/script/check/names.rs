//! Rules about variables: is the name declared where it is used.

use super::calls::unknown_alias;
use super::facts::{Facts, Known, Within};
use crate::script::diagnose::{Diagnostic, did_you_mean};
use crate::script::explain::{OUTER_VARIABLES, reserved};
use crate::script::sources::Sources;
use rhai::{ASTNode, Expr, Stmt};

pub fn check(own: &Facts, known: &Known, sources: &Sources, found: &mut Vec<Diagnostic>) {
    own.walk(&mut |within, path| {
        if let Some(ASTNode::Stmt(Stmt::Var(var, ..))) = path.last()
            && var.0.name.as_str() == "step"
        {
            found.push(keyword().at(sources.locate(var.0.pos)));
        }
        let Some(ASTNode::Expr(Expr::Variable(variable, index, position))) = path.last() else { return };
        let name = variable.1.as_str();
        let namespace: Vec<&str> = variable.2.path.iter().map(|i| i.name.as_str()).collect();
        let finding = match namespace.as_slice() {
            // The parser counts back to the declaration; without a count it has found none.
            [] if variable.0.is_some() || index.is_some() => None,
            // In a closure it is taken from outside, where it is looked at again.
            [] if within == Within::Closure => None,
            [] if own.functions.contains_key(name) => None,
            [] => Some(unknown(own, name, within)),
            ["global"] if own.constants.contains(name) => None,
            ["global"] => Some(no_constant(own, name)),
            path => known.module(own, path).err().map(|alias| unknown_alias(own, &alias)),
        };
        found.extend(finding.map(|d| d.at(sources.locate(*position))));
    });
}

/// The parser takes `step` as a name, and then nothing can use it.
pub fn keyword() -> Diagnostic {
    let (message, hint) = reserved("step");
    Diagnostic::error(message).code("reserved-word").maybe_hint(hint)
}

fn unknown(own: &Facts, name: &str, within: Within) -> Diagnostic {
    let diagnostic = Diagnostic::error(format!("unknown variable `{name}`")).code("unknown-variable");
    if within == Within::Function && own.constants.contains(name) {
        return diagnostic.hint(format!("a function sees a constant of its file as `global::{name}`"));
    }
    if within == Within::Function && own.top_variables.contains(name) {
        return diagnostic.hint(format!("{OUTER_VARIABLES}; give `{name}` to it as a parameter"));
    }
    if own.aliases.contains_key(name) {
        return diagnostic.hint(format!("`{name}` is a module: its functions are called as `{name}::…`"));
    }
    diagnostic.maybe_hint(did_you_mean(name, own.variables.iter().map(String::as_str)))
}

fn no_constant(own: &Facts, name: &str) -> Diagnostic {
    let diagnostic = Diagnostic::error(format!("there is no constant `{name}` in this file")).code("unknown-variable");
    if own.top_variables.contains(name) {
        return diagnostic.hint(format!("`{name}` is declared with `let`; `global::` reaches only `const`"));
    }
    let meant = did_you_mean(name, own.constants.iter().map(String::as_str)).map(|m| m.replacen('`', "`global::", 1));
    diagnostic.maybe_hint(meant)
}
