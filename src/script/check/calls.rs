//! Rules about calls: does the function exist, does it take so many arguments, and of these kinds.

use super::facts::{Facts, Known, Within};
use super::names::keyword;
use crate::script::diagnose::{Diagnostic, did_you_mean, nearest};
use crate::script::engine::CLOSED;
use crate::script::sources::Sources;
use crate::script::verb::{Effect, Kind, Verb};
use rhai::{ASTNode, Array, Dynamic, Expr, FnCallExpr, FnPtr, Map, Position, Stmt};

/// One call in the text.
struct Call<'a> {
    own: &'a Facts,
    known: &'a Known<'a>,
    api: u32,
    call: &'a FnCallExpr,
    position: Position,
    /// `x.f()`: one argument more than is written.
    method: bool,
    within: Within,
}

/// `api`: the level that the playbook is written for.
pub fn check(own: &Facts, known: &Known, api: u32, sources: &Sources, found: &mut Vec<Diagnostic>) {
    let mut report = |position, diagnostic: Diagnostic| found.push(diagnostic.at(sources.locate(position)));
    for f in own.ast.iter_fn_def() {
        if known.verbs.contains_key(f.name.as_str()) {
            let diagnostic = Diagnostic::error(format!("`{}` is a verb: a function of that name would hide it", f.name)).code("hides-verb");
            report(f.body.start_position(), diagnostic.hint("choose another name"));
        } else if f.name == "step" {
            report(f.body.start_position(), keyword());
        }
    }
    own.walk(&mut |within, path| {
        let (call, position, method) = match path.last() {
            Some(ASTNode::Expr(Expr::FnCall(call, at)) | ASTNode::Stmt(Stmt::FnCall(call, at))) => (call, *at, false),
            Some(ASTNode::Expr(Expr::MethodCall(call, at))) => (call, *at, true),
            Some(ASTNode::Expr(Expr::Custom(_, at))) if own.is_module && within == Within::Top => {
                return report(*at, top_of_module("a step"));
            }
            _ => return,
        };
        // A call that the parser makes for a closure with captures.
        if !call.is_operator_call() && !call.name.starts_with("anon$") {
            let call = Call { own, known, api, call, position, method, within };
            if call.call.is_qualified() { call.qualified(&mut report) } else { call.plain(&mut report) }
        }
    });
}

fn top_of_module(what: &str) -> Diagnostic {
    Diagnostic::error(format!("{what} stands at the top of a module"))
        .code("module-top")
        .hint("importing a module must change nothing: put it into a function")
}

