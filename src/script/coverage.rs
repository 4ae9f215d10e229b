//! Which lines of playbooks and modules hold statements, and which of them were reached.

use super::engine;
use super::session::Playbook;
use super::verbs;
use rhai::{ASTNode, Expr, Position, Stmt};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::PoisonError;

/// Lines of one file, from 1.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Covered {
    pub statements: BTreeSet<usize>,
    pub reached: BTreeSet<usize>,
}

impl Covered {
    /// Of 100; all, where there is nothing to reach.
    pub fn percent(&self) -> f64 {
        match self.statements.len() {
            0 => 100.0,
            all => 100.0 * self.reached.len() as f64 / all as f64,
        }
    }

    /// `3, 7-9`: lines that were not reached; a gap without a statement joins what is around it.
    pub fn missed(&self) -> String {
        let mut ranges: Vec<(usize, usize)> = Vec::new();
        let mut open = false;
        for line in &self.statements {
            match (self.reached.contains(line), ranges.last_mut()) {
                (true, _) => open = false,
                (false, Some(last)) if open => last.1 = *line,
                (false, Some(_) | None) => {
                    ranges.push((*line, *line));
                    open = true;
                }
            }
        }
        let shown = ranges.iter().map(|(from, to)| if from == to { from.to_string() } else { format!("{from}-{to}") });
        shown.collect::<Vec<_>>().join(", ")
    }
}

/// By file, over all that was played; a file that `skip` names does not count.
pub fn coverage(played: &[Playbook], skip: &str) -> BTreeMap<String, Covered> {
    let engine = engine::bare(verbs::all());
    let mut files: BTreeMap<String, Covered> = BTreeMap::new();
    let mut read: BTreeSet<String> = BTreeSet::new();
    for playbook in played {
        let sources = &playbook.sources;
        let places = |lines: &BTreeSet<usize>| -> Vec<(String, usize)> {
            let at = |line: &usize| sources.locate(Position::new(u16::try_from(*line).unwrap_or(u16::MAX), 1));
            lines.iter().filter_map(at).map(|place| (place.file, place.line)).collect()
        };
        if read.insert(sources.digest()) {
            for file in sources.files() {
                let mut lines = BTreeSet::new();
                if let Ok(ast) = engine.compile(file.placed()) {
                    ast.walk(&mut |path| {
                        lines.extend(path.last().and_then(statement_line));
                        true
                    });
                }
                let places = places(&lines);
                places.into_iter().for_each(|(file, line)| {
                    files.entry(file).or_default().statements.insert(line);
                });
            }
        }
        if let Some(lines) = &playbook.lines {
            let reached = places(&lines.lock().unwrap_or_else(PoisonError::into_inner));
            reached.into_iter().for_each(|(file, line)| {
                files.entry(file).or_default().reached.insert(line);
            });
        }
    }
    files.retain(|name, covered| name != skip && !covered.statements.is_empty());
    files.values_mut().for_each(|covered| covered.reached.retain(|line| covered.statements.contains(line)));
    files
}

/// Of a statement that does something when it is reached.
fn statement_line(node: &ASTNode) -> Option<usize> {
    match node {
        ASTNode::Stmt(Stmt::Noop(_) | Stmt::Share(_) | Stmt::Export(..) | Stmt::Import(..) | Stmt::Block(_)) => None,
        // A `step` is as much as what stands in it.
        ASTNode::Stmt(Stmt::Expr(expr)) if matches!(**expr, Expr::Custom(..)) => None,
        ASTNode::Stmt(statement) => statement.position().line(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covered(statements: &[usize], reached: &[usize]) -> Covered {
        Covered { statements: statements.iter().copied().collect(), reached: reached.iter().copied().collect() }
    }

    #[test]
    fn missed_lines_are_told_as_ranges() {
        assert_eq!(covered(&[1, 2, 3, 5, 7, 9], &[1, 7]).missed(), "2-5, 9");
        assert_eq!(covered(&[1, 2], &[1, 2]).missed(), "");
        assert_eq!(covered(&[1, 2, 3], &[2]).missed(), "1, 3");
    }

    #[test]
    fn a_file_without_statements_is_covered() {
        assert!((covered(&[], &[]).percent() - 100.0).abs() < 1e-9);
        assert!((covered(&[1, 2, 3, 4], &[1]).percent() - 25.0).abs() < 1e-9);
    }
}
