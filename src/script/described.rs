//! What a function of the stdlib says of itself in `///` lines, and what the verbs that it comes to tell of it.

use super::imports::imports_of;
use super::verb::{Effect, Verb};
use rhai::{AST, ASTNode, Expr, Position, Stmt};
use std::collections::{BTreeMap, BTreeSet};

/// A function that says in `///` what it is for.
pub struct Function {
    pub name: String,
    pub params: Vec<Parameter>,
    pub doc: String,
    /// The first API level that has it.
    pub since: u32,
    pub example: String,
    /// Codes of the errors of all verbs that it comes to; some it may catch.
    pub errors: BTreeSet<&'static str>,
    /// What those verbs do.
    pub effects: BTreeSet<Effect>,
}

/// One that a function takes; what its function does not tell of it, the head of its module does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parameter {
    pub name: String,
    /// As in the rows of verbs: `int`, `duration`, `color`.
    pub kind: String,
    pub meaning: String,
}

/// The lines of a comment, sorted out.
#[derive(Default)]
pub struct Comment {
    pub text: String,
    params: Vec<Parameter>,
    since: Option<u32>,
    example: String,
}

/// Reads what follows `//!` or `///`: text, ``- `name` kind: meaning``, `since: 1`, `example: …`.
pub fn comment<'a>(lines: impl Iterator<Item = &'a str>) -> Comment {
    let mut read = Comment::default();
    let mut text = Vec::new();
    for line in lines.map(|line| line.trim().trim_start_matches("///").trim_start_matches("//!").trim()) {
        match (parameter(line), line.split_once(": ")) {
            (Some(param), _) => read.params.push(param),
            (None, Some(("since", level))) => read.since = level.parse().ok(),
            (None, Some(("example", code))) => code.clone_into(&mut read.example),
            (None, _) => text.push(line),
        }
    }
    read.text = text.join("\n").trim().to_owned();
    read
}

fn parameter(line: &str) -> Option<Parameter> {
    let (name, rest) = line.strip_prefix("- `")?.split_once("` ")?;
    let (kind, meaning) = rest.split_once(": ")?;
    Some(Parameter { name: name.to_owned(), kind: kind.to_owned(), meaning: meaning.to_owned() })
}

/// The functions of one file that say what they are for, in the order of the text.
pub fn functions(head: &Comment, path: &str, library: &Library) -> Vec<Function> {
    let Some(ast) = library.files.get(path) else { return Vec::new() };
    let mut found: Vec<(Position, Function)> = Vec::new();
    for f in ast.iter_fn_def().filter(|f| !f.comments.is_empty()) {
        let lines: Vec<String> = f.comments.iter().map(ToString::to_string).collect();
        let own = comment(lines.iter().flat_map(|lines| lines.lines()));
        let told = |name: &str| own.params.iter().chain(&head.params).find(|param| param.name == name).cloned();
        let params = f.params.iter().map(|name| told(name).unwrap_or(Parameter { name: name.to_string(), ..Parameter::default() }));
        let mut reached = Reached::default();
        library.follow(path, &f.name, &mut reached);
        let function = Function {
            name: f.name.to_string(),
            params: params.collect(),
            since: own.since.or(head.since).unwrap_or_default(),
            doc: own.text,
            example: own.example,
            errors: reached.verbs.iter().flat_map(|verb| verb.errors).copied().collect(),
            effects: reached.verbs.iter().map(|verb| verb.effect).collect(),
        };
        found.push((f.body.start_position(), function));
    }
    found.sort_by_key(|(position, _)| *position);
    found.into_iter().map(|(_, function)| function).collect()
}

/// Every file of the stdlib by its path, and the verbs.
pub struct Library {
    pub files: BTreeMap<String, AST>,
    pub verbs: BTreeMap<&'static str, &'static Verb>,
}

#[derive(Default)]
struct Reached {
    verbs: Vec<&'static Verb>,
    seen: BTreeSet<(String, String)>,
}

impl Library {
    fn follow(&self, path: &str, function: &str, reached: &mut Reached) {
        let Some(ast) = self.files.get(path).filter(|_| reached.seen.insert((path.to_owned(), function.to_owned()))) else { return };
        let imports = imports_of(ast);
        for (alias, name) in calls(ast, function) {
            if let Some(verb) = self.verbs.get(name.as_str()).filter(|_| alias.is_empty()) {
                reached.verbs.push(verb);
                continue;
            }
            let imported = imports.iter().find(|import| import.alias == alias).and_then(|import| import.path.as_deref());
            if let Some(file) = if alias.is_empty() { Some(path) } else { imported } {
                self.follow(file, &name, reached);
            }
        }
    }
}

/// What stands in the body of a function, closures included: the module, or nothing, and the name of each call.
fn calls(ast: &AST, function: &str) -> Vec<(String, String)> {
    let Some(body) = ast.iter_fn_def().find(|f| f.name == function).map(|f| f.body.start_position()..=f.body.end_position()) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    ast.walk(&mut |path| {
        let inside = path.first().is_some_and(|root| body.contains(&root.position()));
        if let (true, Some(ASTNode::Expr(Expr::FnCall(call, _)) | ASTNode::Stmt(Stmt::FnCall(call, _)))) = (inside, path.last()) {
            let module = call.namespace.path.iter().map(|part| part.name.as_str()).collect::<Vec<_>>().join("::");
            found.push((module, call.name.to_string()));
        }
        true
    });
    found
}
