//! What an operator asks for beside the file: the request is understood here, and
//! refused where it makes no sense; the reconciler carries it.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use crate::domain::operator;
use crate::domain::sync::{Name, SyncKind, SyncRef};
use crate::domain::window::Occurrence;
use crate::reconcile::{Action, OrderReport, Terms, Why};
use crate::web::api::{ExemptRequest, ExtendRequest, Ordered, PauseRequest, Refusal};

use super::Daemon;

/// What an operator is told once the actions that come with it are on disk.
pub(super) type Obeyed<T> = Result<(T, Vec<Action>), Refusal>;

impl Daemon {
    /// Why a sync is paused or not.
    pub(super) fn why(&self, sync: &str) -> Result<Why, Refusal> {
        Ok(self.reconciler.why(&self.find(sync)?, self.clock.now()))
    }

    /// Pauses syncs on an operator's word.
    pub(super) fn pause(&mut self, request: &PauseRequest, by: String) -> Obeyed<Ordered> {
        let now = self.clock.now();
        if self.config.is_none() {
            return Err(conflict("no configuration is in force, and without one nothing is paused"));
        }
        let syncs = self.to_pause(request)?;
        let from = request.from.unwrap_or(now.wall).max(now.wall);
        let until = end(from, request.until, request.seconds)?;
        let terms = self.terms(from, until, &request.reason, by)?;
        let (order, actions) = self.reconciler.pause(syncs, terms, now);
        let ordered = self.ordered(Some(OrderReport::from(&order)), order.syncs().cloned());
        Ok((Ordered { notes: self.taken_for(&request.syncs), ..ordered }, actions))
    }

    /// Keeps an open occurrence open for longer.
    pub(super) fn extend(&mut self, request: &ExtendRequest, by: String) -> Obeyed<Ordered> {
        let now = self.clock.now();
        let open = self.open_occurrence(&request.window)?;
        let until = after(open.closes, Duration::from_secs(request.seconds))?;
        // What counts is how much longer it is open than the file says.
        let written =
            self.config.as_ref().and_then(|it| it.calendar.window(&request.window)?.covering(open.opens));
        let from = written.map_or(open.closes, |it| it.closes);
        let terms = Terms { from: now.wall, ..self.terms(from, until, &request.reason, by)? };
        let (order, actions) = self.reconciler.extend(&open, terms, now);
        let window = self.reconciler.calendar().and_then(|it| it.window(&request.window));
        let syncs: Vec<SyncRef> = window.into_iter().flat_map(|it| it.syncs.clone()).collect();
        Ok((self.ordered(Some(OrderReport::from(&order)), syncs.into_iter()), actions))
    }

    /// Takes windows away from syncs for a time, or gives them back.
    pub(super) fn exempt(&mut self, request: &ExemptRequest, by: String) -> Obeyed<Ordered> {
        let now = self.clock.now();
        let syncs = match (request.all, &request.syncs[..]) {
            (true, []) => None,
            (false, [_, ..]) => {
                Some(request.syncs.iter().map(|it| self.find(it)).collect::<Result<BTreeSet<_>, _>>()?)
            }
            (true, [_, ..]) | (false, []) => return Err(bad_request("name syncs, or all of them")),
        };
        let (order, actions) = if request.end {
            let ended = self.reconciler.end_exemptions(syncs.as_ref(), &by, now);
            (None, ended.map_err(|error| conflict(&error.to_string()))?)
        } else {
            let until = end(now.wall, request.until, request.seconds)?;
            let terms = self.terms(now.wall, until, &request.reason, by)?;
            let (order, actions) = self.reconciler.exempt(syncs.clone(), terms, now);
            (Some(OrderReport::from(&order)), actions)
        };
        let touched = match syncs {
            Some(syncs) => syncs,
            None => self.touched_now(),
        };
        Ok((self.ordered(order, touched.into_iter()), actions))
    }

    /// The syncs that are told of, and those that something asks to pause.
    fn touched_now(&self) -> BTreeSet<SyncRef> {
        let now = self.clock.now();
        let sync = |organization: Name, kind, id| SyncRef::new(organization, kind, id);
        let told = self.reconciler.report(now).syncs;
        let told = told.into_iter().map(|it| sync(it.organization, it.kind, it.id));
        self.reconciler.touched(now).into_iter().chain(told).collect()
    }

    fn ordered(&self, order: Option<OrderReport>, syncs: impl Iterator<Item = SyncRef>) -> Ordered {
        let now = self.clock.now();
        Ordered { order, syncs: syncs.map(|it| self.reconciler.why(&it, now)).collect(), notes: vec![] }
    }

