//! Windows that select: the lists that they are read from, and what becomes of them.

use crate::domain::selection::{Resolution, Seen, Select};
use crate::domain::sync::SyncKind;

use super::{
    Arc, BTreeSet, Calendar, Failure, Fault, Happening, Name, On, Organization, SyncRef, SyncState, Told,
    World,
};

/// What a window pauses, before and after a list was heard.
#[derive(Debug)]
pub(in super::super) struct Heard<'a> {
    pub(in super::super) window: &'a Name,
    pub(in super::super) asks_for_pauses: bool,
    pub(in super::super) before: &'a BTreeSet<SyncRef>,
    pub(in super::super) after: &'a BTreeSet<SyncRef>,
    /// What the list has of what it selects. None: there was no list.
    pub(in super::super) meant: Option<BTreeSet<SyncRef>>,
    /// What the file names. None: nobody knows, as the file is broken.
    pub(in super::super) named: Option<&'a BTreeSet<SyncRef>>,
}

impl World {
    /// A list of many pages shows what was so at its first page. Of a sync that somebody
    /// changes meanwhile it may have nothing.
    pub(super) fn list(&mut self, organization: Arc<Organization>, kinds: &[SyncKind]) {
        let is_meant = |it: &&SyncRef| it.organization == organization.name && kinds.contains(&it.kind);
        let syncs: Vec<SyncRef> = self.api.syncs().filter(is_meant).cloned().collect();
        let course = self.course(On::List, &organization.name, None);
        let there = syncs.into_iter().filter(|it| self.api.state(it) != SyncState::Gone);
        let mut shown: Vec<Seen> = there.map(|sync| self.api.seen(sync)).collect();
        if course.failure.is_none() && !shown.is_empty() && self.goes_wrong() {
            self.meet(Fault::ListIncomplete, On::World);
            let missing = shown.swap_remove(self.rng.usize(..shown.len()));
            note!(self, Request: "  the list has nothing of {}", missing.sync);
        }
        let listed = course.failure.map_or(Ok(shown), Err);
        let process = self.process;
        let pages = self.rng.u32(1..40);
        self.after(course.answered * pages, Happening::Listed { process, organization, listed });
    }

    pub(super) fn hear_list(
        &mut self,
        process: u64,
        organization: &Arc<Organization>,
        listed: &Result<Vec<Seen>, Failure>,
    ) {
        if process != self.process {
            return;
        }
        let now = self.now();
        let Some(reconciler) = &mut self.reconciler else { return };
        // A list of an organization that is reached elsewhere by now says nothing.
        let is_in_force = reconciler.organizations().any(|(it, _)| it == organization);
        let actions = reconciler.hear_list(organization, listed, now);
        let before = self.in_force.clone();
        self.calendar_may_be_renewed();
        if let (Some(before), Some(after)) = (before, self.in_force.clone()) {
            let listed = listed.as_ref().ok().filter(|_| is_in_force);
            self.judge_list(organization, &before, &after, listed);
        }
        self.carry_out(actions);
        self.pass();
    }

    fn judge_list(
        &mut self,
        organization: &Organization,
        before: &Calendar,
        after: &Calendar,
        listed: Option<&Vec<Seen>>,
    ) {
        for (window, select) in before.selecting().filter(|(_, it)| it.organization == organization.name) {
            let Some(now) = after.window(window.name.as_str()) else { continue };
            let named = self.windows.iter().find(|it| it.name == window.name).map(|it| &it.syncs);
            self.judge.list_is_heard(&Heard {
                window: &window.name,
                asks_for_pauses: window.pausing(self.wall).next().is_some(),
                before: &window.syncs,
                after: &now.syncs,
                meant: listed.map(|all| meant(select, all)),
                named: named.filter(|_| !self.config_is_broken),
            });
        }
    }

    /// A start goes on with what was found before.
    pub(super) fn judge_start(&mut self, found: &[Resolution]) {
        let Some(calendar) = self.in_force.clone() else { return };
        for (window, select) in calendar.selecting() {
            let answers =
                |it: &&Resolution| it.window == window.name && it.fingerprint == select.fingerprint();
            if let Some(found) = found.iter().find(answers) {
                let found: BTreeSet<SyncRef> = found.found.keys().cloned().collect();
                self.judge.selection_is_remembered(&window.name, &found, &window.syncs);
            }
        }
    }

    /// Somebody calls a sync otherwise: other windows select it from then on.
    pub(super) fn rename_sync(&mut self) {
        if self.is_calm {
            return;
        }
        let syncs: Vec<SyncRef> = self.api.syncs().cloned().collect();
        let sync = &syncs[self.rng.usize(..syncs.len())];
        self.meet(Fault::SyncRenamed, On::World);
        let name = self.api.rename(sync);
        note!(self, World: "somebody calls {sync} {name}");
    }
}

/// What a list has of what a window of a scene selects: by the first letters of a name,
/// which is enough to know it without the product's own matching.
fn meant(select: &Select, all: &[Seen]) -> BTreeSet<SyncRef> {
    let begins = |seen: &Seen| {
        let patterns = select.any_of.iter().filter_map(|it| it.name.as_ref());
        patterns
            .map(|it| it.as_str().trim_end_matches('*'))
            .any(|first| seen.name.as_deref().is_some_and(|name| name.starts_with(first)))
    };
    let is_meant = |it: &&Seen| begins(it) && !select.exclude.contains(&it.sync.id);
    all.iter().filter(is_meant).map(|it| it.sync.clone()).collect()
}
