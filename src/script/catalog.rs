//! What a playbook can call, for people to read: verbs by what they are about, and the functions of the embedded stdlib.

use super::core_verbs::CORE;
use super::described::{self, Function, Library};
use super::imports::{self, Import};
use super::session::STDLIB;
use super::verb::Verb;
use super::{harness, syntax, verbs};

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

impl Catalog {
    /// Everything.
    pub fn all() -> Catalog {
        let named = [("language", CORE)].into_iter().chain(verbs::GROUPS).chain([("tests", harness::verbs())]);
        let groups = named.map(|(name, verbs)| Group { name, verbs: verbs.iter().collect() }).collect();
        let parse = |text: &str| syntax::parser().compile(text).unwrap_or_default();
        let files = STDLIB.iter().map(|(name, text)| (format!("std/{name}"), parse(text))).collect();
        let known = CORE.iter().chain(verbs::all()).map(|verb| (verb.name, verb)).collect();
        let library = Library { files, verbs: known };
        let imports: Vec<Import> = library.files.values().flat_map(imports::imports_of).collect();
        let modules = STDLIB.iter().map(|(name, text)| module(name, text, &library, &imports)).collect();
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

fn module(name: &str, text: &str, library: &Library, imports: &[Import]) -> Module {
    let path = format!("std/{name}");
    let head = described::comment(text.lines().take_while(|line| line.starts_with("//!")));
    let import = imports.iter().find(|import| import.path.as_ref() == Some(&path));
    let alias = import.map_or_else(|| name.to_owned(), |import| import.alias.clone());
    let functions = described::functions(&head, &path, library);
    Module { path, alias, about: head.text, functions }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::{Effect, Kind};

    fn found(name: &str) -> Vec<String> {
        Catalog::all().named(name).names()
    }

    #[test]
    fn a_function_has_its_text_and_parameters_in_the_order_of_the_file() {
        let all = Catalog::all();
        let module = all.modules.iter().find(|m| m.path == "std/blue_green").expect("it is in the stdlib");
        assert_eq!((module.alias.as_str(), module.functions[0].name.as_str()), ("bg", "size"));
        let boot = module.functions.iter().find(|f| f.name == "boot").expect("it says what it is for");
        assert_eq!(boot.params.iter().map(|param| param.name.as_str()).collect::<Vec<_>>(), ["c", "live", "build", "n"]);
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
    fn a_function_tells_all_or_is_private() {
        let kinds = [Kind::Text, Kind::Int, Kind::Float, Kind::Bool, Kind::Duration, Kind::Color, Kind::Record, Kind::Map, Kind::List];
        let kinds: Vec<&str> = kinds.into_iter().chain([Kind::Any]).map(Kind::word).collect();
        for module in Catalog::all().modules {
            for f in &module.functions {
                let name = format!("{}::{}", module.alias, f.name);
                for p in &f.params {
                    assert!(kinds.contains(&p.kind.as_str()) && !p.meaning.is_empty(), "{name}: what is `{}`?", p.name);
                }
                assert!(f.doc.ends_with('.') && f.since == 1, "{name} has no summary, or is of no API level: {}", f.doc);
                assert!(f.example.contains(&format!("{name}(")), "{name} has no example: {}", f.example);
            }
            let (_, text) = STDLIB.iter().find(|(name, _)| format!("std/{name}") == module.path).expect("it is of the stdlib");
            let open = text.lines().filter_map(|line| line.strip_prefix("fn ")).filter_map(|rest| rest.split('(').next());
            for name in open {
                assert!(module.functions.iter().any(|f| f.name == name), "{}::{name} has no `///` and is not private", module.alias);
            }
        }
    }

    #[test]
    fn what_a_function_does_is_what_the_verbs_do_that_it_comes_to() {
        let all = Catalog::all();
        let of = |name: &str| all.modules.iter().flat_map(|m| &m.functions).find(|f| f.name == name).expect("it is in the stdlib");
        let errors = |name: &str| of(name).errors.iter().copied().collect::<Vec<_>>();
        assert_eq!((errors("first"), of("first").effects.len()), (vec![], 0));
        assert!(errors("bring_up").contains(&"timeout"), "it waits in another module's function: {:?}", errors("bring_up"));
        assert!(of("bring_up").effects.contains(&Effect::Ask) && of("bring_up").effects.contains(&Effect::Write));
        assert!(errors("must_run").contains(&"failed"), "in a closure: {:?}", errors("must_run"));
        assert!(!of("others").effects.contains(&Effect::Write), "{:?}", of("others").effects);
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
