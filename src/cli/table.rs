//! Tables for people: aligned, without lines, each row on one line.

use anstyle::{AnsiColor, Style};
use comfy_table::presets::NOTHING;
use comfy_table::{ContentArrangement, Table};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::screen;

/// What a row is about. The words say it, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mood {
    /// Nothing to see.
    Plain,
    /// Something goes on.
    Busy,
    /// Something was not there before.
    New,
    /// Something is wrong, or is there no more.
    Trouble,
}

impl Mood {
    fn style(self) -> Style {
        let in_color = |color: AnsiColor| Style::new().fg_color(Some(color.into()));
        match self {
            Self::Plain => Style::new(),
            Self::Busy => in_color(AnsiColor::Yellow),
            Self::New => in_color(AnsiColor::Green),
            Self::Trouble => in_color(AnsiColor::Red),
        }
    }
}

/// Rows under a header.
pub(super) struct Rows {
    header: Vec<String>,
    rows: Vec<Row>,
}

struct Row {
    mood: Mood,
    cells: Vec<String>,
    notes: Vec<String>,
}

/// Columns stand so far apart.
const GAP: usize = 2;

impl Rows {
    pub(super) fn under(header: &[&str]) -> Self {
        Self { header: header.iter().copied().map(str::to_owned).collect(), rows: Vec::new() }
    }

    pub(super) fn add(&mut self, mood: Mood, cells: impl IntoIterator<Item = String>) {
        // A row is one line, whatever a sync may be called.
        let cells = cells.into_iter().map(|it| screen::harmless(&it).into_owned()).collect();
        self.rows.push(Row { mood, cells, notes: Vec::new() });
    }

    /// Says more of the last row, on lines of their own below it.
    pub(super) fn note(&mut self, notes: impl IntoIterator<Item = String>) {
        let notes = notes.into_iter().map(|it| screen::harmless(&it).into_owned());
        if let Some(last) = self.rows.last_mut() {
            last.notes.extend(notes);
        }
    }

    /// The table, without a new line at its end. On a terminal that is too
    /// narrow for it, the last columns are told below each row.
    pub(super) fn render(&self) -> String {
        self.render_within(screen::columns())
    }

    fn render_within(&self, columns: Option<usize>) -> String {
        let shown = self.fitting(columns);
        let mut table = Table::new();
        table.load_style(NOTHING).set_content_arrangement(ContentArrangement::Disabled);
        table.set_header(&self.header[..shown]);
        for row in &self.rows {
            table.add_row(&row.cells[..shown.min(row.cells.len())]);
        }
        for (index, column) in table.column_iter_mut().enumerate() {
            column.set_padding((0, if index + 1 == shown { 0 } else { 2 }));
        }
        let mut lines = table.lines();
        let bold = Style::new().bold();
        let header = lines.next().map(|line| format!("{bold}{}{bold:#}", line.trim_end()));
        let rows = lines.zip(&self.rows).flat_map(|(line, row)| {
            let style = row.mood.style();
            let line = format!("{style}{}{style:#}", line.trim_end());
            let notes = self.left_over(row, shown).into_iter().chain(row.notes.iter().cloned());
            std::iter::once(line).chain(notes.map(move |it| format!("{style}    {it}{style:#}")))
        });
        header.into_iter().chain(rows).collect::<Vec<_>>().join("\n")
    }

    /// How many columns fit, from the left; at least one.
    fn fitting(&self, columns: Option<usize>) -> usize {
        let Some(columns) = columns else { return self.header.len() };
        let width = |index: usize| {
            let cells = self.rows.iter().filter_map(|row| row.cells.get(index));
            cells.chain(self.header.get(index)).map(|it| it.width()).max().unwrap_or(0)
        };
        let mut end = 0;
        let fits = |index: &usize| {
            end += width(*index) + if *index == 0 { 0 } else { GAP };
            end <= columns
        };
        (0..self.header.len()).take_while(fits).count().max(1)
    }

