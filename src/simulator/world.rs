//! The simulated Polytomic's state, what people do to it, and what it remembers.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::execution::Trigger;
use super::fault::{Faults, RateLimit, Rule};
use super::idempotency::Kept;
use super::organization::Organization;
use super::record::{Change, Received, Who};
use super::sync::{Actor, Sync};
use crate::domain::sync::{Name, SyncKind};

/// A simulated Polytomic. See the [module](super) for what it does.
#[derive(Debug)]
pub struct World {
    pub(super) organizations: Vec<Organization>,
    pub(super) faults: Faults,
    pub(super) kept: Kept,
    pub(super) whole_bulk_lists: bool,
    // What happens by itself, by time and then by order of entry.
    queue: BTreeMap<(DateTime<Utc>, u64), Due>,
    queued: u64,
    changes: Vec<Change>,
    requests: Vec<Received>,
    received: u64,
    most_records: usize,
    ids: fastrand::Rng,
}

/// Something that happens at its time.
#[derive(Debug, Clone)]
pub(super) enum Due {
    /// A request that was answered, or given up, long before.
    Late { command: Command, number: u64, key: Option<String> },
    /// A schedule's run, unless the sync was switched since.
    Run { organization: usize, id: Uuid },
}

/// A change that a request asks for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Command {
    pub(super) organization: usize,
    pub(super) kind: SyncKind,
    pub(super) id: Uuid,
    pub(super) change: super::route::Change,
}

/// There is no organization of this name, or no sync of this id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the simulated Polytomic has no `{0}`")]
pub struct Unknown(pub String);

/// How it is set up.
impl World {
    /// An empty one. The seed decides ids and the dice of faults.
    pub fn new(seed: u64) -> Self {
        Self {
            organizations: Vec::new(),
            faults: Faults::new(seed),
            kept: Kept::default(),
            whole_bulk_lists: false,
            queue: BTreeMap::new(),
            queued: 0,
            changes: Vec::new(),
            requests: Vec::new(),
            received: 0,
            most_records: usize::MAX,
            ids: fastrand::Rng::with_seed(!seed),
        }
    }

    /// Adds an organization, opened by this key, and says its id.
    pub fn add_organization(&mut self, name: impl Into<Name>, key: impl Into<String>) -> Uuid {
        let id = self.new_id();
        let (name, key) = (name.into(), key.into());
        self.organizations.push(Organization { id, name, key, syncs: BTreeMap::new() });
        id
    }

    /// Gives an organization another key; the old one opens nothing from now.
    pub fn set_key(&mut self, organization: &str, key: impl Into<String>) -> Result<(), Unknown> {
        let index = self.organization_index(organization)?;
        self.organizations[index].key = key.into();
        Ok(())
    }

    /// Puts a sync there as if it had always been, without a record of it. Its
    /// schedule goes on from `now`.
    pub fn add(&mut self, now: DateTime<Utc>, organization: &str, sync: Sync) -> Result<(), Unknown> {
        let index = self.organization_index(organization)?;
        let id = sync.id;
        self.organizations[index].syncs.insert(id, sync);
        self.reschedule(index, id, now);
        Ok(())
    }

    /// An id that no other object here has.
    pub fn new_id(&mut self) -> Uuid {
        uuid::Builder::from_random_bytes(self.ids.u128(..).to_be_bytes()).into_uuid()
    }

    /// How long the executions of a sync take that are begun from now on.
    pub fn set_run_length(&mut self, id: Uuid, length: chrono::TimeDelta) -> Result<(), Unknown> {
        self.any_sync_mut(id)?.1.run_length = length;
        Ok(())
    }

    /// How a sync comes to run, from now on; `unplanned`, if nobody heeds it.
    pub fn set_schedule(
        &mut self,
        now: DateTime<Utc>,
        id: Uuid,
        schedule: super::Schedule,
        unplanned: bool,
    ) -> Result<(), Unknown> {
        let (organization, sync) = self.any_sync_mut(id)?;
        (sync.schedule, sync.unplanned) = (schedule, unplanned);
        self.reschedule(organization, id, now);
        Ok(())
    }

    /// Whether the API's keys may change a sync; if not, they get 403.
    pub fn forbid(&mut self, id: Uuid, forbidden: bool) -> Result<(), Unknown> {
        self.any_sync_mut(id)?.1.forbidden = forbidden;
        Ok(())
    }

