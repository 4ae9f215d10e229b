//! What the sources, the engine and the table of verbs define, gathered once for all rules.

use crate::script::core_verbs::CORE;
use crate::script::engine::CLOSED;
use crate::script::imports::imports_of;
use crate::script::verb::Verb;
use rhai::{AST, ASTFlags, ASTNode, Engine, Expr, FnAccess, Position, Stmt};
use std::collections::{BTreeMap, BTreeSet};

/// Name to arities.
pub type Arities = BTreeMap<String, BTreeSet<usize>>;

/// Functions that the parser knows, with the arities it takes.
const KEYWORD_FUNCTIONS: &[(&str, std::ops::RangeInclusive<usize>)] = &[
    ("print", 0..=1),
    ("debug", 0..=1),
    ("type_of", 1..=1),
    ("call", 1..=16),
    ("Fn", 1..=1),
    ("curry", 2..=16),
    ("is_shared", 1..=1),
    ("is_def_var", 1..=1),
    ("is_def_fn", 2..=3),
];

/// One file.
pub struct Facts {
    pub ast: AST,
    pub is_module: bool,
    /// All functions, and how each is written.
    pub functions: Arities,
    pub shown: BTreeMap<String, String>,
    /// Those that other files may call.
    pub public: Arities,
    /// Alias to module path; `None` where functions import different modules under one name.
    pub aliases: BTreeMap<String, Option<String>>,
    /// Variables and constants at the top.
    pub top_variables: BTreeSet<String>,
    pub constants: BTreeSet<String>,
    /// Every name that is declared somewhere in the file.
    pub variables: BTreeSet<String>,
    /// Keys of map literals: `m.key()` may call a closure that is kept there.
    pub map_keys: BTreeSet<String>,
    spans: Vec<FnSpan>,
}

struct FnSpan {
    anonymous: bool,
    start: Position,
    end: Position,
}

/// Where a node stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Within {
    Top,
    Function,
    Closure,
}

impl Facts {
    pub fn of(ast: AST, is_module: bool) -> Facts {
        let mut facts = Facts {
            is_module,
            functions: Arities::new(),
            shown: BTreeMap::new(),
            public: Arities::new(),
            aliases: aliases(&ast),
            top_variables: BTreeSet::new(),
            constants: BTreeSet::new(),
            variables: BTreeSet::new(),
            map_keys: BTreeSet::new(),
            spans: Vec::new(),
            ast: AST::empty(),
        };
        for f in ast.iter_fn_def() {
            let anonymous = f.name.starts_with("anon$");
            facts.spans.push(FnSpan { anonymous, start: f.body.start_position(), end: f.body.end_position() });
            facts.variables.extend(f.params.iter().map(|p| p.to_string()));
            if !anonymous {
                facts.functions.entry(f.name.to_string()).or_default().insert(f.params.len());
                facts.shown.insert(f.name.to_string(), format!("{}({})", f.name, f.params.join(", ")));
                if matches!(f.access, FnAccess::Public) {
                    facts.public.entry(f.name.to_string()).or_default().insert(f.params.len());
                }
            }
        }
        for stmt in ast.statements() {
            if let Stmt::Var(var, flags, _) = stmt {
                facts.top_variables.insert(var.0.name.to_string());
                if flags.intersects(ASTFlags::CONSTANT) {
                    facts.constants.insert(var.0.name.to_string());
                }
            }
        }
        ast.walk(&mut |path| facts.note(path));
        facts.ast = ast;
        facts
    }

    fn note(&mut self, path: &[ASTNode]) -> bool {
        match path.last() {
            Some(ASTNode::Stmt(Stmt::Var(var, ..))) => drop(self.variables.insert(var.0.name.to_string())),
            Some(ASTNode::Stmt(Stmt::For(f, _))) => {
                self.variables.insert(f.0.name.to_string());
                self.variables.extend(f.1.iter().map(|i| i.name.to_string()));
            }
            Some(ASTNode::Expr(Expr::Map(map, _))) => self.map_keys.extend(map.0.iter().map(|(k, _)| k.name.to_string())),
            // `m.key = …` makes a key, too.
            Some(ASTNode::Expr(Expr::Property(property, _))) => drop(self.map_keys.insert(property.2.to_string())),
            _ => {}
        }
        true
    }

