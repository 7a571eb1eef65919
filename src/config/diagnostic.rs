//! What is wrong with a file, where, and what would be right.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use super::source::Excerpt;

/// How many diagnostics are shown. The rest is counted.
const MOST_SHOWN: usize = 50;

/// One thing that is wrong, or that surprises.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Whether it keeps the file from coming into force.
    pub severity: Severity,
    /// The file, as it was named.
    pub file: Arc<str>,
    /// The line, counted from 1.
    pub line: usize,
    /// The column, in characters, counted from 1.
    pub column: usize,
    /// The bytes of the file that are meant.
    pub span: Range<usize>,
    /// What is wrong.
    pub message: String,
    /// What to write or do instead.
    pub mend: Option<String>,
    /// Whether it is not about the text of the file but about what is needed
    /// to reach an organization: its key, its certificates.
    pub about_key: bool,
    /// Whether something is missing, or refers to what is not there.
    pub(super) is_about_absence: bool,
    /// The line itself. None where there is none: the file cannot be read.
    pub(super) excerpt: Option<Excerpt>,
}

/// Whether a diagnostic keeps the file from coming into force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It does.
    Error,
    /// It does not.
    Warning,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

impl Diagnostic {
    /// The whole of it: `file:line:column: error: message`, then the line with
    /// a caret under the place, then what to do. Ends with a new line.
    pub fn render(&self, color: bool) -> String {
        let renderer = if color { Renderer::styled() } else { Renderer::plain() };
        let (level, style) = match self.severity {
            Severity::Error => (Level::ERROR, annotate_snippets::renderer::DEFAULT_ERROR_STYLE),
            Severity::Warning => (Level::WARNING, annotate_snippets::renderer::DEFAULT_WARNING_STYLE),
        };
        let style = if color { style } else { anstyle::Style::new() };
        let mut group = Group::with_level(level);
        if let Some(excerpt) = &self.excerpt {
            let snippet = Snippet::source(excerpt.line.as_str())
                .line_start(self.line)
                .annotation(AnnotationKind::Primary.span(excerpt.marked.clone()));
            group = group.element(snippet);
        }
        if let Some(mend) = &self.mend {
            group = group.element(Level::HELP.message(mend.as_str()));
        }
        let title = format!("{style}{}{style:#}: {}", self.severity, self.message);
        let place = format!("{}:{}:{}", self.file, self.line, self.column);
        if group.is_empty() {
            return format!("{place}: {title}\n");
        }
        format!("{place}: {title}\n{}\n", renderer.render(&[group]))
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

/// The file did not come into force: all that is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    // Invariant: at least one is an error. Sorted by place.
    diagnostics: Vec<Diagnostic>,
    omitted: usize,
}

impl Rejected {
    /// Of a list with at least one error, and so many more that were not kept.
    pub(super) fn new(diagnostics: Vec<Diagnostic>, omitted: usize) -> Self {
        debug_assert!(diagnostics.iter().any(|it| it.severity == Severity::Error));
        Self { diagnostics, omitted }
    }

    /// What is wrong, in the order of the file. Warnings are among it.
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.diagnostics
    }

    /// The same for who needs no keys: what is wrong with the text, if anything is.
    #[must_use]
    pub fn without_keys(self) -> Self {
        if self.is_about_keys_alone() {
            return self;
        }
        let diagnostics = self.diagnostics.into_iter().filter(|it| !it.about_key).collect();
        Self { diagnostics, ..self }
    }

    /// Whether nothing is wrong with the text: only keys are not to be had.
    pub fn is_about_keys_alone(&self) -> bool {
        self.errors().all(|it| it.about_key)
    }

    fn errors(&self) -> impl Iterator<Item = &Diagnostic> {
        self.diagnostics.iter().filter(|it| it.severity == Severity::Error)
    }

    /// All of it for a terminal, at most 50 diagnostics, errors first in want
    /// of room.
    pub fn render(&self, color: bool) -> String {
        render(&self.diagnostics, self.omitted, color)
    }
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Rejected {}

/// Diagnostics for a terminal, a blank line between them; at most 50, then
/// how many more there are. Where there are too many, warnings make room.
pub fn render(diagnostics: &[Diagnostic], omitted: usize, color: bool) -> String {
    let count = |severity| diagnostics.iter().filter(|it| it.severity == severity).count();
    let mut room_for_warnings = MOST_SHOWN.saturating_sub(count(Severity::Error));
    let shown: Vec<_> = diagnostics
        .iter()
        .filter(|it| match it.severity {
            Severity::Error => true,
            Severity::Warning => {
                let fits = room_for_warnings > 0;
                room_for_warnings = room_for_warnings.saturating_sub(1);
                fits
            }
        })
        .take(MOST_SHOWN)
        .collect();
    let mut parts: Vec<_> = shown.iter().map(|it| it.render(color)).collect();
    let more = diagnostics.len() - shown.len() + omitted;
    if more > 0 {
        parts.push(format!("and {more} more\n"));
    }
    parts.join("\n")
}
