//! Tables for people: aligned, without lines, each row on one line.

use anstyle::{AnsiColor, Style};
use comfy_table::presets::NOTHING;
use comfy_table::{ContentArrangement, Table};

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
    table: Table,
    moods: Vec<Mood>,
    notes: Vec<Vec<String>>,
}

impl Rows {
    pub(super) fn under(header: &[&str]) -> Self {
        let mut table = Table::new();
        table.load_style(NOTHING).set_content_arrangement(ContentArrangement::Disabled);
        table.set_header(header.iter().copied());
        Self { table, moods: Vec::new(), notes: Vec::new() }
    }

    pub(super) fn add(&mut self, mood: Mood, cells: impl IntoIterator<Item = String>) {
        // A row is one line, whatever a sync may be called.
        self.table.add_row(cells.into_iter().map(|it| screen::harmless(&it).into_owned()));
        self.moods.push(mood);
        self.notes.push(Vec::new());
    }

    /// Says more of the last row, on lines of their own below it.
    pub(super) fn note(&mut self, notes: impl IntoIterator<Item = String>) {
        let notes = notes.into_iter().map(|it| screen::harmless(&it).into_owned());
        if let Some(last) = self.notes.last_mut() {
            last.extend(notes);
        }
    }

    /// The table, without a new line at its end.
    pub(super) fn render(&mut self) -> String {
        let last = self.table.column_count().saturating_sub(1);
        for (index, column) in self.table.column_iter_mut().enumerate() {
            column.set_padding((0, if index == last { 0 } else { 2 }));
        }
        let header = Style::new().bold();
        let styles = std::iter::once(header).chain(self.moods.iter().map(|it| it.style()));
        let notes = std::iter::once(&[][..]).chain(self.notes.iter().map(Vec::as_slice));
        let lines = self.table.lines().zip(styles).zip(notes).flat_map(|((line, style), notes)| {
            let row = format!("{style}{}{style:#}", line.trim_end());
            std::iter::once(row).chain(notes.iter().map(move |it| format!("{style}    {it}{style:#}")))
        });
        lines.collect::<Vec<_>>().join("\n")
    }
}

/// `1 sync`, `2 syncs`.
pub(super) fn count(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_rows_stay_on_their_line() {
        let mut rows = Rows::under(&["NAME", "STATE"]);
        rows.add(Mood::Plain, ["Leads".to_owned(), "held".to_owned()]);
        rows.note(["since\nMonday".to_owned()]);
        rows.add(Mood::Plain, ["A\nB Contacts".to_owned(), "gone".to_owned()]);
        let plain = anstream::adapter::strip_str(&rows.render()).to_string();
        assert_eq!(plain, "NAME          STATE\nLeads         held\n    since Monday\nA B Contacts  gone");
    }
}