    /// Whether `GET /api/bulk/syncs` ignores `limit` and answers with one
    /// page, which is what the schema of that path says and its prose denies.
    pub fn set_whole_bulk_lists(&mut self, whole: bool) {
        self.whole_bulk_lists = whole;
    }

    /// Keeps about this many of the last requests and changes, for a world
    /// that lives long and that nobody judges.
    pub fn limit_records(&mut self, most: usize) {
        self.most_records = most;
    }
}

/// What goes wrong.
impl World {
    /// Adds a rule, after those that are there.
    pub fn add_rule(&mut self, rule: Rule) {
        self.faults.rules.push(rule);
    }

    /// Removes every rule and the rate limit. What was to be applied late
    /// still is.
    pub fn clear_faults(&mut self) {
        self.faults.rules.clear();
        self.faults.limit_rate(None);
    }

    /// Sets or removes the rate limit.
    pub fn limit_rate(&mut self, limit: Option<RateLimit>) {
        self.faults.limit_rate(limit);
    }

    /// The rules in force.
    pub fn rules(&self) -> &[Rule] {
        &self.faults.rules
    }

    /// The rate limit in force.
    pub fn rate_limit(&self) -> Option<&RateLimit> {
        self.faults.rate_limit()
    }
}

/// What people do in Polytomic's own pages.
impl World {
    /// Somebody switches a sync.
    pub fn person_sets(
        &mut self,
        now: DateTime<Utc>,
        id: Uuid,
        active: bool,
        name: &str,
    ) -> Result<(), Unknown> {
        self.advance(now);
        let (organization, sync) = self.any_sync_mut(id)?;
        let (kind, before) = (sync.kind, sync.active);
        sync.switch(now, active, Actor::person(name));
        self.queue_next_run(organization, id);
        self.note(now, organization, (kind, id), Who::Person, name, (Some(before), Some(active)), None);
        Ok(())
    }

    /// Somebody starts an execution; nothing happens if one is running.
    pub fn person_starts(&mut self, now: DateTime<Utc>, id: Uuid) -> Result<(), Unknown> {
        self.advance(now);
        let execution = self.new_id();
        let (_, sync) = self.any_sync_mut(id)?;
        if sync.running(now).is_none() {
            sync.start(now, execution, Trigger::Manual);
        }
        Ok(())
    }

    /// Somebody makes a sync.
    pub fn create(
        &mut self,
        now: DateTime<Utc>,
        organization: &str,
        sync: Sync,
        name: &str,
    ) -> Result<(), Unknown> {
        self.advance(now);
        let index = self.organization_index(organization)?;
        let (kind, id, active) = (sync.kind, sync.id, sync.active);
        self.organizations[index].syncs.insert(id, sync);
        self.reschedule(index, id, now);
        self.note(now, index, (kind, id), Who::Person, name, (None, Some(active)), None);
        Ok(())
    }

    /// Somebody deletes a sync for good.
    pub fn delete(&mut self, now: DateTime<Utc>, id: Uuid, name: &str) -> Result<(), Unknown> {
        self.advance(now);
        let (organization, _) = self.any_sync_mut(id)?;
        if let Some(sync) = self.organizations[organization].syncs.remove(&id) {
            let was = (Some(sync.active), None);
            self.note(now, organization, (sync.kind, id), Who::Person, name, was, None);
        }
        Ok(())
    }
}

/// What judges ask.
impl World {
    /// A sync, whichever organization has it.
    pub fn sync(&self, id: Uuid) -> Option<&Sync> {
        self.organizations.iter().find_map(|it| it.syncs.get(&id))
    }

    /// Every sync, with its organization's name, by organization and id.
    pub fn syncs(&self) -> impl Iterator<Item = (&Name, &Sync)> {
        self.organizations.iter().flat_map(|it| it.syncs.values().map(move |sync| (&it.name, sync)))
    }

    /// Every organization's id and name.
    pub fn organizations(&self) -> impl Iterator<Item = (Uuid, &Name)> {
        self.organizations.iter().map(|it| (it.id, &it.name))
    }

    /// Every change, in order of time.
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// The changes of one sync.
    pub fn changes_of(&self, id: Uuid) -> impl Iterator<Item = &Change> {
        self.changes.iter().filter(move |it| it.id == id)
    }

