//! Two values side by side, for people: per key of maps, per line of texts and lists.

use crate::script::record::{Record, same, show};
use rhai::Dynamic;
use std::collections::BTreeMap;

/// Longer lists are not compared line by line.
const LINES_MAX: usize = 400;

/// What differs: `-` is the first value, `+` the second.
pub fn differences(a: &Dynamic, b: &Dynamic) -> String {
    let mut lines = Vec::new();
    compare("", a, b, &mut lines);
    lines.join("\n")
}

fn compare(path: &str, a: &Dynamic, b: &Dynamic, lines: &mut Vec<String>) {
    if same(a, b) {
        return;
    }
    if let (Some(a), Some(b)) = (fields(a), fields(b)) {
        let keys: Vec<&String> = a.keys().chain(b.keys().filter(|key| !a.contains_key(*key))).collect();
        for key in keys {
            let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            match (a.get(key), b.get(key)) {
                (Some(a), Some(b)) => compare(&path, a, b, lines),
                (Some(a), None) => lines.push(format!("- {path}: {}", show(a))),
                (None, Some(b)) => lines.push(format!("+ {path}: {}", show(b))),
                (None, None) => {}
            }
        }
        return;
    }
    let label = if path.is_empty() { String::new() } else { format!("{path}: ") };
    match (items(a), items(b)) {
        (Some(a), Some(b)) if a.len().max(b.len()) <= LINES_MAX => {
            if !path.is_empty() {
                lines.push(format!("  {path}:"));
            }
            lines.extend(by_line(&a, &b));
        }
        _ => lines.extend([format!("- {label}{}", show(a)), format!("+ {label}{}", show(b))]),
    }
}

fn fields(value: &Dynamic) -> Option<BTreeMap<String, Dynamic>> {
    if let Some(record) = value.read_lock::<Record>() {
        return Some(record.fields.iter().map(|(key, value)| (key.to_string(), value.clone())).collect());
    }
    let map = value.as_map_ref().ok()?;
    Some(map.iter().map(|(key, value)| (key.to_string(), value.clone())).collect())
}

/// The items of a list, or the lines of a text that has several.
fn items(value: &Dynamic) -> Option<Vec<String>> {
    if let Ok(list) = value.as_array_ref() {
        return Some(list.iter().map(show).collect());
    }
    let text = value.as_immutable_string_ref().ok()?;
    text.contains('\n').then(|| text.lines().map(str::to_owned).collect())
}

/// The longest common sequence stays; the rest is taken out of `a` or put in from `b`.
fn by_line(a: &[String], b: &[String]) -> Vec<String> {
    let mut common = vec![vec![0_usize; b.len() + 1]; a.len() + 1];
    for i in (0..a.len()).rev() {
        for j in (0..b.len()).rev() {
            common[i][j] = if a[i] == b[j] { common[i + 1][j + 1] + 1 } else { common[i + 1][j].max(common[i][j + 1]) };
        }
    }
    let (mut i, mut j, mut lines) = (0, 0, Vec::new());
    while i < a.len() || j < b.len() {
        if i < a.len() && j < b.len() && a[i] == b[j] {
            lines.push(format!("  {}", a[i]));
            (i, j) = (i + 1, j + 1);
        } else if j == b.len() || (i < a.len() && common[i + 1][j] >= common[i][j + 1]) {
            lines.push(format!("- {}", a[i]));
            i += 1;
        } else {
            lines.push(format!("+ {}", b[j]));
            j += 1;
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use rhai::{Array, Map};

    fn texts(words: &[&str]) -> Dynamic {
        Dynamic::from(words.iter().map(|word| Dynamic::from(word.to_string())).collect::<Array>())
    }

    fn map(entries: &[(&str, Dynamic)]) -> Dynamic {
        Dynamic::from(entries.iter().map(|(key, value)| ((*key).into(), value.clone())).collect::<Map>())
    }

    #[test]
    fn plain_values_stand_one_above_the_other() {
        assert_eq!(differences(&Dynamic::from(1_i64), &Dynamic::from(2_i64)), "- 1\n+ 2");
        assert_eq!(differences(&Dynamic::from(1_i64), &Dynamic::from(1_i64)), "");
    }

    #[test]
    fn lists_show_what_is_missing_and_what_is_new() {
        assert_eq!(differences(&texts(&["a", "b", "c"]), &texts(&["a", "x", "c"])), "  \"a\"\n- \"b\"\n+ \"x\"\n  \"c\"");
    }

    #[test]
    fn maps_show_only_the_keys_that_differ_with_their_path() {
        let a = map(&[("same", 1_i64.into()), ("in", map(&[("n", 2_i64.into()), ("old", 1_i64.into())]))]);
        let b = map(&[("same", 1_i64.into()), ("in", map(&[("n", 3_i64.into()), ("new", 1_i64.into())]))]);
        assert_eq!(differences(&a, &b), "- in.n: 2\n+ in.n: 3\n- in.old: 1\n+ in.new: 1");
    }

    #[test]
    fn texts_of_several_lines_are_compared_by_line() {
        assert_eq!(differences(&"a\nb".into(), &"a\nc".into()), "  a\n- b\n+ c");
    }
}
