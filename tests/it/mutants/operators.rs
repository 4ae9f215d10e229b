//! Makes mutants of playbooks by small changes of their text: a statement left out, swapped or ignored, a condition turned round, a
//! number or wait made weaker, the other colour taken.

/// One change of one file.
#[derive(Clone, Debug)]
pub struct Mutant {
    pub file: String,
    pub operator: &'static str,
    /// The code that is changed, on one line.
    pub code: String,
    pub line: usize,
    /// The whole file after the change.
    pub text: String,
}

/// A statement: where it begins and ends, and whether it is a block that other statements stand in.
#[derive(Clone, Copy, Debug)]
struct Statement {
    start: usize,
    end: usize,
    block: bool,
}

/// Options that loosen what they stand in.
const WEAKER: [(&str, &str); 15] = [
    ("share: 0", "share: 50"),
    ("min: env().min", "min: 0"),
    ("desired: n,", "desired: n - 1,"),
    (", min: n ", " "),
    ("count: n,", "count: n - 1,"),
    ("count: wanted,", "count: 1,"),
    ("timeout: env().timeout.boot", "timeout: \"1s\""),
    ("timeout: env().timeout.healthy", "timeout: \"1s\""),
    ("timeout: options.timeout", "timeout: \"1s\""),
    ("timeout: \"15m\"", "timeout: \"1s\""),
    (", #{ freeze: true }", ""),
    ("0..3", "0..0"),
    ("watch(bake,", "watch(\"1s\","),
    ("min: 0, desired: 0", "min: 0"),
    ("if there > 0", "if there > 99"),
];

/// Comparisons and what they are taken for.
const OTHERWISE: [(&str, &str); 8] = [
    (" > ", " >= "),
    (" < ", " <= "),
    (" >= ", " > "),
    (" == ", " != "),
    (" != ", " == "),
    (" && ", " || "),
    ("!others", "others"),
    ("!silent", "silent"),
];

/// One thing taken for another.
const INSTEAD: [(&str, &str); 13] = [
    ("c.idle", "c.live"),
    ("c.live", "c.idle"),
    ("(back", "(c.live"),
    ("back.version", "c.live.version"),
    ("live.version", "build"),
    ("(c, #{", "(live, #{"),
    ("color: c ", "color: live "),
    ("protect_asg(live", "protect_asg(c"),
    ("thaw(live", "thaw(c"),
    ("(c, build)", "(live, build)"),
    ("(to, ", "(live, "),
    ("(to)", "(c.live)"),
    ("to.version", "c.live.version"),
];

/// Words of steps that keep users safe: to leave one out counts even where a run without a fault looks the same.
const SAFETY: [&str; 20] = [
    "accept_less",
    "boot",
    "choose(",
    "confirm(",
    "decline(",
    "empty(",
    "fail(",
    "freeze",
    "hold",
    "keep_warm",
    "match_capacity",
    "must_run",
    "preflight",
    "protect_asg",
    "resume_launches",
    "set_weights",
    "settle",
    "thaw",
    "throw",
    "wait",
];

impl Mutant {
    pub fn id(&self) -> String {
        let code: String = self.code.chars().take(90).collect();
        let file = self.file.rsplit('/').next().unwrap_or_default();
        format!("{file}:{} {} `{code}`", self.line, self.operator)
    }

    /// The change takes away or weakens what keeps users safe. Another order of two steps, or another colour, has to show in what the run does.
    pub fn drops_safety(&self) -> bool {
        match self.operator {
            "swaps" | "takes the other in" => false,
            "ignores errors of" => !["say(", "run_hooks("].iter().any(|word| self.code.starts_with(word)),
            _ => SAFETY.iter().any(|word| self.code.contains(word)) || self.code.contains("watch("),
        }
    }
}

