//! The texts a playbook consists of: itself and every module it imports, found before anything runs.

use super::diagnose::{Diagnostic, Place};
use super::imports;
use md5::{Digest, Md5};
use rhai::{AST, Engine, ParseError, Position};
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

/// A playbook or module larger than this is refused.
pub const FILE_BYTES_MAX: usize = 1 << 20;
/// Rhai counts lines in 16 bits, and all files share one line space.
pub const LINES_MAX: usize = 65_000;

/// Where `std/…` comes from.
#[derive(Clone, Debug)]
pub enum Stdlib {
    /// Name after `std/`, and text.
    Embedded(&'static [(&'static str, &'static str)]),
    Folder(PathBuf),
}

/// Where modules are looked for.
#[derive(Clone, Debug)]
pub struct Roots {
    pub stdlib: Stdlib,
    /// The folder of `bgx.toml`; `import "team/x"` is `team/x.rhai` in it.
    pub project: PathBuf,
}

/// One source file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// The path of the playbook, or the import path of a module and `.rhai`.
    pub name: String,
    pub text: String,
    /// How many lines of the line space come before it.
    base: usize,
    parsed: Parsed,
}

/// What Rhai made of a text, once somebody has asked: many playings of one process share it. It says no more than the text does.
#[derive(Clone, Default)]
struct Parsed(OnceLock<Arc<AST>>);

impl PartialEq for Parsed {
    fn eq(&self, _: &Parsed) -> bool {
        true
    }
}

impl Eq for Parsed {}

impl fmt::Debug for Parsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Parsed")
    }
}

/// All sources of a run, in one line space: a position alone says which file it is in.
///
/// Rhai reports the wrong file for some closures; it never gets a line wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sources {
    /// The playbook first, then the modules by name.
    files: Vec<File>,
}

impl Sources {
    /// Reads a playbook and its import graph.
    pub fn load(playbook: &Path, roots: &Roots) -> Result<Sources, Box<Diagnostic>> {
        Sources::load_with(playbook, roots, &[])
    }

    /// As `load`, with modules that are called by name from `bgx.toml` (hooks) and imported nowhere.
    pub fn load_with(playbook: &Path, roots: &Roots, also: &[&str]) -> Result<Sources, Box<Diagnostic>> {
        let (main, texts) = imports::graph(playbook, roots, also)?;
        Sources::from_texts(texts, &main)
    }

    /// A playbook that is given as text, with what it imports.
    pub fn load_text(name: &str, text: &str, roots: &Roots, also: &[&str]) -> Result<Sources, Box<Diagnostic>> {
        Sources::from_texts(imports::text_graph(name, text, roots, also)?, name)
    }

    /// A module by its import path, with all that it imports, below a playbook without a line.
    pub fn load_module(path: &str, roots: &Roots) -> Result<Sources, Box<Diagnostic>> {
        let mut texts = imports::module_graph(path, roots)?;
        texts.insert(String::new(), String::new());
        Sources::from_texts(texts, "")
    }

    /// The sources a journal holds; nothing is read from disk.
    pub fn from_texts(mut texts: BTreeMap<String, String>, main: &str) -> Result<Sources, Box<Diagnostic>> {
        let Some(playbook) = texts.remove(main) else {
            return Diagnostic::error(format!("the sources hold no playbook `{main}`")).err();
        };
        let mut files = Vec::with_capacity(texts.len() + 1);
        let mut base = 0;
        for (name, text) in std::iter::once((main.to_string(), playbook)).chain(texts) {
            let lines = text.split('\n').count();
            files.push(File { name, text, base, parsed: Parsed::default() });
            base += lines;
        }
        if base > LINES_MAX {
            return Diagnostic::error(format!("the playbook and its modules have {base} lines together, the limit is {LINES_MAX}")).err();
        }
        Ok(Sources { files })
    }

    /// The playbook itself.
    pub fn main(&self) -> Option<&File> {
        self.files.first()
    }

    pub fn files(&self) -> &[File] {
        &self.files
    }

    /// The file that `import "path"` means.
    pub fn module(&self, path: &str) -> Option<&File> {
        let name = format!("{path}.rhai");
        self.files.iter().skip(1).find(|f| f.name == name)
    }

    /// The same with other names, for people: what starts with `from` starts with `to`.
    pub fn renamed(mut self, from: &str, to: &str) -> Sources {
        for file in &mut self.files {
            if let Some(rest) = file.name.strip_prefix(from) {
                file.name = format!("{to}{rest}");
                file.parsed = Parsed::default();
            }
        }
        self
    }

