//! The watch on a window: what was last seen of it, so that opening, closing
//! and having been missed are each told once, across restarts too.

use chrono::{DateTime, Utc};

use super::sync::Name;
use super::window::Occurrence;

/// What we know, durably, about one window's passage of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowWatch {
    /// The window's name.
    pub window: Name,
    /// What the window's times were when they were last looked at. Another
    /// fingerprint means that the file was edited, and that occurrences before
    /// now under the new times were never ours to miss.
    pub fingerprint: String,
    /// Up to here, exclusive, its occurrences have been accounted for.
    pub seen_until: DateTime<Utc>,
    /// The occurrence that was told to be open and not yet to be closed.
    pub open: Option<Occurrence>,
}
