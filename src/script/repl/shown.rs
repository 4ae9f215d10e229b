//! A value as people read it: lists of equal maps as a table, small values in one line, others as a tree.

use crate::run::table::Table;
use crate::script::record::{Record, show};
use rhai::Dynamic;

/// A value that fits into so many characters stands in one line.
const LINE: usize = 100;

/// `None`: there is nothing to show.
pub fn shown(value: &Dynamic) -> Option<String> {
    if value.is_unit() {
        return None;
    }
    if let Ok(text) = value.as_immutable_string_ref() {
        return Some(text.to_string());
    }
    Some(table(value).unwrap_or_else(|| block(value, 0)))
}

fn block(value: &Dynamic, depth: usize) -> String {
    let line = show(value);
    if line.chars().count() + 2 * depth <= LINE {
        return line;
    }
    let indent = "  ".repeat(depth);
    let below = |head: String, value: &Dynamic| {
        let text = block(value, depth + 1);
        let gap = if text.contains('\n') { "\n".to_owned() } else { " ".to_owned() };
        format!("{indent}{head}{gap}{text}")
    };
    if let Some(fields) = fields(value) {
        return fields.iter().map(|(name, value)| below(format!("{name}:"), value)).collect::<Vec<_>>().join("\n");
    }
    match value.as_array_ref() {
        Ok(items) => items.iter().map(|item| below("-".to_owned(), item)).collect::<Vec<_>>().join("\n"),
        Err(_) => line,
    }
}

/// Of a record or map.
pub fn fields(value: &Dynamic) -> Option<Vec<(String, Dynamic)>> {
    if let Some(record) = value.read_lock::<Record>() {
        return Some(record.fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect());
    }
    let map = value.as_map_ref().ok()?;
    Some(map.iter().map(|(name, value)| (name.to_string(), value.clone())).collect())
}

/// A list whose items have the same names.
fn table(value: &Dynamic) -> Option<String> {
    let items = value.as_array_ref().ok()?;
    let rows: Vec<Vec<(String, Dynamic)>> = items.iter().map(fields).collect::<Option<_>>()?;
    let names = |row: &Vec<(String, Dynamic)>| row.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    let columns = names(rows.first()?);
    if columns.is_empty() || rows.iter().any(|row| names(row) != columns) {
        return None;
    }
    let rows = rows.iter().map(|row| row.iter().map(|(_, value)| cell(value)).collect()).collect();
    Some(Table { columns, rows }.to_string())
}

fn cell(value: &Dynamic) -> String {
    match value.as_immutable_string_ref() {
        Ok(text) => text.to_string(),
        Err(_) if value.is_unit() => String::new(),
        Err(_) => show(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rhai::{Array, Map};

    fn map(pairs: &[(&str, Dynamic)]) -> Dynamic {
        pairs.iter().map(|(name, value)| ((*name).into(), value.clone())).collect::<Map>().into()
    }

    #[test]
    fn equal_maps_are_a_table_and_others_are_not() {
        let row = |id: &str, healthy: i64| map(&[("id", id.to_owned().into()), ("healthy", healthy.into()), ("why", Dynamic::UNIT)]);
        let list: Dynamic = vec![row("i-1", 2), row("i-20", 10)].into();
        insta::assert_snapshot!(shown(&list).expect("it is shown"), @r"
        healthy  id    why
              2  i-1
             10  i-20
        ");
        let odd: Dynamic = vec![row("i-1", 2), map(&[("id", 1.into())])].into();
        assert_eq!(shown(&odd).as_deref(), Some("[#{healthy: 2, id: \"i-1\", why: ()}, #{id: 1}]"));
    }

    #[test]
    fn small_values_are_one_line_and_large_ones_a_tree() {
        assert_eq!(shown(&Dynamic::UNIT), None);
        assert_eq!(shown(&"a\"b".into()).as_deref(), Some("a\"b"));
        assert_eq!(shown(&map(&[("a", 1.into())])).as_deref(), Some("#{a: 1}"));
        let long: Array = (0..3).map(|n| Dynamic::from(format!("{n}{}", "x".repeat(40)))).collect();
        let text = shown(&map(&[("few", 1.into()), ("many", long.into())])).expect("it is shown");
        assert_eq!(text.lines().collect::<Vec<_>>().len(), 5, "{text}");
        assert!(text.starts_with("few: 1\nmany:\n  - \"0xx"), "{text}");
    }
}