impl Call<'_> {
    fn written(&self) -> usize {
        self.call.args.len()
    }

    /// Arguments the function gets.
    fn arity(&self) -> usize {
        self.written() + usize::from(self.method)
    }

    fn plain(&self, report: &mut dyn FnMut(Position, Diagnostic)) {
        let name = self.call.name.as_str();
        let script = self.own.functions.get(name);
        let native = self.known.native.get(name);
        if script.is_none() && native.is_none() {
            // A closure kept in a map is called like a method.
            if !(self.method && self.own.map_keys.contains(name)) {
                report(self.position, self.unknown());
            }
            return;
        }
        let fits_script = script.is_some_and(|s| s.contains(&self.arity()) || (self.method && s.contains(&self.written())));
        let fits_native = native.is_some_and(|n| n.contains(&self.arity()));
        let in_map = self.method && self.own.map_keys.contains(name);
        if !fits_script && !fits_native && !in_map {
            report(self.position, self.wrong_arity(name, self.shown_signature()));
            return;
        }
        if let Some(verb) = self.known.verbs.get(name).filter(|_| script.is_none()) {
            if self.own.is_module && self.within == Within::Top && verb.effect != Effect::Pure && verb.name != "param" {
                report(self.position, top_of_module(&format!("a call of `{name}`")));
            }
            if verb.since > self.api {
                report(self.position, too_new(verb, self.api));
            }
            if !self.method {
                arguments(verb, &self.call.args, report);
            }
        }
    }

    fn qualified(&self, report: &mut dyn FnMut(Position, Diagnostic)) {
        let name = self.call.name.as_str();
        let namespace: Vec<&str> = self.call.namespace.path.iter().map(|i| i.name.as_str()).collect();
        let path = namespace.join("::");
        let module = match self.known.module(self.own, &namespace) {
            Ok(Some(module)) => module,
            Ok(None) => return,
            Err(alias) => {
                report(self.position, unknown_alias(self.own, &alias));
                return;
            }
        };
        match module.public.get(name) {
            None if module.functions.contains_key(name) => {
                report(self.position, Diagnostic::error(format!("`{path}::{name}` is private to its module")).code("private-function"));
            }
            None => {
                let hint = nearest(name, module.public.keys().map(String::as_str)).map(|n| format!("did you mean `{path}::{n}`?"));
                report(
                    self.position,
                    Diagnostic::error(format!("module `{path}` has no function `{name}`")).code("unknown-function").maybe_hint(hint),
                );
            }
            Some(arities) if !arities.contains(&self.written()) => {
                let shown = module.shown.get(name).map(|s| format!("{path}::{s}")).unwrap_or_default();
                report(self.position, self.wrong_arity(&format!("{path}::{name}"), shown));
            }
            Some(_) => {}
        }
        for arg in &self.call.args {
            loose_closures(arg, self.own, &mut |position| {
                let diagnostic = Diagnostic::error("a closure that a module calls must be tied to this file").code("loose-closure");
                report(
                    position,
                    diagnostic.hint("write `closure(|| …)`: without it the module's functions would stand in for the ones here"),
                );
            });
        }
    }

    fn unknown(&self) -> Diagnostic {
        let name = self.call.name.as_str();
        if let Some((closed, why)) = CLOSED.iter().find(|(closed, _)| *closed == name) {
            return Diagnostic::error(format!("`{closed}` is not available in playbooks")).code("not-available").hint(*why);
        }
        let diagnostic = Diagnostic::error(format!("unknown function `{name}`")).code("unknown-function");
        if self.own.variables.contains(name) && !self.method {
            return diagnostic.hint(format!("`{name}` is a variable; a closure in it is called as `{name}.call(…)`"));
        }
        let elsewhere = self
            .own
            .aliases
            .iter()
            .find(|(_, path)| path.as_ref().and_then(|p| self.known.files.get(p)).is_some_and(|f| f.public.contains_key(name)));
        if let Some((alias, _)) = elsewhere {
            return diagnostic.hint(format!("did you mean `{alias}::{name}`?"));
        }
        let names = self.own.functions.keys().map(String::as_str).chain(self.known.native_names());
        diagnostic.maybe_hint(did_you_mean(name, names))
    }

    fn wrong_arity(&self, name: &str, shown: String) -> Diagnostic {
        let count = match self.written() {
            1 => "1 argument".to_string(),
            n => format!("{n} arguments"),
        };
        let diagnostic = Diagnostic::error(format!("`{name}` does not take {count}")).code("wrong-arity");
        if shown.is_empty() { diagnostic } else { diagnostic.hint(format!("it is {shown}")) }
    }

    fn shown_signature(&self) -> String {
        let name = self.call.name.as_str();
        let verb = self.known.verbs.get(name).map(|v| v.signature());
        self.own.shown.get(name).cloned().or(verb).unwrap_or_default()
    }
}

fn too_new(verb: &Verb, api: u32) -> Diagnostic {
    Diagnostic::error(format!("`{}` came with API level {}, and the playbook is written for {api}", verb.name, verb.since))
        .code("api-level")
        .hint(format!("write `//! bgx: {}`", verb.since))
}

pub fn unknown_alias(own: &Facts, alias: &str) -> Diagnostic {
    let hint = did_you_mean(alias, own.aliases.keys().map(String::as_str)).unwrap_or_else(|| format!("import \"…\" as {alias};"));
    Diagnostic::error(format!("module `{alias}` is not imported")).code("not-imported").hint(hint)
}

