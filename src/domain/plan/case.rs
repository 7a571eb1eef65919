//! All that one process knows about one sync, and how steps change it.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::domain::hold::{Hold, HoldState, Unsettled};
use crate::domain::moment::{Moment, Uptime};
use crate::domain::organization::Organization;
use crate::domain::sync::{SyncRef, SyncState};
use crate::domain::verdict::{Failure, Verdict};

use super::Step;

/// One sync: its row, what was just learnt, what is under way.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    /// The sync.
    pub sync: SyncRef,
    /// Its name at Polytomic, once seen.
    pub name: Option<String>,
    /// Its row, as it will be in the ledger once all writes are through.
    pub hold: Option<Hold>,
    /// What was learnt last. The next step consumes it, whatever that is:
    /// every decision rests on its own look.
    pub evidence: Option<Evidence>,
    /// The request under way, or the one that `evidence` answers.
    pub call: Option<Call>,
    /// Set after failures.
    pub retry: Option<Retry>,
    /// When `evidence` was heard.
    pub heard: Option<Uptime>,
    /// When the state was last known for certain.
    pub looked: Option<Uptime>,
    /// Whether it was told that Polytomic does not know this sync.
    pub absent: bool,
    /// What the last request met, if it was not what it was sent for.
    pub trouble: Option<String>,
}

/// What was learnt about a sync.
#[derive(Debug, Clone, PartialEq)]
pub enum Evidence {
    /// A GET told its state.
    Saw {
        /// The state.
        state: SyncState,
        /// When the GET was sent.
        sent: Moment,
        /// Who changed it last, as Polytomic tells it.
        by: Option<String>,
    },
    /// A GET did not tell.
    LookFailed {
        /// Why.
        failure: Failure,
    },
    /// A POST was sent, and this is what became of it.
    Answered {
        /// What it asked for.
        active: bool,
        /// When it was sent.
        sent: Moment,
        /// What is known.
        verdict: Verdict,
    },
    /// The intent to pause could not be made durable: nothing was sent.
    NotWritten {
        /// Why.
        failure: Failure,
    },
}

/// A request, with the row as it was before it.
#[derive(Debug, Clone, PartialEq)]
pub enum Call {
    /// A GET.
    Look,
    /// `active: false`
    Pause {
        /// The row before the intent.
        before: Option<Box<Hold>>,
    },
    /// `active: true`
    Resume {
        /// The row before the intent.
        before: Box<Hold>,
    },
}

/// When to try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// Whether it was an attempt to pause.
    pub pausing: bool,
    /// Failures in a row.
    pub failures: u32,
    /// Not before then.
    pub not_before: Uptime,
}

impl Evidence {
    /// What went wrong, in words; `None` if nothing did.
    fn trouble(&self) -> Option<String> {
        match self {
            Self::Saw { state: SyncState::Gone, .. } => {
                Some("Polytomic does not know this sync (404)".to_owned())
            }
            Self::Saw { .. } | Self::Answered { verdict: Verdict::Applied, .. } => None,
            Self::Answered { verdict: Verdict::Refused(failure) | Verdict::Unknown(failure), .. }
            | Self::LookFailed { failure }
            | Self::NotWritten { failure } => Some(failure.to_string()),
        }
    }
}

impl Case {
    /// A sync of which nothing is known.
    pub fn new(sync: SyncRef) -> Self {
        Self {
            sync,
            name: None,
            hold: None,
            evidence: None,
            call: None,
            retry: None,
            heard: None,
            looked: None,
            absent: false,
            trouble: None,
        }
    }

    /// A sync as the ledger remembers it.
    pub fn remembered(hold: Hold) -> Self {
        Self { name: hold.name.clone(), hold: Some(hold.clone()), ..Self::new(hold.sync) }
    }

    /// Whether a request is under way: then nothing is planned.
    pub fn is_in_flight(&self) -> bool {
        self.call.is_some() && self.evidence.is_none()
    }

    /// Takes note of what a request brought.
    pub fn hear(&mut self, evidence: Evidence, now: Moment) {
        self.trouble = evidence.trouble();
        self.heard = Some(now.uptime);
        match &evidence {
            Evidence::Saw { state: SyncState::Active | SyncState::Inactive, .. } => {
                self.looked = Some(now.uptime);
                self.absent = false;
            }
            Evidence::Answered { verdict: Verdict::Applied, .. } => self.looked = Some(now.uptime),
            // The intent never was: what was remembered before it still is.
            Evidence::NotWritten { .. } => self.hold = self.hold_before_call().cloned(),
            Evidence::Saw { state: SyncState::Gone, .. }
            | Evidence::Answered { .. }
            | Evidence::LookFailed { .. } => {}
        }
        self.evidence = Some(evidence);
    }

