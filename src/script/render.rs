//! A diagnostic as terminal text: message, source line with the place underlined, trail of calls, hint.

use super::diagnose::{Diagnostic, Level, Place, plain};
use super::sources::Sources;
use annotate_snippets::{AnnotationKind, Group, Level as Mark, Origin, Renderer, Snippet};
use std::ops::Range;

/// Wider lines are cut around the place.
const WIDTH: usize = 140;
/// Of a long trail, so many innermost and outermost calls.
const FRAMES_SHOWN: usize = 4;

/// With `coded`, the diagnostic's code stands beside its level: `error[unknown-option]`.
pub fn render(diagnostic: &Diagnostic, sources: &Sources, color: bool, coded: bool) -> String {
    let mark = match diagnostic.level {
        Level::Error => Mark::ERROR,
        Level::Warning => Mark::WARNING,
    };
    let message = plain(&diagnostic.message);
    let label = diagnostic.label.as_deref().map(plain);
    let title = mark.primary_title(message);
    let title = if coded { title.id(diagnostic.code) } else { title };
    let mut groups = vec![located(title, diagnostic.at.as_ref(), diagnostic, sources, label)];
    for (index, frame) in diagnostic.trail.iter().enumerate() {
        let left_out = diagnostic.trail.len().saturating_sub(2 * FRAMES_SHOWN);
        if left_out > 0 && index == FRAMES_SHOWN {
            groups.push(Group::with_title(Mark::NOTE.secondary_title(format!("{left_out} more calls"))));
        }
        if left_out > 0 && (FRAMES_SHOWN..FRAMES_SHOWN + left_out).contains(&index) {
            continue;
        }
        groups.push(located(Mark::NOTE.secondary_title(plain(&frame.what)), Some(&frame.at), diagnostic, sources, None));
    }
    if let Some(hint) = &diagnostic.hint {
        groups.push(Group::with_title(Mark::HELP.secondary_title(plain(hint))));
    }
    let renderer = if color { Renderer::styled() } else { Renderer::plain() };
    renderer.term_width(WIDTH).render(&groups)
}

/// A title and, where there is a place, its source line.
fn located<'a>(
    title: annotate_snippets::Title<'a>,
    at: Option<&Place>,
    diagnostic: &Diagnostic,
    sources: &Sources,
    label: Option<String>,
) -> Group<'a> {
    let group = Group::with_title(title);
    let Some(at) = at else { return group };
    // The excerpt belongs to the place of the diagnostic itself.
    let kept = diagnostic.excerpt.as_deref().filter(|_| diagnostic.at.as_ref() == Some(at));
    let Some(line) = sources.line(&at.file, at.line).or(kept) else {
        let origin = Origin::path(plain(&at.file)).line(at.line);
        return group.element(if at.column == 0 { origin } else { origin.char_column(at.column) });
    };
    let line = shown_line(line);
    let span = underline(&line, at.column);
    let annotation = AnnotationKind::Primary.span(span).label(label);
    group.element(Snippet::source(line).line_start(at.line).path(plain(&at.file)).annotation(annotation))
}

/// The line with every control character made visible, one for one, so that columns stay.
fn shown_line(line: &str) -> String {
    line.chars().map(|c| if c.is_control() && c != '\t' { '\u{fffd}' } else { c }).collect()
}

/// Bytes of the word, literal or sign that starts at a column; the whole line for column 0.
fn underline(line: &str, column: usize) -> Range<usize> {
    if column == 0 {
        let start = line.len() - line.trim_start().len();
        return start..line.trim_end().len().max(start);
    }
    let start = line.char_indices().nth(column - 1).map_or(line.len(), |(i, _)| i);
    let rest = &line[start..];
    let length = match rest.chars().next() {
        None => 0,
        Some(quote @ ('"' | '`')) => rest[1..].find(quote).map_or(rest.len(), |i| i + 2),
        Some(c) if c.is_alphanumeric() || c == '_' => rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len()),
        Some(c) => c.len_utf8(),
    };
    start..start + length
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::diagnose::Frame;
    use std::collections::BTreeMap;

    fn place(file: &str, line: usize, column: usize) -> Place {
        Place { file: file.into(), line, column }
    }

    #[test]
    fn source_lines_trail_and_hint_are_shown() {
        let texts = BTreeMap::from([
            ("deploy.rhai".into(), "import \"std/bg\" as bg;\nbg::boot(1);\n".into()),
            ("std/bg.rhai".into(), "fn boot(n) {\n    scale(n)\n}\n".into()),
        ]);
        let sources = Sources::from_texts(texts, "deploy.rhai").expect("small");
        let mut diagnostic =
            Diagnostic::error("not allowed\u{1b}[31m").at(Some(place("std/bg.rhai", 2, 5))).label("here").hint("bgx doctor");
        diagnostic.trail = vec![Frame { at: place("deploy.rhai", 2, 5), what: "in this call of `boot`".into() }];
        insta::assert_snapshot!(diagnostic.render(&sources, false), @r#"
        error: not allowed
         --> std/bg.rhai:2:5
          |
        2 |     scale(n)
          |     ^^^^^ here
          |
        note: in this call of `boot`
         --> deploy.rhai:2:5
          |
        2 | bg::boot(1);
          |     ^^^^
        help: bgx doctor
        "#);
        assert!(diagnostic.render(&sources, true).contains("\u{1b}["));
    }

    #[test]
    fn without_sources_the_excerpt_or_the_place_is_shown() {
        let diagnostic = Diagnostic::error("bad").at(Some(place("a.rhai", 7, 9)));
        insta::assert_snapshot!(diagnostic.render(&Sources::default(), false), @r#"
        error: bad
        --> a.rhai:7:9
        "#);
        insta::assert_snapshot!(diagnostic.excerpt("let x = \"ä\" + y;").render(&Sources::default(), false), @r#"
        error: bad
         --> a.rhai:7:9
          |
        7 | let x = "ä" + y;
          |         ^^^
        "#);
    }

    #[test]
    fn the_underline_fits_word_literal_or_sign() {
        assert_eq!(underline("let abc = 1;", 5), 4..7);
        assert_eq!(underline("f(\"a b\", 1)", 3), 2..7);
        assert_eq!(underline("ä + b", 3), 3..4);
        assert_eq!(underline("ab", 9), 2..2);
        assert_eq!(underline("  x = 1  ", 0), 2..7);
    }
}
