//! All that one process knows about one sync, and how steps change it.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::domain::execution::{After, Runs};
use crate::domain::hold::{Hold, HoldState, Unsettled};
use crate::domain::moment::{Moment, Uptime};
use crate::domain::organization::Organization;
use crate::domain::sync::{SyncRef, SyncState};
use crate::domain::verdict::{Failure, Verdict};

use super::Step;
use super::errand::{ErrandStep, Errands};

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
    pub evidence: Option<Box<Evidence>>,
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
    /// When this process last counted an answer that said so of a held sync.
    pub gone_counted: Option<Uptime>,
    /// When it was last said, unless it was seen since.
    pub gone_heard: Option<Uptime>,
    /// What the last request met, if it was not what it was sent for.
    pub trouble: Option<String>,
    /// What is asked and known about its executions.
    pub errands: Errands,
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
            gone_counted: None,
            gone_heard: None,
            trouble: None,
            errands: Errands::default(),
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

    /// Whether its resume was confirmed, and nobody has looked whether it is so.
    pub fn is_first_proof_to_come(&self) -> bool {
        self.hold.as_ref().is_some_and(|hold| hold.runs.after == After::Proof) && self.errands.is_untried()
    }

    /// Takes note of what a request brought.
    pub fn hear(&mut self, evidence: Evidence, now: Moment) {
        self.trouble = evidence.trouble();
        self.heard = Some(now.uptime);
        match &evidence {
            Evidence::Saw { state: SyncState::Active | SyncState::Inactive, .. } => {
                self.looked = Some(now.uptime);
                self.absent = false;
                self.gone_heard = None;
            }
            Evidence::Answered { verdict: Verdict::Applied, .. } => self.looked = Some(now.uptime),
            // The intent never was: what was remembered before it still is.
            Evidence::NotWritten { .. } => self.hold = self.hold_before_call().cloned(),
            Evidence::Saw { state: SyncState::Gone, .. } => self.gone_heard = Some(now.uptime),
            Evidence::Answered { .. } | Evidence::LookFailed { .. } => {}
        }
        self.evidence = Some(Box::new(evidence));
    }

    /// A list that was asked for at `sent` shows it, held, to be on or off. That decides
    /// nothing. If nothing is in doubt, off is what was known and saves a look; on is a
    /// reason to look, and this says so.
    pub fn was_listed(&mut self, active: bool, sent: Moment) -> bool {
        let is_plain = self.hold.as_ref().is_some_and(|hold| hold.gone.is_none() && !hold.unsettled.any());
        if !is_plain || self.looked.is_none_or(|at| sent.uptime < at) {
            return false;
        }
        self.looked = Some(sent.uptime).filter(|_| !active);
        active
    }

    /// Drops an answer that had to wait so long that it may not be true any
    /// more.
    pub fn drop_stale_evidence(&mut self, now: Uptime, fresh: Duration) {
        let is_stale = self.heard.is_some_and(|at| at + fresh < now);
        if is_stale && matches!(self.evidence.as_deref(), Some(Evidence::Saw { .. })) {
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
        let saw_nothing =
            matches!(self.evidence.as_deref(), Some(Evidence::Saw { state: SyncState::Gone, .. }));
        let was_refused =
            matches!(self.evidence.as_deref(), Some(Evidence::Answered { verdict: Verdict::Refused(_), .. }));
        self.evidence = None;
        let earlier = self.call.take();
        match step {
            Step::Rest { .. } => {}
            Step::Look => {
                self.call = Some(Call::Look);
                self.errands.is_looked_after = true;
            }
            Step::Pause { hold, .. } => {
                let before = self.hold.replace((**hold).clone()).map(Box::new);
                self.errands.begin();
                self.call = Some(Call::Pause { before });
            }
            Step::Resume { hold } => {
                let mut before = self.hold.replace((**hold).clone()).unwrap_or_else(|| (**hold).clone());
                // Sent again at once after a refusal: that one left nothing behind.
                if let (Some(Call::Resume { before: first }), true) = (earlier, was_refused) {
                    before.unsettled = first.unsettled;
                }
                self.errands.begin();
                self.call = Some(Call::Resume { before: Box::new(before) });
            }
            Step::Keep { hold, retry, .. } => {
                let counted = |hold: Option<&Hold>| hold.and_then(|it| it.gone).map(|it| it.times);
                if counted(Some(hold)) > counted(self.hold.as_ref()) {
                    self.gone_counted = self.heard;
                }
                let is_proven = |hold: &Hold| hold.runs.after != After::Proof;
                if !is_proven(hold) && self.hold.as_ref().is_none_or(is_proven) {
                    self.errands.confirmed = self.heard;
                    self.errands.is_looked_after = false;
                }
                if hold.state == HoldState::Skipped {
                    // It was off: nothing waits for its executions any more.
                    self.errands.begin();
                }
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

    /// Takes a step about executions.
    pub fn take_errand(&mut self, step: &ErrandStep) {
        self.errands.take(step);
        match step {
            ErrandStep::Rest { .. } | ErrandStep::Ask { .. } => {}
            ErrandStep::Keep { hold, retry, .. } => {
                self.hold = Some((**hold).clone());
                self.retry = retry.or(self.retry);
            }
            ErrandStep::Start { hold } => self.hold = Some((**hold).clone()),
            ErrandStep::Forget { .. } => {
                self.hold = None;
                self.retry = None;
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
            holders: Arc::default(),
            served: vec![],
            left_alone: vec![],
            since: now,
            resume_by: now,
            unsettled: Unsettled::default(),
            attempts: 0,
            last_error: None,
            gone: None,
            overdue_told: false,
            runs: Runs::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::domain::sync::SyncKind;
    use crate::domain::verdict::{Failure, FailureKind};

    fn moment(seconds: u64) -> Moment {
        let wall = DateTime::from_timestamp(1_800_000_000, 0).unwrap() + Duration::from_secs(seconds);
        Moment { wall, uptime: Duration::from_secs(seconds) }
    }

    fn case() -> Case {
        let sync = SyncRef::new("default".into(), SyncKind::Bulk, Uuid::from_u128(7));
        Case::new(sync)
    }

    fn held() -> Hold {
        let organization = Arc::new(Organization::example());
        let mut case = case();
        case.name = Some("Accounts".to_owned());
        case.new_hold(&organization, HoldState::Held, moment(100).wall)
    }

    fn saw(state: SyncState, sent: u64) -> Evidence {
        Evidence::Saw { state, sent: moment(sent), by: None }
    }

    fn refused() -> Verdict {
        Verdict::Refused(Failure::new(FailureKind::Forbidden, "the API answered 403 Forbidden"))
    }

    #[test]
    fn a_remembered_case_has_the_rows_sync_and_name() {
        let case = Case::remembered(held());
        assert_eq!(case.hold.as_ref(), Some(&held()));
        assert_eq!(case.name.as_deref(), Some("Accounts"));
        assert_eq!(case.sync, held().sync);
    }

    #[test]
    fn a_request_is_under_way_from_its_step_to_its_answer() {
        let mut case = case();
        assert!(!case.is_in_flight(), "nothing was asked");
        case.take(&Step::Look);
        assert!(case.is_in_flight());
        case.hear(saw(SyncState::Active, 5), moment(6));
        assert!(!case.is_in_flight(), "the answer is there");
        case.take(&Step::Rest { until: None });
        assert!(!case.is_in_flight());
    }

    #[test]
    fn a_list_saves_a_look_or_asks_for_one_and_decides_nothing() {
        let before = |looked: Option<u64>| {
            let mut case = Case::remembered(held());
            case.looked = looked.map(|at| moment(at).uptime);
            case
        };
        for (looked, active, sent, expected, calls) in [
            (Some(10), false, 20, Some(20), false),
            (Some(10), true, 20, None, true),
            // Asked for before the pause was known to be applied.
            (Some(10), true, 9, Some(10), false),
            (Some(10), false, 9, Some(10), false),
            (None, false, 20, None, false),
        ] {
            let mut case = before(looked);
            assert_eq!(case.was_listed(active, moment(sent)), calls, "{looked:?} {active} {sent}");
            assert_eq!(case.looked, expected.map(|at| moment(at).uptime));
            assert!(case.evidence.is_none());
        }
        let mut doubtful = before(Some(10));
        doubtful.hold.as_mut().unwrap().unsettled.resume = Some(moment(5).uptime);
        assert!(!doubtful.was_listed(true, moment(20)) && doubtful.looked == Some(moment(10).uptime));
    }

    #[test]
    fn what_went_wrong_is_remembered_until_something_goes_right() {
        let mut case = case();
        let failure = Failure::new(FailureKind::Timeout, "no answer within 30s");
        case.hear(Evidence::LookFailed { failure }, moment(1));
        assert_eq!(case.trouble.as_deref(), Some("no answer within 30s"));
        case.hear(Evidence::Answered { active: false, sent: moment(2), verdict: refused() }, moment(2));
        assert_eq!(case.trouble.as_deref(), Some("the API answered 403 Forbidden"));
        case.hear(saw(SyncState::Gone, 3), moment(3));
        assert_eq!(case.trouble.as_deref(), Some("Polytomic does not know this sync (404)"));
        case.hear(saw(SyncState::Inactive, 4), moment(4));
        assert_eq!(case.trouble, None);
    }

    #[test]
    fn an_answer_may_be_as_old_as_is_allowed_and_no_older() {
        let fresh = Duration::from_secs(10);
        let mut case = case();
        case.take(&Step::Look);
        case.hear(saw(SyncState::Active, 5), moment(5));
        case.drop_stale_evidence(moment(15).uptime, fresh);
        assert!(case.evidence.is_some(), "ten seconds are ten seconds");
        case.drop_stale_evidence(moment(16).uptime, fresh);
        assert!(case.evidence.is_none() && case.call.is_none(), "it is asked again");

        // The verdict on a change of ours is a fact, however late it is read.
        case.hear(
            Evidence::Answered { active: true, sent: moment(20), verdict: Verdict::Applied },
            moment(20),
        );
        case.drop_stale_evidence(moment(900).uptime, fresh);
        assert!(case.evidence.is_some());
    }

    #[test]
    fn a_resume_that_is_sent_again_after_a_refusal_leaves_the_first_ones_past() {
        let mut case = Case::remembered(held());
        let mut resuming = held();
        resuming.state = HoldState::Resuming;
        resuming.unsettled.resume = Some(moment(200).uptime);
        case.take(&Step::Resume { hold: Box::new(resuming.clone()) });
        assert_eq!(case.unsettled_before_call(), Unsettled::default());

        case.hear(Evidence::Answered { active: true, sent: moment(200), verdict: refused() }, moment(201));
        case.take(&Step::Resume { hold: Box::new(resuming.clone()) });
        assert_eq!(case.unsettled_before_call(), Unsettled::default(), "the refused one left nothing behind");

        let unknown = Verdict::Unknown(Failure::new(FailureKind::Timeout, "no answer within 30s"));
        case.hear(Evidence::Answered { active: true, sent: moment(202), verdict: unknown }, moment(232));
        case.take(&Step::Resume { hold: Box::new(resuming.clone()) });
        assert_eq!(case.unsettled_before_call(), resuming.unsettled, "nobody knows of that one");
    }

    #[test]
    fn giving_up_a_request_keeps_what_was_unsettled_before_it() {
        let mut earlier = held();
        earlier.unsettled = Unsettled { pause: Some(moment(1).uptime), resume: Some(moment(2).uptime) };
        let mut case = Case::remembered(earlier.clone());
        case.take(&Step::Resume { hold: Box::new(earlier) });
        let (first, second, now) = (Some(moment(1).uptime), Some(moment(2).uptime), Some(moment(30).uptime));
        assert_eq!(case.unsettled_by(true, moment(30).uptime), Unsettled { pause: first, resume: now });
        assert_eq!(case.unsettled_by(false, moment(30).uptime), Unsettled { pause: now, resume: second });
    }

    #[test]
    fn a_sync_that_was_not_found_is_absent_until_it_is_seen() {
        let mut case = case();
        let retry = Retry { pausing: true, failures: 1, not_before: moment(60).uptime };
        let later = Step::Defer { retry, events: vec![] };
        case.hear(saw(SyncState::Gone, 1), moment(1));
        case.take(&later);
        assert!(case.absent);
        let failure = Failure::new(FailureKind::Timeout, "no answer within 30s");
        case.hear(Evidence::LookFailed { failure }, moment(2));
        case.take(&later);
        assert!(case.absent, "a failure says nothing about it");
        case.hear(saw(SyncState::Active, 3), moment(3));
        assert!(!case.absent);
    }

    /// A row that a confirmed resume left behind.
    fn confirmed() -> Step {
        let mut hold = held();
        hold.state = HoldState::Settling;
        hold.runs.after = After::Proof;
        Step::Keep { hold: Box::new(hold), events: vec![], retry: None }
    }

    #[test]
    fn a_resume_is_confirmed_once_when_that_was_heard() {
        let applied = || Evidence::Answered { active: true, sent: moment(200), verdict: Verdict::Applied };
        let mut case = Case::remembered(held());
        case.hear(saw(SyncState::Inactive, 150), moment(150));
        case.take(&Step::Keep { hold: Box::new(held()), events: vec![], retry: None });
        assert_eq!(case.errands.confirmed, None, "it is held");
        case.hear(applied(), moment(201));
        case.take(&confirmed());
        assert_eq!(case.errands.confirmed, Some(moment(201).uptime));
        // The row is written again while its proof is to come.
        case.hear(saw(SyncState::Active, 230), moment(230));
        case.take(&confirmed());
        assert_eq!(case.errands.confirmed, Some(moment(201).uptime));

        let mut fresh = Case::new(held().sync);
        fresh.hear(applied(), moment(202));
        fresh.take(&confirmed());
        assert_eq!(fresh.errands.confirmed, Some(moment(202).uptime), "also where no row was remembered");
    }
}