    /// Drops an answer that had to wait so long that it may not be true any
    /// more.
    pub fn drop_stale_evidence(&mut self, now: Uptime, fresh: Duration) {
        let is_stale = self.heard.is_some_and(|at| at + fresh < now);
        if is_stale && matches!(self.evidence, Some(Evidence::Saw { .. })) {
            self.evidence = None;
            self.call = None;
        }
    }

    /// Takes over how the row's organization is reached now, if it is still the
    /// same one at the same place. Says whether that changed anything.
    pub fn readdress(&mut self, organization: &Arc<Organization>) -> bool {
        let Some(hold) = self.hold.as_mut().filter(|it| *it.organization != **organization) else {
            return false;
        };
        if !hold.organization.is_same_place(organization) {
            return false;
        }
        hold.organization = Arc::clone(organization);
        if let Some(Call::Pause { before: Some(before) } | Call::Resume { before }) = &mut self.call {
            before.organization = Arc::clone(organization);
        }
        true
    }

    /// An operator decided: the row is this from now on, also for a request
    /// that is under way.
    pub fn decide_for(&mut self, hold: Hold) {
        match &mut self.call {
            Some(Call::Pause { before: Some(before) } | Call::Resume { before }) => {
                before.left_alone.clone_from(&hold.left_alone);
            }
            // If the intent cannot be written, the decision stands all the same.
            Some(Call::Pause { before: before @ None }) => {
                let (state, unsettled) = (HoldState::Released, Unsettled::default());
                *before = Some(Box::new(Hold { state, unsettled, ..hold.clone() }));
            }
            Some(Call::Look) | None => {}
        }
        self.hold = Some(hold);
        self.retry = None;
    }

    /// Takes the step: what was learnt is used up, what was decided is so.
    pub fn take(&mut self, step: &Step) {
        let saw_nothing = matches!(self.evidence, Some(Evidence::Saw { state: SyncState::Gone, .. }));
        let was_refused =
            matches!(self.evidence, Some(Evidence::Answered { verdict: Verdict::Refused(_), .. }));
        self.evidence = None;
        let earlier = self.call.take();
        match step {
            Step::Rest { .. } => {}
            Step::Look => self.call = Some(Call::Look),
            Step::Pause { hold, .. } => {
                let before = self.hold.replace((**hold).clone()).map(Box::new);
                self.call = Some(Call::Pause { before });
            }
            Step::Resume { hold } => {
                let mut before = self.hold.replace((**hold).clone()).unwrap_or_else(|| (**hold).clone());
                // Sent again at once after a refusal: that one left nothing behind.
                if let (Some(Call::Resume { before: first }), true) = (earlier, was_refused) {
                    before.unsettled = first.unsettled;
                }
                self.call = Some(Call::Resume { before: Box::new(before) });
            }
            Step::Keep { hold, retry, .. } => {
                self.hold = Some((**hold).clone());
                self.retry = *retry;
            }
            Step::Forget { .. } => {
                self.hold = None;
                self.retry = None;
            }
            Step::Defer { retry, .. } => {
                self.absent |= saw_nothing;
                self.retry = Some(*retry);
            }
        }
    }

    /// The row as it was before the request under way.
    fn hold_before_call(&self) -> Option<&Hold> {
        match self.call.as_ref()? {
            Call::Look => self.hold.as_ref(),
            Call::Pause { before } => before.as_deref(),
            Call::Resume { before } => Some(before),
        }
    }

    /// What was unsettled before the request under way.
    pub(super) fn unsettled_before_call(&self) -> Unsettled {
        self.hold_before_call().map(|hold| hold.unsettled).unwrap_or_default()
    }

    /// What is unsettled if the request under way was given up now.
    pub(super) fn unsettled_by(&self, active: bool, now: Uptime) -> Unsettled {
        let before = self.unsettled_before_call();
        if active {
            Unsettled { resume: Some(now), ..before }
        } else {
            Unsettled { pause: Some(now), ..before }
        }
    }

    /// A row to begin with.
    pub fn new_hold(&self, organization: &Arc<Organization>, state: HoldState, now: DateTime<Utc>) -> Hold {
        Hold {
            sync: self.sync.clone(),
            name: self.name.clone(),
            organization: Arc::clone(organization),
            state,
            holders: vec![],
            left_alone: vec![],
            since: now,
            resume_by: now,
            unsettled: Unsettled::default(),
            attempts: 0,
            last_error: None,
            gone: None,
            overdue_told: false,
        }
    }
}
