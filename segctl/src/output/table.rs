//! Tables as kubectl's look.
//!
//! In: columns and rows. Out: text, three spaces between columns, no rules, no trailing blanks.

use comfy_table::{ContentArrangement, presets};

/// Blanks between columns, as kubectl has them.
const GAP: u16 = 3;

/// A column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Column {
    /// In capitals.
    pub(crate) header: &'static str,
    /// Only with `-o wide`.
    pub(crate) wide: bool,
}

/// A column of every table.
pub(crate) const fn column(header: &'static str) -> Column {
    Column {
        header,
        wide: false,
    }
}

/// A column of wide tables.
pub(crate) const fn wide(header: &'static str) -> Column {
    Column { header, wide: true }
}

/// A row, with the name that `-o name` prints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    /// kind.group/name
    pub(crate) name: String,
    /// As many as there are columns.
    pub(crate) cells: Vec<String>,
}

/// A table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Table {
    /// The columns.
    pub(crate) columns: Vec<Column>,
    /// The rows.
    pub(crate) rows: Vec<Row>,
}

impl Table {
    /// Whether there is nothing in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The names, one a line.
    pub(crate) fn names(&self) -> String {
        let names: Vec<_> = self.rows.iter().map(|row| row.name.as_str()).collect();
        names.join("\n")
    }

    /// The table as text, every line with its end.
    pub(crate) fn text(&self, wide: bool, headers: bool) -> String {
        let shown: Vec<usize> = (0..self.columns.len())
            .filter(|&i| wide || !self.columns[i].wide)
            .collect();
        let mut table = comfy_table::Table::new();
        table
            .load_style(presets::NOTHING)
            .set_content_arrangement(ContentArrangement::Disabled);
        if headers {
            table.set_header(shown.iter().map(|&i| self.columns[i].header));
        }
        for row in &self.rows {
            table.add_row(shown.iter().map(|&i| {
                let cell = row
                    .cells
                    .get(i)
                    .map(|cell| crate::text::one_line(cell))
                    .unwrap_or_default();
                if cell.is_empty() {
                    "<none>".to_owned()
                } else {
                    cell
                }
            }));
        }
        for column in table.column_iter_mut() {
            column.set_padding((0, GAP));
        }
        let mut out = String::new();
        for line in table.lines() {
            out.push_str(line.trim_end());
            out.push('\n');
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        Table {
            columns: vec![
                column("NAME"),
                column("READY"),
                wide("TYPE"),
                column("MESSAGE"),
            ],
            rows: vec![
                Row {
                    name: "segment.segment.grnry.io/demo".into(),
                    cells: vec![
                        "demo".into(),
                        "480/500".into(),
                        "table".into(),
                        String::new(),
                    ],
                },
                Row {
                    name: "segment.segment.grnry.io/b".into(),
                    cells: vec!["b".into(), "1/1".into(), "view".into(), "two\nlines".into()],
                },
            ],
        }
    }

    #[test]
    fn a_table_looks_as_kubectls_do() {
        assert_eq!(
            table().text(false, true),
            "NAME   READY     MESSAGE\ndemo   480/500   <none>\nb      1/1       two lines\n"
        );
        assert_eq!(
            table().text(true, false),
            "demo   480/500   table   <none>\nb      1/1       view    two lines\n"
        );
        assert_eq!(
            table().names(),
            "segment.segment.grnry.io/demo\nsegment.segment.grnry.io/b"
        );
    }
}
