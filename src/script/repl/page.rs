//! The text of what was typed: each line on lines of its own, so that every error has one place, and what is saved is what ran.

use super::scan::{self, Kind};
use crate::script::syntax;
use rhai::{AST, Stmt};
use std::collections::BTreeSet;

/// The name under which the text is known: in messages, and as the playbook of the run.
pub const NAME: &str = "repl";

/// Nobody is there who could say what a dead prompt was about to do.
const HEAD: &str = "//! bgx: 1\n//! Typed at a prompt.\n//! recover: page\n";

/// One line as it ran.
#[derive(Clone, Debug)]
struct Part {
    line: u64,
    /// With its end.
    text: String,
    /// Neither failed nor replaced.
    kept: bool,
    functions: Vec<(String, usize)>,
    /// It binds a name that later lines may use.
    binds: bool,
    /// Steps at which it changed something.
    acts: BTreeSet<u64>,
}

#[derive(Clone, Debug, Default)]
pub struct Page {
    parts: Vec<Part>,
}

/// A text to save, and what is to be known about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Saved {
    pub text: String,
    pub warnings: Vec<String>,
}

impl Page {
    /// The line of the text at which the next line begins.
    pub fn next(&self) -> usize {
        self.text().matches('\n').count() + 1
    }

    /// Everything that holds; what does not is blank.
    pub fn text(&self) -> String {
        let parts = self.parts.iter().map(|part| match part.kept {
            true => format!("{}\n", part.text),
            false => "\n".repeat(part.text.matches('\n').count() + 1),
        });
        std::iter::once(HEAD.to_owned()).chain(parts).collect()
    }

    /// Makes room for a function that is defined anew: lines that define nothing else give way.
    pub fn give_way(&mut self, defined: &[(String, usize)]) {
        for part in &mut self.parts {
            part.kept &= part.functions.is_empty() || part.binds || !part.acts.is_empty() || !only_in(&part.functions, defined);
        }
    }

    /// A line that ran.
    pub fn add(&mut self, line: u64, text: &str, ast: &AST, kept: bool, acts: BTreeSet<u64>) {
        let binds = ast.statements().iter().any(|s| matches!(s, Stmt::Var(..) | Stmt::Import(..)));
        self.parts.push(Part { line, text: ended(text), kept, functions: functions(ast), binds, acts });
    }

    /// How many lines ran.
    pub fn len(&self) -> usize {
        self.parts.len()
    }

    /// What was typed from a line on and holds, without what was taken back. `standing`: the steps that were not.
    pub fn since(&self, from: usize, standing: &BTreeSet<u64>) -> Saved {
        let (mut text, mut warnings) = (String::new(), Vec::new());
        for part in &self.parts[from.min(self.parts.len())..] {
            let stand = part.acts.intersection(standing).count();
            let taken_back = !part.acts.is_empty() && stand == 0;
            match part.kept {
                false if stand > 0 => warnings.push(format!("line {} failed after it had changed something; it is left out", part.line)),
                false => {}
                true if taken_back && !part.binds && part.functions.is_empty() => {}
                true => {
                    if stand < part.acts.len() {
                        warnings.push(format!("line {} is in it as a whole, though something of it was taken back", part.line));
                    }
                    text.push_str(&format!("{}\n", part.text));
                }
            }
        }
        Saved { text, warnings }
    }

    /// A playbook of what holds.
    pub fn saved(&self, about: &str, standing: &BTreeSet<u64>) -> Saved {
        let body = self.since(0, standing);
        let text = format!("//! bgx: 1\n//! {about}\n//! recover: undo\n{}", body.text);
        Saved { text, warnings: body.warnings }
    }
}

fn only_in(functions: &[(String, usize)], of: &[(String, usize)]) -> bool {
    functions.iter().all(|function| of.contains(function))
}

/// Name and number of parameters of what a text defines.
pub fn functions(ast: &AST) -> Vec<(String, usize)> {
    let all = ast.iter_functions().filter(|f| !f.name.starts_with("anon$"));
    all.map(|f| (f.name.to_owned(), f.params.len())).collect()
}

/// With the `;` that it needs where something follows it.
fn ended(text: &str) -> String {
    let text = text.trim_end();
    let Some(last) = scan::pieces(text).into_iter().rfind(|piece| piece.counts()) else { return text.to_owned() };
    let block = last.of(text) == "}" && syntax::parser().compile(format!("{text}\n0;")).is_ok();
    if block || (last.kind == Kind::Sign && last.of(text) == ";") {
        return text.to_owned();
    }
    format!("{};{}", &text[..last.end], &text[last.end..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(lines: &[(&str, bool, &[u64])]) -> Page {
        let mut page = Page::default();
        for (number, (text, kept, acts)) in lines.iter().enumerate() {
            let ast = syntax::parser().compile(text).expect("it parses");
            page.give_way(&functions(&ast));
            page.add(number as u64 + 1, text, &ast, *kept, acts.iter().copied().collect());
        }
        page
    }

    #[test]
    fn a_line_gets_the_end_that_it_needs() {
        assert_eq!(ended("let c = colors() // who"), "let c = colors(); // who");
        assert_eq!(ended("let m = #{ a: 1 }"), "let m = #{ a: 1 };");
        assert_eq!(ended("if true { say(\"x\"); }  "), "if true { say(\"x\"); }");
        assert_eq!(ended("scale(c);"), "scale(c);");
        assert_eq!(ended("// nothing"), "// nothing");
    }

    #[test]
    fn what_failed_is_blank_so_that_places_stay() {
        let page = page(&[("let a = 1", true, &[]), ("fail(\n\"no\")", false, &[]), ("a", true, &[])]);
        assert_eq!(page.text().lines().skip(3).collect::<Vec<_>>(), ["let a = 1;", "", "", "a;"]);
        assert_eq!(page.next(), 8);
    }

    #[test]
    fn a_function_defined_anew_replaces_the_line_that_had_it() {
        let page = page(&[("fn f(x) { x }", true, &[]), ("let y = 1", true, &[]), ("fn f(x) { x + 1 }", true, &[])]);
        assert_eq!(page.saved("x", &BTreeSet::new()).text, "//! bgx: 1\n//! x\n//! recover: undo\nlet y = 1;\nfn f(x) { x + 1 }\n");
    }

    #[test]
    fn what_was_taken_back_is_not_saved() {
        let page =
            page(&[("scale(a)", true, &[1]), ("let b = scale(c)", true, &[2, 3]), ("scale(d)", true, &[4]), ("scale(e)", false, &[5])]);
        let saved = page.since(0, &[3, 4, 5].into());
        assert_eq!(saved.text, "let b = scale(c);\nscale(d);\n");
        assert_eq!(saved.warnings.len(), 2, "{:?}", saved.warnings);
        assert!(saved.warnings[0].starts_with("line 2 is in it as a whole") && saved.warnings[1].starts_with("line 4 failed after"));
    }
}
