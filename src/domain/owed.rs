//! What a journal says is owed: syncs that were paused and not yet resumed
//! where it ends. For a host that was lost with its ledger.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};

use super::event::{Event, EventKind};
use super::sync::{Name, SyncRef};

/// A sync that may be off because of us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owed {
    /// Which.
    pub sync: SyncRef,
    /// Its name at Polytomic, when it was known.
    pub name: Option<String>,
    /// The window on whose behalf.
    pub window: Option<Name>,
    /// When that was written down last.
    pub at: DateTime<Utc>,
    /// How sure it is.
    pub claim: Claim,
}

/// How sure it is that we switched a sync off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// We did, and that was confirmed.
    Paused,
    /// We tried, and the last that was heard is that it did not work.
    Tried,
}

/// What a journal leaves open.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Unfinished {
    /// In the order of their syncs.
    pub owed: Vec<Owed>,
    /// Windows that had opened and not closed. What was paused in the very last
    /// moment, and not written down, is one of theirs.
    pub open: BTreeSet<Name>,
}

/// Reads a journal, oldest entry first.
pub fn unfinished<'e>(entries: impl IntoIterator<Item = (DateTime<Utc>, &'e Event)>) -> Unfinished {
    let mut owed: BTreeMap<&SyncRef, Owed> = BTreeMap::new();
    let mut open = BTreeSet::new();
    for (at, event) in entries {
        match (event.kind, &event.window) {
            (EventKind::WindowOpened, Some(window)) => drop(open.insert(window.clone())),
            (EventKind::WindowClosed | EventKind::WindowMissed, Some(window)) => drop(open.remove(window)),
            _ => {}
        }
        let Some(sync) = &event.sync else { continue };
        let claimed = |claim| Owed {
            sync: sync.clone(),
            name: event.name.clone(),
            window: event.window.clone(),
            at,
            claim,
        };
        match event.kind {
            EventKind::Paused => drop(owed.insert(sync, claimed(Claim::Paused))),
            // Of these it is told only while it is held; the journal may have
            // been cut off before it was paused.
            EventKind::Overdue => drop(owed.entry(sync).or_insert_with(|| claimed(Claim::Paused))),
            EventKind::PauseFailed | EventKind::ResumeFailed => {
                owed.entry(sync).or_insert_with(|| claimed(Claim::Tried));
            }
            EventKind::Resumed
            | EventKind::Released
            | EventKind::Skipped
            | EventKind::Recovered
            | EventKind::Forgotten => drop(owed.remove(sync)),
            // An operator's word is a demand: the resume that follows it has a
            // line of its own. Whether it is gone, a look tells. The rest is
            // about no sync.
            EventKind::OperatorResume
            | EventKind::Gone
            | EventKind::WindowOpened
            | EventKind::WindowClosed
            | EventKind::WindowMissed
            | EventKind::Quiet
            | EventKind::StillRunning
            | EventKind::Unscheduled
            | EventKind::CaughtUp
            | EventKind::CatchUpFailed
            | EventKind::WindowReport
            | EventKind::OperatorPause
            | EventKind::Extended
            | EventKind::Exempted
            | EventKind::Preflight
            | EventKind::SelectionFailed
            | EventKind::DaemonStarted
            | EventKind::DaemonStopped
            | EventKind::ConfigLoaded
            | EventKind::ConfigRejected => {}
        }
    }
    Unfinished { owed: owed.into_values().collect(), open }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::sync::SyncKind;

    /// What is owed after these events about one sync.
    #[track_caller]
    fn check(kinds: &[EventKind], expected: Option<Claim>) {
        let sync = SyncRef::new("default".into(), SyncKind::Model, uuid::Uuid::nil());
        let event = |kind: &EventKind| Event { sync: Some(sync.clone()), ..Event::new(*kind) };
        let events: Vec<Event> = kinds.iter().map(event).collect();
        let found = unfinished(events.iter().map(|event| (DateTime::UNIX_EPOCH, event)));
        assert_eq!(found.owed.first().map(|it| it.claim), expected, "{kinds:?}");
    }

    #[test]
    fn what_was_paused_is_owed_until_it_is_known_to_run_or_not_to_be_ours() {
        use EventKind::{
            Forgotten, Gone, OperatorResume, Overdue, PauseFailed, Paused, Recovered, Released, ResumeFailed,
            Resumed, Skipped,
        };
        check(&[], None);
        check(&[Paused], Some(Claim::Paused));
        for end in [Resumed, Released, Skipped, Recovered, Forgotten] {
            check(&[Paused, end], None);
            check(&[PauseFailed, end], None);
            check(&[Paused, end, Paused], Some(Claim::Paused));
        }
        for middle in [ResumeFailed, Overdue, PauseFailed, Gone, OperatorResume] {
            check(&[Paused, middle], Some(Claim::Paused));
        }
        check(&[PauseFailed, Paused, PauseFailed], Some(Claim::Paused));
        // The history begins after the pause.
        check(&[Overdue], Some(Claim::Paused));
        check(&[ResumeFailed], Some(Claim::Tried));
        check(&[PauseFailed], Some(Claim::Tried));
        for alone in [Gone, OperatorResume, Resumed] {
            check(&[alone], None);
        }
    }

    #[test]
    fn windows_that_had_not_closed_are_named() {
        let window = |kind, name: &str| Event { window: Some(name.into()), ..Event::new(kind) };
        let events = [
            window(EventKind::WindowOpened, "patching"),
            window(EventKind::WindowOpened, "vacuum"),
            window(EventKind::WindowClosed, "patching"),
        ];
        let found = unfinished(events.iter().map(|event| (DateTime::UNIX_EPOCH, event)));
        assert_eq!(found.open, BTreeSet::from(["vacuum".into()]));
    }
}
