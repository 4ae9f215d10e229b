//! `bgx list`: the playbooks of the project with their first lines.

use super::failure::Failure;
use super::style::clean;
use crate::config::Config;
use crate::script::Header;
use std::io::Write;
use std::path::PathBuf;

const LINE_CHARS_MAX: usize = 80;

pub fn run(config: &Config) -> Result<i32, Failure> {
    let folder = config.root.join("playbooks");
    let entries = std::fs::read_dir(&folder).map_err(|e| Failure::usage(format!("could not read `{}`: {e}", folder.display())))?;
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|ext| ext == "rhai") && !path.to_string_lossy().ends_with("_test.rhai"));
    paths.sort();
    let name_of = |path: &PathBuf| path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let width = paths.iter().map(|path| name_of(path).chars().count()).max().unwrap_or(0);
    for path in paths {
        let name = name_of(&path);
        let summary = match std::fs::read_to_string(&path) {
            Ok(text) => Header::parse(&name, &text)
                .map_or_else(|_| "(its header has an error)".to_owned(), |header| first_sentence(&header.description)),
            Err(error) => format!("({error})"),
        };
        let _ = writeln!(std::io::stdout(), "{name:width$} {}", wrapped(&clean(&summary), width + 1));
    }
    Ok(0)
}

/// A sentence may go on over line ends.
pub fn first_sentence(text: &str) -> String {
    let text = text.lines().map(str::trim).collect::<Vec<_>>().join(" ");
    text.split_once(". ").map_or(text.as_str(), |(first, _)| first).trim_end_matches('.').to_owned()
}

/// Broken between words; what follows the first line stands under it, after so many columns.
fn wrapped(text: &str, indent: usize) -> String {
    let width_max = LINE_CHARS_MAX.saturating_sub(indent);
    let mut out = String::new();
    let mut column = 0;
    for word in text.split_whitespace() {
        let width = word.chars().count();
        if column > 0 && column + 1 + width > width_max {
            out.push_str(&format!("\n{:indent$}", ""));
            column = 0;
        } else if column > 0 {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += width;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_goes_on_over_a_line_end() {
        assert_eq!(first_sentence("Move traffic\nin one call. Then watch."), "Move traffic in one call");
        assert_eq!(first_sentence("Look."), "Look");
    }

    #[test]
    fn long_text_is_broken_between_words_and_indented() {
        let text = wrapped(&"word ".repeat(20), 17);
        assert_eq!(text.lines().next().map(str::len), Some(59));
        assert!(text.lines().skip(1).all(|line| line.starts_with(&format!("{:17}word", ""))));
    }
}
