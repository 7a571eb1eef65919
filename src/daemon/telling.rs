//! One log line for each thing that happened, with the journal's words as
//! fields.

use chrono::{DateTime, Utc};
use tracing::{error, info, warn};

use crate::domain::event::{Event, EventKind};
use crate::reconcile::RELEASED;

/// Why a wall clock that says this cannot be right, and what follows from it.
pub(super) fn clock_error(now: DateTime<Utc>) -> Option<String> {
    (now < RELEASED).then(|| {
        format!(
            "The clock is wrong: it says {}, and this release is of {}. Nothing is paused until it is set \
             right; what is held is resumed, unless by this clock, too, a window is open",
            now.format("%Y-%m-%dT%H:%M:%SZ"),
            RELEASED.format("%Y-%m-%d"),
        )
    })
}

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
                description = event.description.as_deref(),
                "{event}"
            )
        };
    }
    match event.kind {
        EventKind::Overdue => line!(error),
        EventKind::Preflight if event.error.is_none() => line!(info),
        EventKind::Preflight => line!(warn),
        EventKind::PauseFailed
        | EventKind::ResumeFailed
        | EventKind::Gone
        | EventKind::WindowMissed
        | EventKind::StillRunning
        | EventKind::Unscheduled
        | EventKind::CatchUpFailed
        | EventKind::SelectionFailed
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
        | EventKind::Quiet
        | EventKind::CaughtUp
        | EventKind::WindowReport
        | EventKind::OperatorPause
        | EventKind::Extended
        | EventKind::Exempted
        | EventKind::DaemonStarted
        | EventKind::DaemonStopped
        | EventKind::ConfigLoaded => line!(info),
    }
}
