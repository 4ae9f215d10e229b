//! What a playbook can call, for people to read: verbs by what they are about, and the functions of the embedded stdlib.

use super::core_verbs::CORE;
use super::imports::{self, Import};
use super::session::STDLIB;
use super::verb::Verb;
use super::{harness, syntax, verbs};
use rhai::AST;

/// Verbs, by group, and functions, by module.
pub struct Catalog {
    pub groups: Vec<Group>,
    pub modules: Vec<Module>,
}

/// Verbs about one thing.
pub struct Group {
    pub name: &'static str,
    pub verbs: Vec<&'static Verb>,
}

/// A module of the stdlib.
pub struct Module {
    /// As `import` names it: `std/blue_green`.
    pub path: String,
    /// The name that the stdlib itself imports it by: `bg`.
    pub alias: String,
    /// Its first line.
    pub about: String,
    pub functions: Vec<Function>,
}

/// A function that says in `///` what it is for; one that does not is its module's own.
pub struct Function {
    pub name: String,
    pub params: Vec<String>,
    pub doc: String,
}

impl Catalog {
    /// Everything.
    pub fn all() -> Catalog {
        let named = [("language", CORE)].into_iter().chain(verbs::GROUPS).chain([("tests", harness::verbs())]);
        let groups = named.map(|(name, verbs)| Group { name, verbs: verbs.iter().collect() }).collect();
        let asts: Vec<AST> = STDLIB.iter().map(|(_, text)| syntax::parser().compile(text).unwrap_or_default()).collect();
        let imports: Vec<Import> = asts.iter().flat_map(imports::imports_of).collect();
        let modules = STDLIB.iter().zip(&asts).map(|((name, text), ast)| module(name, text, ast, &imports)).collect();
        Catalog { groups, modules }
    }

    /// What is called so: a verb, a function, or a function with its module (`bg::boot`, `blue_green::boot`, `std/blue_green::boot`).
    pub fn named(mut self, name: &str) -> Catalog {
        self.groups.iter_mut().for_each(|group| group.verbs.retain(|verb| verb.name == name));
        self.groups.retain(|group| !group.verbs.is_empty());
        for module in &mut self.modules {
            let (path, alias) = (&module.path, &module.alias);
            module.functions.retain(|function| is_named(path, alias, &function.name, name));
        }
        self.modules.retain(|module| !module.functions.is_empty());
        self
    }

    pub fn is_empty(&self) -> bool {
        self.groups.is_empty() && self.modules.is_empty()
    }

    /// Every name that can be asked for, functions with the alias of their module.
    pub fn names(&self) -> Vec<String> {
        let verbs = self.groups.iter().flat_map(|group| group.verbs.iter().map(|verb| verb.name.to_owned()));
        let functions = self.modules.iter().flat_map(|m| m.functions.iter().map(|f| format!("{}::{}", m.alias, f.name)));
        verbs.chain(functions).collect()
    }
}

fn is_named(path: &str, alias: &str, function: &str, name: &str) -> bool {
    match name.rsplit_once("::") {
        None => function == name,
        Some((module, rest)) => rest == function && (module == alias || module == path || path.strip_prefix("std/") == Some(module)),
    }
}

fn module(name: &str, text: &str, ast: &AST, imports: &[Import]) -> Module {
    let mut found: Vec<_> = ast
        .iter_fn_def()
        .filter(|f| !f.comments.is_empty())
        .map(|f| {
            let params = f.params.iter().map(ToString::to_string).collect();
            (f.body.start_position(), Function { name: f.name.to_string(), params, doc: doc(&f.comments) })
        })
        .collect();
    found.sort_by_key(|(position, _)| *position);
    let path = format!("std/{name}");
    let about = text.lines().next().unwrap_or_default().trim_start_matches("//!").trim().to_owned();
    let import = imports.iter().find(|import| import.path.as_ref() == Some(&path));
    let alias = import.map_or_else(|| name.to_owned(), |import| import.alias.clone());
    Module { path, alias, about, functions: found.into_iter().map(|(_, function)| function).collect() }
}

/// The text of `///` lines.
fn doc<T: ToString>(comments: impl IntoIterator<Item = T>) -> String {
    let text = comments.into_iter().map(|comment| comment.to_string()).collect::<Vec<_>>().join("\n");
    text.lines().map(|line| line.trim().trim_start_matches("///").trim()).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(name: &str) -> Vec<String> {
        Catalog::all().named(name).names()
    }

    #[test]
    fn a_function_has_its_text_and_parameters_in_the_order_of_the_file() {
        let all = Catalog::all();
        let module = all.modules.iter().find(|m| m.path == "std/blue_green").expect("it is in the stdlib");
        assert_eq!((module.alias.as_str(), module.functions[0].name.as_str()), ("bg", "size"));
        let boot = module.functions.iter().find(|f| f.name == "boot").expect("it says what it is for");
        assert_eq!(boot.params, ["c", "live", "build", "n"]);
        assert!(boot.doc.starts_with("Boots `n` instances of `build` in colour `c`. Where"), "{}", boot.doc);
        assert!(boot.doc.contains("\nthe key names the new build"), "{}", boot.doc);
    }

    #[test]
    fn a_function_is_found_by_each_of_its_names() {
        for name in ["bg::boot", "blue_green::boot", "std/blue_green::boot"] {
            assert_eq!(found(name), ["bg::boot"]);
        }
        assert_eq!(found("boot"), ["bg::boot", "targets::boot"]);
        assert_eq!(found("scale"), ["scale"]);
        assert_eq!(found("green::boot"), [""; 0]);
    }

    #[test]
    fn what_another_module_calls_says_what_it_is_for() {
        let known = Catalog::all().names();
        for (name, text) in STDLIB {
            let ast = syntax::parser().compile(text).expect("it is checked elsewhere");
            for import in imports::imports_of(&ast) {
                let prefix = format!("{}::", import.alias);
                for rest in text.split(&prefix).skip(1) {
                    let called = format!("{prefix}{}", rest.split('(').next().unwrap_or_default());
                    assert!(known.contains(&called), "std/{name} calls {called}, which has no `///`");
                }
            }
        }
    }
}
