//! What each row of the table comes to.
//!
//! Every move asks no more than it needs: looking, pausing, resuming, what to
//! do about failures, and what is told of it all.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::{Decision, Evidence, GONE_FOR_GOOD, GONE_RETRY, Retry, Seen, Step, Want};
use crate::domain::calendar::Pause;
use crate::domain::event::{Event, EventKind};
use crate::domain::execution::{After, Runs};
use crate::domain::hold::{Gone, Hold, HoldState, Unsettled};
use crate::domain::moment::{Moment, Uptime, instant};
use crate::domain::organization::Organization;
use crate::domain::sync::SyncState;
use crate::domain::verdict::{Failure, FailureKind};
use crate::domain::window::Occurrence;

impl Decision<'_> {
    // ---- looking ----

    /// Looks, unless the last failure asks to wait.
    pub(super) fn look(&self) -> Step {
        match self.waits_until() {
            Some(until) => Step::Rest { until: Some(until) },
            None => Step::Look,
        }
    }

    /// Looks in order to pause: only where pausing is allowed.
    pub(super) fn look_to_pause(&self) -> Step {
        if self.may_pause() { self.look() } else { Step::Rest { until: None } }
    }

    /// Looks in order to begin a pause, unless an execution is waited for first. Whether
    /// a resume was carried out can be told for a moment only: that look waits for nothing.
    pub(super) fn look_to_begin(&self, pause: &Pause) -> Step {
        if self.may_pause() && self.waits_for_executions(pause) && !self.is_resume_unseen() {
            return Step::Rest { until: self.waits_for_executions_until(pause) };
        }
        self.look_to_pause()
    }

    pub(super) fn may_pause(&self) -> bool {
        self.turn.may_pause && self.organization().is_some()
    }

    pub(super) fn organization(&self) -> Option<&Arc<Organization>> {
        self.turn.organization.or(self.case.hold.as_ref().map(|hold| &hold.organization))
    }

    /// Until when to wait after a failure. A failed pause does not delay a
    /// resume, nor the other way round.
    pub(super) fn waits_until(&self) -> Option<Uptime> {
        let retry = self.case.retry.as_ref()?;
        (retry.pausing == self.want.is_paused() && self.turn.now.uptime < retry.not_before)
            .then_some(retry.not_before)
    }

    // ---- pausing ----

    /// Pauses on the word of a GET, if that was sent after the pause began:
    /// an earlier answer could hide that somebody switched the sync off since.
    pub(super) fn pause_if_begun(&self, pause: &Pause, seen: Seen) -> Step {
        let begins = self.was_seen_inside(pause, seen) && !self.waits_for_executions(pause);
        if begins { self.pause(pause) } else { self.look_to_begin(pause) }
    }

    pub(super) fn skip_if_begun(&self, pause: &Pause, seen: Seen) -> Step {
        if self.was_seen_inside(pause, seen) { self.skip(pause) } else { self.look_to_begin(pause) }
    }

    /// Whether a look was sent after the pause began, by the clock as it was then and as
    /// it is now: one that was set back since begins the pause anew, and one that was set
    /// forward began it meanwhile.
    fn was_seen_inside(&self, pause: &Pause, seen: Seen) -> bool {
        let ago = self.turn.now.uptime.saturating_sub(seen.sent.uptime);
        let by_now = TimeDelta::from_std(ago).ok().and_then(|ago| self.turn.now.wall.checked_sub_signed(ago));
        let wall = by_now.map_or(seen.sent.wall, |it| it.min(seen.sent.wall));
        begun(pause, Moment { wall, ..seen.sent })
    }

    pub(super) fn pause(&self, pause: &Pause) -> Step {
        let Some(organization) = self.organization().filter(|_| self.turn.may_pause) else {
            return Step::Rest { until: Some(self.turn.now.uptime + self.turn.rules.drift_check) };
        };
        let mut hold = match &self.case.hold {
            Some(hold) => hold.clone(),
            None => self.case.new_hold(organization, HoldState::Released, self.turn.now.wall),
        };
        if !hold.state.owes_resume() {
            // Nothing is owed under the old organization's address any more.
            hold.organization = Arc::clone(organization);
            hold.since = self.turn.now.wall;
            let seen = begins(pause).and_then(|it| self.case.errands.status_since(it));
            let before = hold.runs;
            hold.runs = Runs::before_pause(seen.as_ref());
            if matches!(before.after, After::Start(_)) {
                // Nobody has made up for that one yet.
                hold.runs.next = before.next;
            } else {
                (hold.holders, hold.served) = (Arc::default(), vec![]);
            }
        }
        // It may run again, if it was on again.
        (hold.runs.quiet, hold.runs.told) = (hold.runs.quiet.filter(|quiet| !quiet), false);
        hold.state = HoldState::Pausing;
        hold.serve(pause);
        hold.gone = None;
        hold.unsettled.pause = Some(self.turn.now.uptime);
        Step::Pause { hold: Box::new(hold), until: pause.until }
    }

    /// The sync was off when these occurrences began: they do not count.
    pub(super) fn skip(&self, pause: &Pause) -> Step {
        let Some(organization) = self.organization() else { return Step::Rest { until: None } };
        let mut hold = match &self.case.hold {
            Some(hold) => hold.clone(),
            None => self.case.new_hold(organization, HoldState::Skipped, self.turn.now.wall),
        };
        hold.state = HoldState::Skipped;
        hold.leave_alone(&pause.holders);
        let event = self.event(EventKind::Skipped, pause.holders.first());
        self.keep(hold, vec![Event { detail: Some("was already off".to_owned()), ..event }])
    }

    /// It is paused, by us.
    pub(super) fn paused(&self) -> Step {
        let Some(hold) = &self.case.hold else { return Step::Rest { until: None } };
        let mut hold = hold.clone();
        let is_news = hold.state != HoldState::Held;
        hold.state = HoldState::Held;
        if matches!(self.case.evidence.as_deref(), Some(Evidence::Answered { .. })) {
            hold.unsettled = self.case.unsettled_before_call();
        }
        if let Want::Paused(pause) = self.want {
            hold.serve(pause);
        }
        let event = self.event(EventKind::Paused, hold.holders.first());
        let until = instant(hold.resume_by);
        let told = is_news.then(|| Event { detail: Some(format!("until {until}")), ..event });
        self.keep(hold, told.into_iter().collect())
    }

    /// Somebody switched a held sync on inside its window.
    pub(super) fn switched_on(&self, hold: &Hold, pause: &Pause, seen: Seen) -> Step {
        // Since a resume of ours was left unanswered nobody has seen the sync off, late
        // enough to be sure: that resume is the likelier cause.
        if pause.is_enforced() || hold.unsettled.resume.is_some() {
            return self.pause(pause);
        }
        let mut hold = hold.clone();
        hold.state = HoldState::Released;
        hold.leave_alone(&pause.holders);
        let event = self.event_by(EventKind::Released, pause.holders.first(), seen.by);
        self.keep(hold, vec![Event { detail: Some("was switched on inside the window".to_owned()), ..event }])
    }

    /// Held, and to stay so: keep the row true, look now and then.
    pub(super) fn stay_held(&self, hold: &Hold, pause: &Pause, seen: Option<Seen>) -> Step {
        let mut kept = hold.clone();
        kept.serve(pause);
        if let Some(seen) = seen {
            kept.gone = None;
            // It is off, and no resume of ours is on its way any more: if it is switched
            // on from here, then by somebody else.
            if self.is_settled(hold.unsettled.resume, seen.sent) {
                kept.unsettled.resume = None;
            }
        }
        if kept != *hold {
            return self.keep(kept, vec![]);
        }
        let drift = self.case.looked.map(|at| at + self.turn.rules.drift_check);
        match drift.max(self.waits_until()) {
            Some(due) if self.turn.now.uptime < due => Step::Rest { until: Some(due) },
            _ => self.look(),
        }
    }

    // ---- resuming ----

    pub(super) fn resume(&self, hold: &Hold) -> Step {
        if let Some(until) = self.waits_until() {
            return Step::Rest { until: Some(until) };
        }
        let mut hold = hold.clone();
        hold.state = HoldState::Resuming;
        hold.end_by(self.turn.now.wall);
        hold.gone = None;
        hold.unsettled.resume = Some(self.turn.now.uptime);
        Step::Resume { hold: Box::new(hold) }
    }

    /// It runs again, by proof that was sent at `sent`.
    pub(super) fn resumed(&self, sent: Moment, how: EventKind, by: Option<&str>) -> Step {
        let Some(hold) = &self.case.hold else { return Step::Rest { until: None } };
        let mut hold = hold.clone();
        if matches!(self.case.evidence.as_deref(), Some(Evidence::Answered { .. })) {
            hold.unsettled = self.case.unsettled_before_call();
        }
        let mut events = vec![self.event_by(how, hold.holders.first(), by)];
        if how == EventKind::Resumed {
            hold.runs.resumed = Some(self.turn.now.wall);
            hold.runs.after = After::Proof;
        }
        if how == EventKind::Released {
            events[0].detail = Some("somebody had switched it on".to_owned());
        }
        if hold.overdue_told {
            hold.overdue_told = false;
            events.push(self.event(EventKind::Recovered, hold.holders.first()));
        }
        self.let_go(&hold, sent, events)
    }

    /// Nothing is owed any more: forget the row, unless a request of ours may
    /// still be applied, a person's decision still has to be remembered, or a proof
    /// is still to come.
    pub(super) fn let_go(&self, hold: &Hold, proof: Moment, events: Vec<Event>) -> Step {
        let settled = self.all_settled(hold, proof);
        let is_proven = hold.runs.after == After::Nothing;
        let mut hold = hold.clone();
        hold.state = match self.want {
            Want::LeftAlone => HoldState::Released,
            Want::Running if settled && is_proven && self.decided_until(&hold).is_some() => {
                HoldState::Released
            }
            Want::Running | Want::Paused(_) if settled && is_proven => return Step::Forget { events },
            Want::Running | Want::Paused(_) => HoldState::Settling,
        };
        if settled {
            hold.unsettled = Unsettled::default();
        }
        hold.end_by(self.turn.now.wall);
        hold.resume_by = hold.left_alone.iter().map(|it| it.closes).fold(hold.resume_by, DateTime::max);
        match self.keep(hold, events) {
            // Should the proof fail, the next attempt waits longer than the last.
            Step::Keep { hold, events, .. } if !is_proven => {
                let retry = self.case.retry.filter(|it| !it.pausing);
                Step::Keep { hold, events, retry }
            }
            step => step,
        }
    }

    /// Nothing is wanted of it. A person's decision is about an occurrence, and while the
    /// sync is exempt, that may be wanted again before it is over.
    pub(super) fn stay_decided(&self, hold: &Hold) -> Step {
        match self.decided_until(hold).filter(|_| hold.unsettled.pause.is_none()) {
            Some(until) => Step::Rest { until: Some(until) },
            None => self.let_go_unseen(hold),
        }
    }

    /// When the last occurrence is over that somebody decided against.
    fn decided_until(&self, hold: &Hold) -> Option<Uptime> {
        let closes = hold.left_alone.iter().map(|it| it.closes).max().filter(|_| self.turn.is_exempt)?;
        let left = (closes - self.turn.now.wall).to_std().ok().filter(|left| !left.is_zero())?;
        // In whole seconds, so that it is the same timer however often it is set.
        Some(Duration::from_secs((self.turn.now.uptime + left).as_secs() + 1))
    }

    /// As [`Self::let_go`], where nobody has looked: what has not been seen to
    /// run is not proven to run, however long ago anything was sent.
    pub(super) fn let_go_unseen(&self, hold: &Hold) -> Step {
        match hold.unsettled.pause {
            Some(_) => self.keep(Hold { state: HoldState::Settling, ..hold.clone() }, vec![]),
            None => self.let_go(hold, self.turn.now, vec![]),
        }
    }

    /// Left on by a person's decision. If a pause of ours may still be applied,
    /// that decision is looked after like the end of a window.
    pub(super) fn stay_released(&self, hold: &Hold, seen: Option<Seen>) -> Step {
        match seen {
            _ if hold.unsettled.pause.is_none() => Step::Rest { until: None },
            Some(seen) if seen.state == SyncState::Inactive => self.resume(hold),
            Some(seen) if self.all_settled(hold, seen.sent) => {
                self.keep(Hold { unsettled: Unsettled::default(), ..hold.clone() }, vec![])
            }
            None if self.is_to_be_looked_at(hold) => self.look(),
            Some(_) | None => Step::Rest { until: Some(self.settles_at(hold)) },
        }
    }

    /// It runs, as far as we know. An unanswered resume cannot have switched it
    /// off; an unanswered pause can, and may yet.
    pub(super) fn settle(&self, hold: &Hold, seen: Option<Seen>) -> Step {
        let is_pause_out = hold.unsettled.pause.is_some();
        match seen {
            Some(seen) if seen.state == SyncState::Inactive && is_pause_out => self.resume(hold),
            Some(seen) if seen.state == SyncState::Inactive && self.was_hardly_resumed(hold, seen.sent) => {
                self.resume(hold)
            }
            // All that it waits for is its proof, which an errand brings.
            _ if hold.runs.after != After::Nothing && !hold.unsettled.any() => Step::Rest { until: None },
            Some(seen) if self.all_settled(hold, seen.sent) => self.let_go(hold, seen.sent, vec![]),
            None if is_pause_out && self.is_to_be_looked_at(hold) => self.look(),
            None if !is_pause_out && self.all_settled(hold, self.turn.now) => {
                self.let_go(hold, self.turn.now, vec![])
            }
            Some(_) | None => Step::Rest { until: Some(self.settles_at(hold)) },
        }
    }

    /// Whether a row with an unanswered pause is due for a look: when nothing
    /// sent before can be applied any more, and when this process starts, so
    /// that one that never lives long looks too.
    fn is_to_be_looked_at(&self, hold: &Hold) -> bool {
        self.case.looked.is_none() || self.all_settled(hold, self.turn.now)
    }

    /// Whether a proof sent at `proof` is later than anything abandoned since
    /// `mark` can be applied.
    pub(super) fn is_settled(&self, mark: Option<Uptime>, proof: Moment) -> bool {
        mark.is_none_or(|mark| mark + self.turn.rules.settle <= proof.uptime)
    }

    pub(super) fn all_settled(&self, hold: &Hold, proof: Moment) -> bool {
        self.is_settled(hold.unsettled.pause, proof) && self.is_settled(hold.unsettled.resume, proof)
    }

    pub(super) fn settles_at(&self, hold: &Hold) -> Uptime {
        let last = hold.unsettled.pause.max(hold.unsettled.resume).unwrap_or_default();
        last + self.turn.rules.settle
    }

    /// Tells once that a sync is held well past its end.
    pub(super) fn overdue(&self) -> Option<Step> {
        let hold = self.case.hold.as_ref()?;
        let late = TimeDelta::from_std(self.turn.rules.overdue_after).unwrap_or(TimeDelta::MAX);
        let is_overdue = hold.state.owes_resume()
            && !self.want.is_paused()
            && !hold.overdue_told
            && self.turn.now.wall.signed_duration_since(hold.resume_by) >= late;
        is_overdue.then(|| {
            let event = self.event(EventKind::Overdue, hold.holders.first());
            let event = Event { error: hold.last_error.clone(), ..event };
            let hold = Hold { overdue_told: true, ..hold.clone() };
            Step::Keep { hold: Box::new(hold), events: vec![event], retry: self.case.retry }
        })
    }

    // ---- what did not work ----

    /// A POST was refused, or nobody knows what became of it.
    pub(super) fn attempt_failed(&self, active: bool, unsettled: Unsettled, failure: &Failure) -> Step {
        let Some(hold) = &self.case.hold else { return Step::Rest { until: None } };
        let hold = Hold { unsettled, ..hold.clone() };
        match failure.kind {
            // The organization's throttle says when; it is no failure. A resume that
            // is owed needs no new look, which would only use up what is admitted.
            FailureKind::Throttled if active && !self.want.is_paused() => return self.resume(&hold),
            FailureKind::Throttled => return self.keep(hold, vec![]),
            FailureKind::Gone => return self.gone(&hold),
            // The window closed meanwhile: nothing failed that is still wanted.
            _ if !active && !self.want.is_paused() => return self.keep(hold, vec![]),
            _ => {}
        }
        let kind = if active { EventKind::ResumeFailed } else { EventKind::PauseFailed };
        self.failed(hold, kind, failure)
    }

    /// The intent could not be made durable, so nothing was sent.
    pub(super) fn not_written(&self, failure: &Failure) -> Step {
        match &self.case.hold {
            Some(hold) => self.failed(hold.clone(), EventKind::PauseFailed, failure),
            None => self.failed_unheld(failure),
        }
    }

    pub(super) fn look_failed(&self, failure: &Failure) -> Step {
        use HoldState::{Held, Pausing, Released, Resuming, Settling, Skipped};
        if failure.kind == FailureKind::Throttled {
            return Step::Defer { retry: self.retry_at(self.turn.now.uptime), events: vec![] };
        }
        let Some(hold) = &self.case.hold else { return self.failed_unheld(failure) };
        match (hold.state, self.want) {
            (Pausing | Held | Resuming, Want::Running | Want::LeftAlone) => {
                let mut hold = hold.clone();
                hold.end_by(self.turn.now.wall);
                self.failed(hold, EventKind::ResumeFailed, failure)
            }
            (Pausing | Resuming | Skipped | Released | Settling, Want::Paused(_)) => {
                self.failed(hold.clone(), EventKind::PauseFailed, failure)
            }
            // It is as it should be, as far as we know: ask again.
            (Held, Want::Paused(_)) | (Settling | Skipped | Released, Want::Running | Want::LeftAlone) => {
                Step::Defer { retry: self.next_retry(), events: vec![] }
            }
        }
    }

    pub(super) fn failed(&self, mut hold: Hold, kind: EventKind, failure: &Failure) -> Step {
        let retry = self.next_retry();
        hold.attempts = retry.failures;
        hold.last_error = Some(failure.to_string());
        let holder = self.holders().first().or(hold.holders.first());
        let events = self.failure_event(kind, holder, retry.failures, failure);
        Step::Keep { hold: Box::new(hold), events, retry: Some(retry) }
    }

    pub(super) fn failed_unheld(&self, failure: &Failure) -> Step {
        let retry = self.next_retry();
        let events =
            self.failure_event(EventKind::PauseFailed, self.holders().first(), retry.failures, failure);
        Step::Defer { retry, events }
    }

    /// Tells of the first attempts each, then about once an hour: the journal
    /// of a long outage stays readable, and bounded.
    pub(super) fn failure_event(
        &self,
        kind: EventKind,
        holder: Option<&Occurrence>,
        attempt: u32,
        failure: &Failure,
    ) -> Vec<Event> {
        if attempt > 10 && !attempt.is_multiple_of(60) {
            return vec![];
        }
        let event = self.event(kind, holder);
        vec![Event { attempt: Some(attempt), error: Some(failure.to_string()), ..event }]
    }

    pub(super) fn next_retry(&self) -> Retry {
        let pausing = self.want.is_paused();
        let before = self.case.retry.as_ref().filter(|it| it.pausing == pausing);
        let failures = before.map_or(0, |it| it.failures).saturating_add(1);
        let wait = self.turn.rules.backoff.delay(failures, self.turn.jitter);
        Retry { pausing, failures, not_before: self.turn.now.uptime + wait }
    }

    pub(super) fn retry_at(&self, not_before: Uptime) -> Retry {
        let failures = self.case.retry.as_ref().map_or(0, |it| it.failures);
        Retry { pausing: self.want.is_paused(), failures, not_before }
    }

    /// A sync that a window names, of which we hold nothing, does not exist.
    pub(super) fn unknown_sync(&self, pause: &Pause) -> Step {
        let told = self.case.absent;
        let event = Event {
            detail: Some("Polytomic does not know this sync; is the id right?".to_owned()),
            ..self.event(EventKind::Gone, pause.holders.first())
        };
        let events = if told { vec![] } else { vec![event] };
        Step::Defer { retry: self.retry_at(self.turn.now.uptime + GONE_RETRY), events }
    }

    /// A sync that we hold is not known (any more): it was deleted, or the key
    /// is now another organization's. Only time can tell.
    pub(super) fn gone(&self, hold: &Hold) -> Step {
        let now = self.turn.now;
        let before = hold.gone.unwrap_or(Gone { since: now.wall, times: 0 });
        // What an earlier process counted has no uptime. Its wall clock may have been
        // wrong, and then this counts one answer too early, and no more than one.
        let counts = before.times == 0
            || match self.case.gone_counted {
                Some(at) => at + GONE_RETRY <= now.uptime,
                None => now.wall.signed_duration_since(before.since).abs() >= an_hour(),
            };
        let gone = if counts { Gone { since: now.wall, times: before.times + 1 } } else { before };
        if gone.times >= GONE_FOR_GOOD && self.turn.key_proven {
            let detail = format!("Polytomic has not known it in {} answers, an hour apart each", gone.times);
            let event = self.event(EventKind::Forgotten, hold.holders.first());
            return Step::Forget { events: vec![Event { detail: Some(detail), ..event }] };
        }
        let event = self.event(EventKind::Gone, hold.holders.first());
        let events = if before.times == 0 { vec![event] } else { vec![] };
        let hold = Hold {
            gone: Some(gone),
            last_error: Some("Polytomic does not know this sync (404)".to_owned()),
            ..hold.clone()
        };
        let retry = Some(self.retry_at(self.turn.now.uptime + GONE_RETRY));
        Step::Keep { hold: Box::new(hold), events, retry }
    }

    // ---- telling ----

    pub(super) fn keep(&self, hold: Hold, events: Vec<Event>) -> Step {
        let mut hold = Hold { attempts: 0, last_error: None, ..hold };
        // A clock may be set back by hours, hardly by days.
        let long_ago = self.turn.now.wall - TimeDelta::days(2);
        for it in &mut hold.left_alone {
            // An operator may let an occurrence close later.
            if let Some(open) = self.turn.desired.holders().iter().find(|open| open.is(it)) {
                it.closes = open.closes;
            }
        }
        hold.left_alone.retain(|it| it.closes > long_ago);
        Step::Keep { hold: Box::new(hold), events, retry: None }
    }

    pub(super) fn holders(&self) -> &[Occurrence] {
        match self.want {
            Want::Paused(pause) => &pause.holders,
            Want::Running | Want::LeftAlone => &[],
        }
    }

    pub(super) fn event(&self, kind: EventKind, holder: Option<&Occurrence>) -> Event {
        let took = match self.case.evidence.as_deref() {
            Some(Evidence::Answered { sent, .. }) => Some(self.turn.now.uptime.saturating_sub(sent.uptime)),
            _ => None,
        };
        Event {
            took,
            sync: Some(self.case.sync.clone()),
            name: self.case.name.clone(),
            window: holder.map(|it| it.window.clone()),
            occurrence: holder.map(|it| it.opens),
            ..Event::new(kind)
        }
    }

    /// An event that somebody else caused.
    pub(super) fn event_by(&self, kind: EventKind, holder: Option<&Occurrence>, by: Option<&str>) -> Event {
        let event = self.event(kind, holder);
        match kind {
            EventKind::Released => Event { by: by.unwrap_or("somebody at Polytomic").to_owned(), ..event },
            _ => event,
        }
    }
}

/// Whether what was sent at `sent` was sent after the pause began.
pub(super) fn begun(pause: &Pause, sent: Moment) -> bool {
    begins(pause).is_none_or(|begins| begins <= sent.wall)
}

/// Whether the pause of this row had ended before any of these occurrences began, and
/// serves none of them.
pub(super) fn was_over_before(hold: &Hold, pause: &Pause) -> bool {
    let is_served = |it: &Occurrence| hold.holders.iter().any(|other| other.is(it));
    pause.holders.iter().all(|it| hold.resume_by < it.pauses && !is_served(it))
}

fn begins(pause: &Pause) -> Option<DateTime<Utc>> {
    pause.holders.iter().map(|it| it.pauses).min()
}

fn an_hour() -> TimeDelta {
    TimeDelta::from_std(GONE_RETRY).expect("an hour is in range")
}
