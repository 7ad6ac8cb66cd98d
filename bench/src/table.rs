//! Tables, as text for a terminal and in Markdown for a page.

use std::fmt::Write as _;

/// What is between two columns of text.
const GAP: usize = 3;

/// Rows under a head. The first column is text, the others are numbers and words of one width.
#[derive(Debug, Default)]
pub struct Table {
    head: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// Without a row.
    #[must_use]
    pub fn new(head: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { head: head.into_iter().map(Into::into).collect(), rows: Vec::new() }
    }

    /// One that is shorter than the head has its last value across what is left.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// Aligned, for a terminal.
    #[must_use]
    pub fn text(&self) -> String {
        let width = |column: usize| {
            let whole = self.rows.iter().filter(|row| row.len() == self.head.len());
            whole.chain([&self.head]).map(|row| row[column].chars().count()).max().unwrap_or_default()
        };
        let widths: Vec<usize> = (0..self.head.len()).map(width).collect();
        let mut text = String::new();
        for row in [&self.head].into_iter().chain(&self.rows) {
            let mut line = String::new();
            for (column, cell) in row.iter().enumerate() {
                let width = widths[column];
                let _infallible = match column {
                    0 => write!(line, "{cell:<width$}"),
                    _ if row.len() < self.head.len() => write!(line, "{:GAP$}{cell}", ""),
                    _ => write!(line, "{:GAP$}{cell:>width$}", ""),
                };
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }

    /// For a page.
    #[must_use]
    pub fn markdown(&self) -> String {
        let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        let mut rules = vec!["---:".to_owned(); self.head.len()];
        "---".clone_into(&mut rules[0]);
        let mut text = line(&self.head) + &line(&rules);
        for row in &self.rows {
            let mut row = row.clone();
            row.resize(self.head.len(), String::new());
            text.push_str(&line(&row));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new(["", "CPU (µs)", "p50"]);
        table.row(["bridge".to_owned(), "9.1".to_owned(), "1234".to_owned()]);
        table.row(["floor".to_owned(), "void: 3 of 4 failed".to_owned()]);
        table
    }

    #[test]
    fn text_is_aligned_and_what_is_void_says_why() {
        let expected = "         CPU (µs)    p50\n\
                        bridge        9.1   1234\n\
                        floor    void: 3 of 4 failed\n";
        assert_eq!(table().text(), expected);
    }

    #[test]
    fn markdown_has_every_column_in_every_row() {
        let expected = "|  | CPU (µs) | p50 |\n\
                        | --- | ---: | ---: |\n\
                        | bridge | 9.1 | 1234 |\n\
                        | floor | void: 3 of 4 failed |  |\n";
        assert_eq!(table().markdown(), expected);
    }
}