    /// Name to text, as a journal keeps them.
    pub fn texts(&self) -> BTreeMap<String, String> {
        self.files.iter().map(|f| (f.name.clone(), f.text.clone())).collect()
    }

    /// File, line and column of a position in the line space.
    pub fn locate(&self, position: Position) -> Option<Place> {
        let line = position.line()?;
        let file = self.files.iter().rev().find(|f| f.base < line)?;
        Some(Place { file: file.name.clone(), line: line - file.base, column: position.position().unwrap_or(0) })
    }

    /// The text of one line, from 1.
    pub fn line(&self, file: &str, line: usize) -> Option<&str> {
        let file = self.files.iter().find(|f| f.name == file)?;
        file.text.lines().nth(line.checked_sub(1)?)
    }

    /// One short word for these very texts, for people to compare.
    pub fn digest(&self) -> String {
        let mut md5 = Md5::new();
        for file in &self.files {
            for part in [&file.name, &file.text] {
                md5.update((part.len() as u64).to_le_bytes());
                md5.update(part.as_bytes());
            }
        }
        md5.finalize().iter().map(|b| format!("{b:02x}")).collect()
    }
}

impl File {
    /// The text as it is compiled: moved to its lines of the line space.
    pub fn placed(&self) -> String {
        let mut out = "\n".repeat(self.base);
        out.push_str(&self.text);
        out
    }

    /// The statements, parsed by an engine for playbooks; all of these parse alike.
    pub(super) fn ast(&self, engine: &Engine) -> Result<Arc<AST>, ParseError> {
        if let Some(ast) = self.parsed.0.get() {
            return Ok(ast.clone());
        }
        let mut ast = engine.compile(self.placed())?;
        ast.set_source(self.name.as_str());
        Ok(self.parsed.0.get_or_init(|| Arc::new(ast)).clone())
    }

    /// The import path of a module.
    pub fn module_path(&self) -> &str {
        self.name.strip_suffix(".rhai").unwrap_or(&self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two() -> Sources {
        let texts = BTreeMap::from([("a.rhai".into(), "one\ntwo\n".into()), ("std/b.rhai".into(), "three\nfour".into())]);
        Sources::from_texts(texts, "a.rhai").expect("small")
    }

    #[test]
    fn a_position_alone_names_file_line_and_column() {
        let sources = two();
        let at = |line, column| sources.locate(Position::new(line, column)).map(|p| p.to_string());
        assert_eq!(at(1, 1).as_deref(), Some("a.rhai:1:1"));
        assert_eq!(at(3, 1).as_deref(), Some("a.rhai:3:1"), "the line after the last line break is a line");
        assert_eq!(at(4, 2).as_deref(), Some("std/b.rhai:1:2"));
        assert_eq!(at(5, 4).as_deref(), Some("std/b.rhai:2:4"));
        assert_eq!(sources.locate(Position::NONE), None);
        assert_eq!(Sources::default().locate(Position::new(1, 1)), None);
    }

    #[test]
    fn placed_text_starts_on_its_base() {
        let sources = two();
        assert_eq!(sources.files()[1].placed(), "\n\n\nthree\nfour");
        assert_eq!(sources.line("std/b.rhai", 2), Some("four"));
        assert_eq!(sources.line("std/b.rhai", 0), None);
    }

    #[test]
    fn too_many_lines_are_refused() {
        let texts = BTreeMap::from([("a.rhai".into(), "\n".repeat(LINES_MAX / 2)), ("b.rhai".into(), "\n".repeat(LINES_MAX / 2))]);
        let error = Sources::from_texts(texts, "a.rhai").expect_err("too long");
        assert!(error.message.contains("65002 lines"), "{error}");
    }

    #[test]
    fn the_digest_changes_with_every_text_and_name() {
        let base = two();
        let texts = |a: &str, b: &str, name: &str| {
            Sources::from_texts(BTreeMap::from([("a.rhai".into(), a.into()), (name.into(), b.into())]), "a.rhai").expect("small").digest()
        };
        assert_eq!(base.digest(), texts("one\ntwo\n", "three\nfour", "std/b.rhai"));
        assert_ne!(base.digest(), texts("one\ntwo", "\nthree\nfour", "std/b.rhai"));
        assert_ne!(base.digest(), texts("one\ntwo\n", "three\nfour", "std/c.rhai"));
        assert_eq!(base.digest().len(), 32);
    }

    #[test]
    fn a_journal_round_trip_keeps_places() {
        let base = two();
        assert_eq!(Sources::from_texts(base.texts(), "a.rhai").expect("same"), base);
        assert!(Sources::from_texts(base.texts(), "z.rhai").is_err());
    }
}
