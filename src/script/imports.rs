//! Finds the import graph of a playbook on disk, statically.

use super::diagnose::{Diagnostic, Place, did_you_mean, nearest};
use super::sources::{FILE_BYTES_MAX, Roots, Stdlib};
use super::syntax;
use rhai::{ASTFlags, ASTNode, Engine, Expr, Position, Stmt};
use std::collections::BTreeMap;
use std::fs;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

/// More modules than this is taken for a mistake.
pub const MODULES_MAX: usize = 64;

/// The name of the playbook, and all texts by name.
pub fn graph(playbook: &Path, roots: &Roots, also: &[&str]) -> Result<(String, BTreeMap<String, String>), Box<Diagnostic>> {
    let text = read(playbook)?;
    let main = playbook_name(playbook, &roots.project);
    let found = text_graph(&main, &text, roots, also)?;
    Ok((main, found))
}

/// The same for a text that lies in no file.
pub fn text_graph(name: &str, text: &str, roots: &Roots, also: &[&str]) -> Result<BTreeMap<String, String>, Box<Diagnostic>> {
    let mut loader = Loader { roots, parser: syntax::parser(), found: BTreeMap::new(), chain: Vec::new() };
    loader.follow(name.to_owned(), text.to_owned())?;
    for path in also {
        if !loader.found.contains_key(&format!("{path}.rhai")) {
            let text = loader.module(path)?;
            loader.follow(format!("{path}.rhai"), text)?;
        }
    }
    Ok(loader.found)
}

/// The same, where modules are known already: those are not read again.
pub fn text_graph_beside(
    name: &str,
    text: &str,
    roots: &Roots,
    known: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, Box<Diagnostic>> {
    let mut loader = Loader { roots, parser: syntax::parser(), found: known.clone(), chain: Vec::new() };
    loader.follow(name.to_owned(), text.to_owned())?;
    Ok(loader.found)
}

/// A module by itself: the texts of it and of all that it imports.
pub fn module_graph(path: &str, roots: &Roots) -> Result<BTreeMap<String, String>, Box<Diagnostic>> {
    let mut loader = Loader { roots, parser: syntax::parser(), found: BTreeMap::new(), chain: Vec::new() };
    let text = loader.module(path)?;
    loader.follow(format!("{path}.rhai"), text)?;
    Ok(loader.found)
}

/// One `import`.
pub struct Import {
    /// `None` where the path is computed.
    pub path: Option<String>,
    /// Empty where there is no `as`.
    pub alias: String,
    /// Of the path; of the statement where the path is computed.
    pub position: Position,
}

/// All imports of one file, in the order of the text.
pub fn imports_of(ast: &rhai::AST) -> Vec<Import> {
    let mut found = Vec::new();
    ast.walk(&mut |path| {
        if let Some(ASTNode::Stmt(Stmt::Import(import, position))) = path.last() {
            let (path, position) = match &import.0 {
                Expr::StringConstant(text, position) => (Some(text.to_string()), *position),
                _ => (None, *position),
            };
            found.push(Import { path, alias: import.1.name.to_string(), position });
        }
        true
    });
    found
}

/// A text with functions, and without a statement that does something.
pub fn only_defines(text: &str) -> bool {
    let Ok(ast) = syntax::parser().compile(text) else { return false };
    let defines = |s: &Stmt| match s {
        Stmt::Import(..) | Stmt::Export(..) => true,
        Stmt::Var(_, flags, _) => flags.intersects(ASTFlags::CONSTANT),
        other => other.is_noop(),
    };
    ast.statements().iter().all(defines) && ast.iter_functions().next().is_some()
}

/// Project-relative where it can be, so that the name is the same on every machine.
fn playbook_name(playbook: &Path, project: &Path) -> String {
    let real = playbook.canonicalize().unwrap_or_else(|_| playbook.to_path_buf());
    let project = project.canonicalize().unwrap_or_else(|_| project.to_path_buf());
    real.strip_prefix(&project).unwrap_or(&real).to_string_lossy().into_owned()
}

struct Loader<'a> {
    roots: &'a Roots,
    parser: Engine,
    found: BTreeMap<String, String>,
    /// Names from the playbook down to the file being followed.
    chain: Vec<String>,
}

impl Loader<'_> {
    fn follow(&mut self, name: String, text: String) -> Result<(), Box<Diagnostic>> {
        if self.found.len() > MODULES_MAX {
            return Diagnostic::error(format!("the playbook imports more than {MODULES_MAX} modules")).err();
        }
        self.chain.push(name.clone());
        // A file that does not parse is reported by the check, with all others; its imports stay unknown until then.
        let imports = self.parser.compile(&text).map(|ast| imports_of(&ast)).unwrap_or_default();
        for import in imports {
            self.import(&import).map_err(|d| Box::new(pin(*d, &name, &text, import.position)))?;
        }
        self.chain.pop();
        self.found.insert(name, text);
        Ok(())
    }

    fn import(&mut self, import: &Import) -> Result<(), Box<Diagnostic>> {
        let Some(path) = &import.path else {
            return Diagnostic::error("the path of an `import` must be a literal string")
                .code("computed-import")
                .hint("a run keeps the sources of everything it imports, so they must be known before it starts")
                .err();
        };
        let name = format!("{path}.rhai");
        if let Some(at) = self.chain.iter().position(|n| *n == name) {
            let chain: Vec<&str> = self.chain[at..].iter().chain([&name]).map(|n| n.trim_end_matches(".rhai")).collect();
            return Diagnostic::error(format!("import cycle: {}", chain.join(" -> "))).code("import-cycle").err();
        }
        if self.found.contains_key(&name) {
            return Ok(());
        }
        let text = self.module(path)?;
        self.follow(name, text)
    }

    fn module(&self, path: &str) -> Result<String, Box<Diagnostic>> {
        check_path(path)?;
        match (path.strip_prefix("std/"), &self.roots.stdlib) {
            (Some(name), Stdlib::Embedded(texts)) => match texts.iter().find(|(n, _)| *n == name) {
                Some((_, text)) => Ok(text.to_string()),
                None => unknown(path, texts.iter().map(|(n, _)| format!("std/{n}")).collect()).err(),
            },
            (Some(name), Stdlib::Folder(folder)) => read_under(folder, name, path),
            (None, _) => read_under(&self.roots.project, path, path),
        }
    }
}