/// Every mutant of a file.
pub fn mutants(file: &str, text: &str) -> Vec<Mutant> {
    let statements = statements(text);
    let mut all = Vec::new();
    let make = |operator: &'static str, start: usize, end: usize, instead: &str| {
        let code = text[start..end].split_whitespace().collect::<Vec<_>>().join(" ");
        let line = text[..start].matches('\n').count() + 1;
        Mutant { file: file.to_owned(), operator, code, line, text: format!("{}{instead}{}", &text[..start], &text[end..]) }
    };
    for (index, statement) in statements.iter().enumerate() {
        let Statement { start, end, block } = *statement;
        let code = &text[start..end];
        if !is_act(code) {
            continue;
        }
        all.push(make("leaves out", start, end, ""));
        if !block {
            all.push(make("ignores errors of", start, end, &format!("try {{ {code} }} catch (ignored) {{ }}")));
        }
        if let Some(next) = statements[index + 1..].iter().find(|next| next.start >= end)
            && is_act(&text[next.start..next.end])
            && text[end..next.start].trim().is_empty()
        {
            let swapped = format!("{}{}{code}", &text[next.start..next.end], &text[end..next.start]);
            all.push(make("swaps", start, next.end, &swapped));
        }
    }
    for (start, end) in conditions(text) {
        all.push(make("turns round", start, end, &format!("!({})", &text[start..end])));
    }
    for (operator, table) in [("weakens", &WEAKER[..]), ("compares otherwise in", &OTHERWISE), ("takes the other in", &INSTEAD)] {
        for (from, to) in table {
            for (at, _) in text.match_indices(from).filter(|(at, _)| is_code(text, *at)) {
                let line = line_around(text, at);
                let mut mutant = make(operator, at, at + from.len(), to);
                mutant.code = text[line.0..line.1].trim().to_owned();
                if !["import", "let c = ", "let warm"].iter().any(|start| mutant.code.starts_with(start)) {
                    all.push(mutant);
                }
            }
        }
    }
    all
}

/// Does something: no declaration, and not the end of a function's value.
fn is_act(code: &str) -> bool {
    let declares = ["let ", "import ", "fn ", "const ", "loop", "for ", "try ", "return"].iter().any(|word| code.starts_with(word));
    !declares && (code.ends_with(';') || code.ends_with('}')) && code.contains('(')
}

/// Not in a comment, and not in a text for people.
fn is_code(text: &str, at: usize) -> bool {
    let begin = text[..at].rfind('\n').map_or(0, |end| end + 1);
    !text[begin..at].contains("//") && text[begin..at].matches('`').count().is_multiple_of(2)
}

fn line_around(text: &str, at: usize) -> (usize, usize) {
    let begin = text[..at].rfind('\n').map_or(0, |end| end + 1);
    (begin, text[at..].find('\n').map_or(text.len(), |end| at + end))
}

/// What stands between `if` and its brace.
fn conditions(text: &str) -> Vec<(usize, usize)> {
    let ifs = text.match_indices("if ").filter(|(at, _)| is_code(text, *at) && !text[..*at].ends_with(char::is_alphabetic));
    ifs.filter_map(|(at, word)| Some((at + word.len(), at + word.len() + text[at + word.len()..].find(" {")?))).collect()
}

fn statements(text: &str) -> Vec<Statement> {
    let mut found: Vec<Statement> = Vec::new();
    let (mut at, mut covered) = (0, 0);
    for line in text.split_inclusive('\n') {
        let start = at + (line.len() - line.trim_start().len());
        at += line.len();
        let code = line.trim();
        if start < covered || code.is_empty() || code.starts_with("//") || code.starts_with(['}', ')', ']', '[', '"']) {
            continue;
        }
        let opens = ["step ", "fn ", "loop ", "for ", "try ", "if "].iter().any(|word| code.starts_with(word));
        let Some(end) = end_of(text, start, opens) else { continue };
        let block = opens && text[start..end].contains('\n');
        found.push(Statement { start, end, block: opens });
        if !block {
            covered = end;
        }
    }
    found
}

/// The end of the statement that begins here: its semicolon, or the brace that closes its block.
fn end_of(text: &str, start: usize, opens: bool) -> Option<usize> {
    let (mut depth, mut quoted, mut comment) = (0_i32, None, false);
    for (offset, character) in text[start..].char_indices() {
        match (character, quoted, comment) {
            ('\n', _, true) => comment = false,
            (_, _, true) => {}
            (c, Some(quote), _) if c == quote => quoted = None,
            (_, Some(_), _) => {}
            ('"' | '`', None, _) => quoted = Some(character),
            ('/', None, _) if text[start + offset..].starts_with("//") => comment = true,
            ('(' | '[' | '{', None, _) => depth += 1,
            (')' | ']' | '}', None, _) => {
                depth -= 1;
                let ends = opens && character == '}' && depth == 0;
                let goes_on = || ["else", "catch"].iter().any(|word| text[start + offset + 1..].trim_start().starts_with(word));
                if depth < 0 {
                    return None;
                }
                if ends && !goes_on() {
                    return Some(start + offset + 1);
                }
            }
            (';', None, _) if depth == 0 => return Some(start + offset + 1),
            _ => {}
        }
    }
    None
}
