//! The questions that a playbook may ask, as far as its text tells: an `--answer` to none of them is a slip of the pen.

use super::facts::Facts;
use crate::script::sources::Sources;
use rhai::{ASTNode, Engine, Expr, FnCallExpr, Stmt};

/// Ids by their beginnings (`accept-` of a colour is known only while running); `None`: some id is computed.
pub fn ids(sources: &Sources, engine: &Engine) -> Option<Vec<Id>> {
    let mut found = Vec::new();
    let mut computed = false;
    for (index, file) in sources.files().iter().enumerate() {
        let Ok(ast) = engine.compile(file.placed()) else { continue };
        Facts::of(ast, index > 0).walk(&mut |_, path| {
            let (call, method) = match path.last() {
                Some(ASTNode::Expr(Expr::FnCall(call, _)) | ASTNode::Stmt(Stmt::FnCall(call, _))) => (call, false),
                Some(ASTNode::Expr(Expr::MethodCall(call, _))) => (call, true),
                _ => return,
            };
            match id(call, method) {
                Asks::Nothing => {}
                Asks::Id(id) => found.push(id),
                Asks::Computed => computed = true,
            }
        });
    }
    (!computed).then_some(found)
}

/// What `--answer ID=KEY` can name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Id {
    Exact(String),
    Beginning(&'static str),
}

impl Id {
    pub fn exact(&self) -> Option<&str> {
        match self {
            Id::Exact(id) => Some(id),
            Id::Beginning(_) => None,
        }
    }

    pub fn fits(&self, given: &str) -> bool {
        match self {
            Id::Exact(id) => id == given,
            Id::Beginning(start) => given.starts_with(start),
        }
    }
}

enum Asks {
    Nothing,
    Id(Id),
    Computed,
}

fn id(call: &FnCallExpr, method: bool) -> Asks {
    match call.name.as_str() {
        "accept_less" => Asks::Id(Id::Beginning("accept-")),
        // Asked by the verb itself where the account is not as it should be.
        "colors" => Asks::Id(Id::Exact("traffic".to_owned())),
        "preflight" => Asks::Id(Id::Exact("drift".to_owned())),
        "choose" | "confirm" => match call.args.first() {
            Some(Expr::StringConstant(id, _)) if !method => Asks::Id(Id::Exact(id.to_string())),
            _ => Asks::Computed,
        },
        _ => Asks::Nothing,
    }
}