    /// Whether a sync was active at a time, by its history; none if it did not
    /// exist. A change counts from its own instant.
    pub fn active_at(&self, id: Uuid, at: DateTime<Utc>) -> Option<bool> {
        let before = self.changes_of(id).take_while(|it| it.at <= at).last().map(|it| it.after);
        let first = || self.changes_of(id).next().map(|it| it.before);
        before.or_else(first).unwrap_or_else(|| self.sync(id).map(|it| it.active))
    }

    /// Every request, in order of arrival.
    pub fn requests(&self) -> &[Received] {
        &self.requests
    }

    /// How many requests wait to be applied late.
    pub fn pending(&self) -> usize {
        self.queue.values().filter(|it| matches!(it, Due::Late { .. })).count()
    }
}

/// How time passes.
impl World {
    /// Lets everything happen that was due until `now`, each at its own time.
    /// Every request and every person's deed does this first.
    pub fn advance(&mut self, now: DateTime<Utc>) {
        while let Some(entry) = self.queue.first_entry().filter(|it| it.key().0 <= now) {
            let ((at, _), due) = entry.remove_entry();
            match due {
                Due::Late { command, number, key } => self.apply_late(at, command, number, key),
                Due::Run { organization, id } => self.run(at, organization, id),
            }
        }
    }

    pub(super) fn queue(&mut self, at: DateTime<Utc>, due: Due) {
        self.queued += 1;
        self.queue.insert((at, self.queued), due);
    }

    /// A schedule's time has come. The queue still holds the times of
    /// schedules that a switch has ended since; the sync knows.
    fn run(&mut self, at: DateTime<Utc>, organization: usize, id: Uuid) {
        let execution = self.new_id();
        let Some(sync) = self.organizations[organization].syncs.get_mut(&id) else { return };
        if sync.next_run != Some(at) {
            return;
        }
        if sync.running(at).is_none() {
            sync.start(at, execution, Trigger::Scheduled);
        }
        self.reschedule(organization, id, at);
    }

    fn reschedule(&mut self, organization: usize, id: Uuid, now: DateTime<Utc>) {
        if let Some(sync) = self.organizations[organization].syncs.get_mut(&id) {
            sync.reschedule(now);
            self.queue_next_run(organization, id);
        }
    }

    pub(super) fn queue_next_run(&mut self, organization: usize, id: Uuid) {
        let next = self.organizations[organization].syncs.get(&id).and_then(|it| it.next_run);
        if let Some(at) = next {
            self.queue(at, Due::Run { organization, id });
        }
    }
}

/// What it writes down.
impl World {
    #[expect(clippy::too_many_arguments, reason = "one for each field of a change, in their order")]
    pub(super) fn note(
        &mut self,
        at: DateTime<Utc>,
        organization: usize,
        (kind, id): (SyncKind, Uuid),
        who: Who,
        by: &str,
        (before, after): (Option<bool>, Option<bool>),
        request_number: Option<u64>,
    ) {
        let organization = self.organizations[organization].name.clone();
        let by = by.to_owned();
        self.changes.push(Change { at, organization, kind, id, who, by, before, after, request_number });
        forget_oldest(&mut self.changes, self.most_records);
    }

    /// Writes a request down and says its number.
    pub(super) fn receive(&mut self, request: Received) -> u64 {
        self.received += 1;
        self.requests.push(Received { number: self.received, ..request });
        forget_oldest(&mut self.requests, self.most_records);
        self.received
    }

    /// The record of a request, unless it was forgotten.
    pub(super) fn received_mut(&mut self, number: u64) -> Option<&mut Received> {
        let first = self.requests.first()?.number;
        self.requests.get_mut(usize::try_from(number.checked_sub(first)?).ok()?)
    }

    fn organization_index(&self, name: &str) -> Result<usize, Unknown> {
        let index = self.organizations.iter().position(|it| it.name.as_str() == name);
        index.ok_or_else(|| Unknown(name.to_owned()))
    }

    fn any_sync_mut(&mut self, id: Uuid) -> Result<(usize, &mut Sync), Unknown> {
        self.organizations
            .iter_mut()
            .enumerate()
            .find_map(|(index, it)| it.syncs.get_mut(&id).map(|sync| (index, sync)))
            .ok_or_else(|| Unknown(id.to_string()))
    }
}

/// Drops the older half once there are twice as many as wanted, so that it is
/// cheap on average.
fn forget_oldest<T>(records: &mut Vec<T>, most: usize) {
    if records.len() >= most.saturating_mul(2) {
        records.drain(..records.len() - most);
    }
}
