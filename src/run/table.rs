//! A result in columns: data in the journal and with `--json`, aligned text for people.

use serde::{Deserialize, Serialize};
use std::fmt;

/// What a playbook found, one thing a row; every row has a cell for each column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    pub columns: Vec<String>,
    pub rows: Vec<Vec<String>>,
}

/// Between two columns.
const GAP: &str = "  ";

impl Table {
    /// Characters of the longest cell, the head's included.
    fn width(&self, column: usize) -> usize {
        let cells = self.rows.iter().filter_map(|row| row.get(column)).chain(self.columns.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    }

    /// Numbers stand with their last digits one above the other.
    fn is_numeric(&self, column: usize) -> bool {
        let mut cells = self.rows.iter().filter_map(|row| row.get(column)).filter(|cell| !cell.is_empty()).peekable();
        cells.peek().is_some() && cells.all(|cell| cell.parse::<f64>().is_ok())
    }

    fn line(&self, row: &[String]) -> String {
        let cell = |(column, text): (usize, &String)| {
            let width = self.width(column);
            if self.is_numeric(column) { format!("{text:>width$}") } else { format!("{text:width$}") }
        };
        row.iter().enumerate().map(cell).collect::<Vec<_>>().join(GAP).trim_end().to_owned()
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.line(&self.columns))?;
        self.rows.iter().try_for_each(|row| write!(f, "\n{}", self.line(row)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stand_left_and_numbers_right() {
        let text = |cells: &[&str]| cells.iter().map(|cell| (*cell).to_owned()).collect::<Vec<_>>();
        let rows = vec![text(&["main", "41000", ""]), text(&["a-longer-one", "7", "ready"])];
        let table = Table { columns: text(&["Branch", "Number", "State"]), rows };
        insta::assert_snapshot!(table, @r"
        Branch        Number  State
        main           41000
        a-longer-one       7  ready
        ");
    }
}
