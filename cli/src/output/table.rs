//! Aligned columns.

use super::one_line;

/// Longest cell; more is cut with `…`.
const MAX_CELL: usize = 60;

/// Rows under a header.
#[derive(Debug)]
pub struct Table {
    rows: Vec<Vec<String>>,
    /// Columns whose cells are never cut and stand last.
    whole: bool,
}

impl Table {
    /// A table with these columns.
    pub fn new(header: &[&str]) -> Self {
        Self { rows: vec![header.iter().map(|&name| name.to_owned()).collect()], whole: false }
    }

    /// Never cuts the last column, which holds what others may want to copy.
    #[must_use]
    pub const fn whole(mut self) -> Self {
        self.whole = true;
        self
    }

    /// Adds a row; cells beyond the header are dropped, missing ones are empty.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let columns = self.rows[0].len();
        let mut cells: Vec<String> = cells.into_iter().take(columns).map(|cell| one_line(&cell)).collect();
        cells.resize(columns, String::new());
        let cut = if self.whole { columns - 1 } else { columns };
        for cell in &mut cells[..cut] {
            shorten(cell);
        }
        self.rows.push(cells);
    }

    /// The table as text.
    pub fn render(&self) -> String {
        let width = |column: usize| self.rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..self.rows[0].len()).map(width).collect();
        let mut text = String::new();
        for row in &self.rows {
            let cells = row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:width$}"));
            text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
            text.push('\n');
        }
        text
    }
}

fn shorten(cell: &mut String) {
    if let Some((end, _)) = cell.char_indices().nth(MAX_CELL)
        && cell[end..].chars().count() > 1
    {
        cell.truncate(end);
        cell.push('…');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_bounded() {
        let mut table = Table::new(&["ID", "TITLE"]);
        table.row(["1".to_owned(), "short".to_owned()]);
        table.row(["long-id".to_owned(), "ä".repeat(70)]);
        table.row(["2".to_owned()]);
        let expected = format!("ID       TITLE\n1        short\nlong-id  {}…\n2\n", "ä".repeat(60));
        assert_eq!(table.render(), expected);
    }

    #[test]
    fn a_last_column_can_be_whole() {
        let mut table = Table::new(&["MODE", "PATH"]).whole();
        table.row(["644".to_owned(), "x/".repeat(50)]);
        assert!(table.render().contains(&"x/".repeat(50)));
    }
}