/// Literal arguments against the row of the verb.
fn arguments(verb: &'static Verb, args: &[Expr], report: &mut dyn FnMut(Position, Diagnostic)) {
    let last_is_map = matches!(args.last(), Some(Expr::Map(..)));
    let with_options = verb.last_is_options(args.len(), last_is_map);
    let (plain, options) = args.split_at(args.len() - usize::from(with_options));
    for (param, arg) in verb.params.iter().zip(plain) {
        let unset = param.optional && matches!(arg, Expr::Unit(_));
        if let Some(why) = misfit(param.kind, arg).filter(|_| !unset) {
            report(arg.start_position(), Diagnostic::error(format!("{}: `{}` {why}", verb.name, param.name)).code("wrong-argument"));
        }
    }
    // The rules for `param` are read with its declaration.
    let Some(Expr::Map(entries, at)) = options.first().filter(|_| verb.name != "param") else { return };
    let mut meant = Vec::new();
    for (key, value) in &entries.0 {
        let Some(option) = verb.option(&key.name) else {
            let keys: Vec<&str> = verb.options.iter().map(|o| o.key).collect();
            meant.extend(nearest(&key.name, keys.iter().copied()));
            let hint = did_you_mean(&key.name, keys.iter().copied()).unwrap_or_else(|| format!("it has {}", keys.join(", ")));
            report(key.pos, Diagnostic::error(format!("`{}` has no option `{}`", verb.name, key.name)).code("unknown-option").hint(hint));
            continue;
        };
        if let Some(why) = misfit(option.kind, value).filter(|_| !matches!(value, Expr::Unit(_))) {
            report(value.start_position(), Diagnostic::error(format!("{}: `{}` {why}", verb.name, key.name)).code("wrong-argument"));
        }
    }
    // One that is there, misspelt, is told of once.
    let given = |key: &str| meant.contains(&key) || entries.0.iter().any(|(k, _)| k.name.as_str() == key);
    for option in verb.options.iter().filter(|o| o.required && !given(o.key)) {
        report(
            *at,
            Diagnostic::error(format!("{}: option `{}` is missing", verb.name, option.key)).code("missing-option").hint(verb.signature()),
        );
    }
}

/// Why an expression can never be of a kind; `None` if it fits or cannot be known.
fn misfit(kind: Kind, expr: &Expr) -> Option<String> {
    let value = match expr {
        // The text is not known, only that it is text.
        Expr::InterpolatedString(..) if kind == Kind::Duration => return None,
        Expr::InterpolatedString(..) => Dynamic::from("…"),
        Expr::Map(..) => Dynamic::from(Map::new()),
        Expr::Array(..) => Dynamic::from(Array::new()),
        _ if is_closure(expr) => Dynamic::from(FnPtr::new("f").ok()?),
        _ => expr.get_literal_value(None)?,
    };
    kind.check(&value).err()
}

fn is_closure(expr: &Expr) -> bool {
    match expr {
        Expr::DynamicConstant(value, _) => value.is::<FnPtr>(),
        // With captures the parser makes a block of it: share the variables, then curry.
        Expr::Stmt(block) => match block.statements() {
            [Stmt::Share(_), Stmt::Expr(last)] => matches!(&**last, Expr::FnCall(call, _) if call.name == "curry"),
            _ => false,
        },
        _ => false,
    }
}

/// Closures in an argument that nothing has tied to this file.
fn loose_closures(expr: &Expr, own: &Facts, report: &mut dyn FnMut(Position)) {
    match expr {
        Expr::Map(entries, _) => entries.0.iter().for_each(|(_, value)| loose_closures(value, own, report)),
        Expr::Array(items, _) => items.iter().for_each(|item| loose_closures(item, own, report)),
        Expr::Variable(variable, index, position) => {
            let local = variable.0.is_some() || index.is_some() || !variable.2.is_empty();
            if !local && own.functions.contains_key(variable.1.as_str()) {
                report(*position);
            }
        }
        _ if is_closure(expr) => report(expr.start_position()),
        _ => {}
    }
}
