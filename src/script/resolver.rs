//! Serves `import` from the sources of a playing, and from nowhere else.

use super::play::Play;
use super::raised::Raised;
use rhai::{Engine, EvalAltResult, Module, ModuleResolver, Position, Scope, Shared};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Each module is evaluated once in a playing.
pub struct Resolver {
    play: Arc<Play>,
    loaded: Mutex<BTreeMap<String, Shared<Module>>>,
}

impl Resolver {
    pub fn new(play: Arc<Play>) -> Resolver {
        Resolver { play, loaded: Mutex::default() }
    }

    fn load(&self, engine: &Engine, path: &str, position: Position) -> Result<Module, Box<EvalAltResult>> {
        let Some(file) = self.play.sources.module(path) else {
            return Err(Raised::new("refused", format!("module \"{path}\" is not among the sources of this run"))
                .hint("the path of an `import` must be a literal string")
                .at(position));
        };
        let in_module = |error: Box<EvalAltResult>| -> Box<EvalAltResult> {
            // Wrapped, a stop could be caught.
            if error.is_system_exception() { error } else { EvalAltResult::ErrorInModule(path.to_string(), error, position).into() }
        };
        let ast = file.ast(engine).map_err(|e| in_module(e.into()))?;
        Module::eval_ast_as_new(Scope::new(), &ast, engine).map_err(in_module)
    }
}

impl ModuleResolver for Resolver {
    fn resolve(&self, engine: &Engine, _: Option<&str>, path: &str, position: Position) -> Result<Shared<Module>, Box<EvalAltResult>> {
        if let Some(module) = self.loaded.lock().unwrap_or_else(PoisonError::into_inner).get(path) {
            return Ok(module.clone());
        }
        self.play.enter_module(path).map_err(|chain| Raised::new("refused", format!("import cycle: {chain}")).at(position))?;
        let module = self.load(engine, path, position);
        self.play.leave_module();
        let module: Shared<Module> = module?.into();
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner).insert(path.to_string(), module.clone());
        Ok(module)
    }
}
