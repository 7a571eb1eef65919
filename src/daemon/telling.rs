//! One log line for each thing that happened, with the journal's words as
//! fields.

use tracing::{error, info, warn};

use crate::domain::event::{Event, EventKind};

/// Logs what goes into the journal.
pub(super) fn log(event: &Event) {
    macro_rules! line {
        ($level:ident) => {
            $level!(
                event = event.kind.as_str(),
                sync.id = event.sync.as_ref().map(|it| tracing::field::display(it.id)),
                sync.name = event.name.as_deref(),
                sync.kind = event.sync.as_ref().map(|it| it.kind.as_str()),
                organization = event.sync.as_ref().map(|it| it.organization.as_str()),
                window = event.window.as_ref().map(|it| it.as_str()),
                occurrence = event.occurrence.map(tracing::field::debug),
                attempt = event.attempt,
                took_ms = event.took.map(|it| u64::try_from(it.as_millis()).unwrap_or(u64::MAX)),
                by = event.by.as_str(),
                "{event}"
            )
        };
    }
    match event.kind {
        EventKind::Overdue => line!(error),
        EventKind::PauseFailed
        | EventKind::ResumeFailed
        | EventKind::Gone
        | EventKind::WindowMissed
        | EventKind::ConfigRejected => line!(warn),
        EventKind::Paused
        | EventKind::Resumed
        | EventKind::Skipped
        | EventKind::Released
        | EventKind::Recovered
        | EventKind::Forgotten
        | EventKind::WindowOpened
        | EventKind::WindowClosed
        | EventKind::OperatorResume
        | EventKind::DaemonStarted
        | EventKind::DaemonStopped
        | EventKind::ConfigLoaded => line!(info),
    }
}