    /// What stands in the columns that are not shown, by their headings.
    fn left_over(&self, row: &Row, shown: usize) -> Option<String> {
        let left = self.header.iter().zip(&row.cells).skip(shown);
        let told = left.filter(|(_, cell)| !matches!(cell.as_str(), "" | "-"));
        let words: Vec<_> =
            told.map(|(heading, cell)| format!("{}: {cell}", heading.to_lowercase())).collect();
        (!words.is_empty()).then(|| words.join("; "))
    }
}

/// `1 sync`, `2 syncs`.
pub(super) fn count(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

/// How many columns of a terminal a text takes.
pub(super) fn columns(text: &str) -> usize {
    text.width()
}

/// The text, or as much of it as fits into so many columns.
pub(super) fn cut(text: &str, width: usize) -> String {
    if columns(text) <= width {
        return text.to_owned();
    }
    let mut cut = String::new();
    for character in text.chars() {
        if columns(&cut) + character.width().unwrap_or(0) + 1 > width {
            break;
        }
        cut.push(character);
    }
    cut + "…"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_by_the_columns_that_it_takes() {
        assert_eq!(cut("Leads", 5), "Leads");
        assert_eq!(cut("Leads", 4), "Lea…");
        // Each takes two columns.
        assert_eq!((columns("顧客同期"), cut("顧客同期", 8).as_str()), (8, "顧客同期"));
        assert_eq!(cut("顧客同期", 7), "顧客同…");
        assert_eq!(cut("顧客同期", 6), "顧客…");
        assert_eq!(cut("🚀🚀🚀", 5), "🚀🚀…");
    }

    #[test]
    fn columns_are_aligned_and_rows_stay_on_their_line() {
        let mut rows = Rows::under(&["NAME", "STATE"]);
        rows.add(Mood::Plain, ["Leads".to_owned(), "held".to_owned()]);
        rows.note(["since\nMonday".to_owned()]);
        rows.add(Mood::Plain, ["A\nB Contacts".to_owned(), "gone".to_owned()]);
        let plain = anstream::adapter::strip_str(&rows.render()).to_string();
        assert_eq!(plain, "NAME          STATE\nLeads         held\n    since Monday\nA B Contacts  gone");
    }

    fn plain(rows: &Rows, columns: Option<usize>) -> String {
        anstream::adapter::strip_str(&rows.render_within(columns)).to_string()
    }

    #[test]
    fn names_of_every_script_keep_the_columns_aligned() {
        let mut rows = Rows::under(&["NAME", "STATE"]);
        // Two columns a character, one for both code points, two for a picture.
        for name in ["日本語 同期", "e\u{301}te\u{301}", "🚀 launch", "\u{1b}[2J"] {
            rows.add(Mood::Plain, [name.to_owned(), "held".to_owned()]);
        }
        let plain = plain(&rows, None);
        let starts: Vec<usize> =
            plain.lines().filter_map(|line| Some(line[..line.rfind(['S', 'h'])?].width())).collect();
        // `STATE` and `held` begin at one place, whatever stands before them.
        assert_eq!(starts, [13; 5], "{plain}");
    }

    #[test]
    fn what_does_not_fit_is_told_below_its_row() {
        let mut rows = Rows::under(&["WINDOW", "ZONE", "SYNCS", "DESCRIPTION"]);
        let cells = |cells: [&str; 4]| cells.map(str::to_owned);
        rows.add(Mood::Plain, cells(["patching", "Europe/Paris", "2", "CHG-1"]));
        rows.note(["a note".to_owned()]);
        rows.add(Mood::Plain, cells(["a", "UTC", "3", ""]));
        let wide = "WINDOW    ZONE          SYNCS  DESCRIPTION\n\
                    patching  Europe/Paris  2      CHG-1\n    a note\n\
                    a         UTC           3";
        assert_eq!(plain(&rows, None), wide);
        assert_eq!(plain(&rows, Some(42)), wide);
        let narrow = "WINDOW    ZONE\n\
                      patching  Europe/Paris\n    syncs: 2; description: CHG-1\n    a note\n\
                      a         UTC\n    syncs: 3";
        assert_eq!(plain(&rows, Some(22)), narrow);
        // The first column is there, however narrow it is.
        assert!(plain(&rows, Some(1)).starts_with("WINDOW\npatching\n    zone: Europe/Paris; syncs: 2"));
    }
}