    fn terms(
        &self,
        from: DateTime<Utc>,
        until: DateTime<Utc>,
        reason: &str,
        by: String,
    ) -> Result<Terms, Refusal> {
        let most = self.config.as_ref().map_or(Duration::from_hours(7 * 24), |it| it.reconcile.max_pause);
        let most = TimeDelta::from_std(most).unwrap_or(TimeDelta::MAX);
        operator::check(from, until, reason, self.clock.now().wall, most)
            .map_err(|error| bad_request(&error.to_string()))?;
        Ok(Terms { from, until, reason: reason.trim().to_owned(), by })
    }

    fn to_pause(&self, request: &PauseRequest) -> Result<BTreeSet<SyncRef>, Refusal> {
        match (&request.window, &request.syncs[..]) {
            (Some(name), []) => {
                let window = self.reconciler.calendar().and_then(|it| it.window(name));
                let window = window.ok_or_else(|| no_window(name))?;
                if window.syncs.is_empty() {
                    return Err(conflict(&format!("window `{name}` covers no sync now")));
                }
                Ok(window.syncs.clone())
            }
            (None, [_, ..]) => request.syncs.iter().map(|it| self.find_or_new(it, request.kind)).collect(),
            (Some(_), [_, ..]) | (None, []) => Err(bad_request("name syncs, or one window")),
        }
    }

    /// The sync that an operator means; one that no window and no row names needs
    /// its id and its kind.
    fn find_or_new(&self, text: &str, kind: Option<SyncKind>) -> Result<SyncRef, Refusal> {
        let unknown = match self.find(text) {
            Ok(found) if kind.is_none_or(|it| it == found.kind) => return Ok(found),
            // Of another kind there may be one of the same id.
            Ok(found) => conflict(&format!("sync `{text}` is a {} sync", found.kind)),
            Err(unknown) => unknown,
        };
        let (organization, id) = text.rsplit_once('/').unwrap_or((crate::config::DEFAULT_ORGANIZATION, text));
        let Ok(id) = Uuid::parse_str(id.trim()) else { return Err(unknown) };
        let organization = Name::from(organization);
        if !self.reconciler.organizations().any(|(it, _)| it.name == organization) {
            return Err(not_found(format!("there is no organization `{organization}`")));
        }
        let Some(kind) = kind else {
            let told =
                format!("no window and no row names sync `{text}`: say `--kind model` or `--kind bulk`");
            return Err(not_found(told));
        };
        Ok(SyncRef::new(organization, kind, id))
    }

    /// Whose sync each name was taken for. Of each organization only those names
    /// are known whose syncs a window covers, or a row.
    fn taken_for(&self, texts: &[String]) -> Vec<String> {
        if self.reconciler.organizations().count() < 2 {
            return vec![];
        }
        let is_name = |text: &&String| !text.contains('/') && Uuid::parse_str(text.trim()).is_err();
        let note = |text: &String| {
            let organization = self.find(text).ok()?.organization.clone();
            Some(format!(
                "`{text}` is the sync of organization `{organization}`; of another organization, one that no window \
                 covers is not known by its name here: give its `organization/id`"
            ))
        };
        texts.iter().filter(is_name).filter_map(note).collect()
    }

    fn open_occurrence(&self, name: &str) -> Result<Occurrence, Refusal> {
        let now = self.clock.now().wall;
        let window = self.reconciler.calendar().and_then(|it| it.window(name));
        let window = window.ok_or_else(|| no_window(name))?;
        window.covering(now).or_else(|| window.pausing(now).next()).ok_or_else(|| {
            conflict(&format!(
                "window `{name}` is not open, so there is nothing to extend; `intermission pause --window {name}` \
                 pauses its syncs now"
            ))
        })
    }
}

/// When something ends that was given an end or a length.
fn end(
    from: DateTime<Utc>,
    until: Option<DateTime<Utc>>,
    seconds: Option<u64>,
) -> Result<DateTime<Utc>, Refusal> {
    match (until, seconds) {
        (Some(until), None) => Ok(until),
        (None, Some(seconds)) => after(from, Duration::from_secs(seconds)),
        (Some(_), Some(_)) | (None, None) => Err(bad_request("say until when, or for how long")),
    }
}

fn after(from: DateTime<Utc>, length: Duration) -> Result<DateTime<Utc>, Refusal> {
    let length = TimeDelta::from_std(length).ok();
    length.and_then(|it| from.checked_add_signed(it)).ok_or_else(|| bad_request("that is too long"))
}

fn no_window(name: &str) -> Refusal {
    not_found(format!("there is no window `{name}`"))
}

fn not_found(message: String) -> Refusal {
    Refusal::NotFound { message }
}

fn bad_request(message: &str) -> Refusal {
    Refusal::BadRequest { message: message.to_owned() }
}

fn conflict(message: &str) -> Refusal {
    Refusal::Conflict { message: message.to_owned() }
}