    /// Walks all nodes, telling for each where it stands.
    pub fn walk(&self, on_node: &mut dyn FnMut(Within, &[ASTNode])) {
        let top_statements = self.ast.statements().len();
        let mut roots = 0;
        let mut within = Within::Top;
        self.ast.walk(&mut |path| {
            if path.len() == 1 {
                roots += 1;
                within = if roots <= top_statements { Within::Top } else { self.body_of(path[0].position()) };
            }
            on_node(within, path);
            true
        });
    }

    /// The innermost function around a statement of a body.
    fn span_of(&self, at: Position) -> Option<&FnSpan> {
        let holds = |f: &&FnSpan| if f.end.is_none() { f.start == at } else { f.start <= at && at <= f.end };
        self.spans.iter().filter(holds).max_by_key(|f| f.start)
    }

    /// Where the body begins that a statement stands in.
    pub fn body_start(&self, at: Position) -> Option<Position> {
        self.span_of(at).map(|f| f.start)
    }

    fn body_of(&self, at: Position) -> Within {
        match self.span_of(at) {
            Some(f) if f.anonymous => Within::Closure,
            Some(_) | None => Within::Function,
        }
    }
}

fn aliases(ast: &AST) -> BTreeMap<String, Option<String>> {
    let mut aliases: BTreeMap<String, Option<String>> = BTreeMap::new();
    for import in imports_of(ast).into_iter().filter(|i| !i.alias.is_empty()) {
        let path = import.path.clone();
        let known = aliases.entry(import.alias).or_insert(import.path);
        if *known != path {
            *known = None;
        }
    }
    aliases
}

/// What all files share.
pub struct Known<'a> {
    pub verbs: BTreeMap<&'static str, &'static Verb>,
    /// Functions of Rhai and the verbs.
    pub native: Arities,
    pub files: &'a BTreeMap<String, Facts>,
}

impl<'a> Known<'a> {
    pub fn new(engine: &Engine, verbs: &'static [Verb], files: &'a BTreeMap<String, Facts>) -> Known<'a> {
        let mut native = Arities::new();
        for (name, arity) in engine.collect_fn_metadata(None, |f| Some((f.metadata.name.to_string(), f.metadata.num_params)), true) {
            native.entry(name).or_default().insert(arity);
        }
        for (name, arities) in KEYWORD_FUNCTIONS {
            native.entry(name.to_string()).or_default().extend(arities.clone());
        }
        let verbs: BTreeMap<_, _> = CORE.iter().chain(verbs).map(|v| (v.name, v)).collect();
        // Rhai registers some that bgx refuses.
        native.retain(|name, _| name != "sleep" && CLOSED.iter().all(|(closed, _)| closed != name));
        for (name, verb) in &verbs {
            native.insert(name.to_string(), verb.arities().collect());
        }
        Known { verbs, native, files }
    }

    /// Follows `a::b` from a file to the module it names; `Ok(None)` where that cannot be told, or the module does not parse.
    pub fn module(&self, from: &'a Facts, namespace: &[&str]) -> Result<Option<&'a Facts>, String> {
        let mut file = from;
        for alias in namespace {
            let path = file.aliases.get(*alias).ok_or_else(|| alias.to_string())?;
            match path.as_ref().and_then(|p| self.files.get(p)) {
                Some(next) => file = next,
                None => return Ok(None),
            }
        }
        Ok(Some(file))
    }

    pub fn native_names(&self) -> impl Iterator<Item = &str> {
        self.native.keys().map(String::as_str).filter(|n| n.starts_with(|c: char| c.is_ascii_lowercase()) && !n.contains('$'))
    }
}