/// The place of an error that has none yet.
fn pin(mut diagnostic: Diagnostic, file: &str, text: &str, position: Position) -> Diagnostic {
    if diagnostic.at.is_none()
        && let Some(line) = position.line()
    {
        diagnostic.at = Some(Place { file: file.to_string(), line, column: position.position().unwrap_or(0) });
        diagnostic.excerpt = text.lines().nth(line - 1).map(str::to_string);
    }
    diagnostic
}

/// Names separated by `/`, nothing that could lead out of a root.
fn check_path(path: &str) -> Result<(), Box<Diagnostic>> {
    let bad = |why: &str| {
        Diagnostic::error(format!("`{path}` is no module path: {why}"))
            .code("unknown-module")
            .hint("write names separated by `/`, such as \"std/blue_green\" or \"team/checks\"")
            .err()
    };
    if path.starts_with('/') || path.contains('\\') || path.contains(':') {
        return bad("it must be relative and use `/`");
    }
    if path.ends_with(".rhai") {
        return bad("leave out `.rhai`");
    }
    for segment in path.split('/') {
        match segment {
            "" => return bad("a name in it is empty"),
            "." | ".." => return bad("`.` and `..` are not allowed"),
            name if !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-') => {
                return bad(&format!("`{name}` has characters other than letters, digits, `_` and `-`"));
            }
            _ => {}
        }
    }
    Ok(())
}

fn unknown(path: &str, known: Vec<String>) -> Diagnostic {
    let suggestion = nearest(path, known.iter().map(String::as_str)).map(|n| format!("did you mean \"{n}\"?"));
    Diagnostic::error(format!("there is no module \"{path}\"")).code("unknown-module").maybe_hint(suggestion)
}

/// Reads `root/relative.rhai`, which must lie inside `root` after symlinks are followed.
fn read_under(root: &Path, relative: &str, path: &str) -> Result<String, Box<Diagnostic>> {
    let file = root.join(format!("{relative}.rhai"));
    let real = match file.canonicalize() {
        Ok(real) => real,
        Err(error) if error.kind() == ErrorKind::NotFound => return unknown(path, siblings(&file, path)).err(),
        Err(error) => return Diagnostic::error(format!("cannot read module \"{path}\" ({}): {error}", file.display())).err(),
    };
    let root = root.canonicalize().map_err(|e| Diagnostic::error(format!("cannot read {}: {e}", root.display())))?;
    if !real.starts_with(&root) {
        return Diagnostic::error(format!("module \"{path}\" leads out of {}: it is {}", root.display(), real.display())).err();
    }
    read(&real)
}

/// Import paths of the modules beside the one that is missing.
fn siblings(file: &Path, path: &str) -> Vec<String> {
    let folder = path.rsplit_once('/').map(|(f, _)| format!("{f}/")).unwrap_or_default();
    let entries = file.parent().and_then(|p| fs::read_dir(p).ok());
    let mut names: Vec<String> = entries
        .into_iter()
        .flatten()
        .filter_map(|e| PathBuf::from(e.ok()?.file_name()).into_os_string().into_string().ok())
        .filter(|name| !name.ends_with("_test.rhai"))
        .filter_map(|name| name.strip_suffix(".rhai").map(|n| format!("{folder}{n}")))
        .collect();
    names.sort();
    names
}

/// The text of one file; each way it can be unusable has its own message.
fn read(path: &Path) -> Result<String, Box<Diagnostic>> {
    let shown = path.display();
    let meta = fs::metadata(path).map_err(|e| match e.kind() {
        ErrorKind::NotFound => {
            let name = path.file_stem().unwrap_or_default().to_string_lossy();
            let beside = siblings(path, "");
            Diagnostic::error(format!("there is no file {shown}")).maybe_hint(did_you_mean(&name, beside.iter().map(String::as_str)))
        }
        _ => Diagnostic::error(format!("cannot read {shown}: {e}")),
    })?;
    if meta.is_dir() {
        return Diagnostic::error(format!("{shown} is a folder, not a playbook")).err();
    }
    let mut bytes = Vec::new();
    // Limited while reading: a pipe or a growing file has no size to ask for.
    let limit = FILE_BYTES_MAX as u64 + 1;
    fs::File::open(path)
        .and_then(|f| f.take(limit).read_to_end(&mut bytes))
        .map_err(|e| Diagnostic::error(format!("cannot read {shown}: {e}")))?;
    if bytes.len() > FILE_BYTES_MAX {
        return Diagnostic::error(format!("{shown} is larger than {} KiB", FILE_BYTES_MAX >> 10)).err();
    }
    if let Some(at) = bytes.iter().position(|b| *b == 0) {
        return Diagnostic::error(format!("{shown} is not text: a NUL byte at byte {at}")).err();
    }
    String::from_utf8(bytes)
        .or_else(|e| Diagnostic::error(format!("{shown} is not UTF-8: a wrong byte at byte {}", e.utf8_error().valid_up_to())).err())
}

#[cfg(test)]
#[path = "imports_tests.rs"]
mod tests;
