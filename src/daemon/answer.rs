//! Answers what the command line asks over the control socket.

use std::collections::BTreeMap;

use crate::config::Diagnostic;
use crate::domain::event::EventKind;
use crate::domain::operator::is_order;
use crate::domain::sync::{Name, SyncRef, find_sync};
use crate::domain::zone::Zone;
use crate::ledger::{Entry, HistoryQuery, LedgerError, SyncFilter};
use crate::reconcile::{NotEnded, OrderReport, Resumed, Selection};
use crate::web::api::{
    Ask, DaemonStatus, ForgetRequest, Forgotten, HistoryRequest, JournalLine, MOST_LINES, NamedSync, Names,
    Refusal, ResumeAnswer, ResumeRequest, ResumedSync, Snapshot, Status,
};

use tokio::sync::oneshot;
use uuid::Uuid;

use super::executor::Written;
use super::orders::Obeyed;
use super::{Daemon, telling};

impl Daemon {
    /// Answers one question. Whoever asked may have gone away meanwhile, which
    /// is nobody's fault.
    pub(super) fn answer(&mut self, ask: Ask) {
        match ask {
            Ask::Status(reply) => drop(reply.send(self.status())),
            Ask::Snapshot(reply) => drop(reply.send(self.snapshot())),
            Ask::Plan(reply) => drop(reply.send(self.reconciler.plan(self.clock.now()))),
            Ask::Names(reply) => drop(reply.send(self.names())),
            Ask::History { request, reply } => match query(&request) {
                Ok(query) => {
                    let ledger = self.ledger.clone();
                    tokio::spawn(async move {
                        let entries = ledger.history(query).await;
                        let lines = entries.map(|it| it.into_iter().map(JournalLine::from).collect());
                        drop(
                            reply.send(lines.map_err(|error| Refusal::Ledger { message: error.to_string() })),
                        );
                    });
                }
                Err(refusal) => drop(reply.send(Err(refusal))),
            },
            Ask::Reload { reply } => drop(reply.send(self.reload())),
            Ask::Resume { request, by, reply } => {
                let obeyed = self.resume(&request, &by);
                self.obey(obeyed, reply);
            }
            Ask::Pause { request, by, reply } => {
                let obeyed = self.pause(&request, by);
                self.obey(obeyed, reply);
            }
            Ask::Extend { request, by, reply } => {
                let obeyed = self.extend(&request, by);
                self.obey(obeyed, reply);
            }
            Ask::Exempt { request, by, reply } => {
                let obeyed = self.exempt(&request, by);
                self.obey(obeyed, reply);
            }
            Ask::Why { sync, reply } => drop(reply.send(self.why(&sync))),
            Ask::Forget { request, by, reply } => {
                let obeyed = self.forget(&request, &by);
                self.obey(obeyed, reply);
            }
        }
    }

    /// Does what an operator asked for. What is confirmed is durable, also if it was asked for
    /// before, and nothing is left to write.
    fn obey<T: Send + 'static>(&mut self, obeyed: Obeyed<T>, reply: oneshot::Sender<Result<T, Refusal>>) {
        match obeyed {
            Err(refusal) => drop(reply.send(Err(refusal))),
            Ok((answer, actions)) => {
                let writes = self.carry_out(actions);
                if writes.is_empty() && !self.reconciler.is_written() {
                    return drop(reply.send(Err(not_written("it takes no writes"))));
                }
                tokio::spawn(async move { drop(reply.send(written(writes).await.map(|()| answer))) });
            }
        }
    }

    fn status(&self) -> Status {
        let now = self.clock.now();
        let report = self.reconciler.report(now);
        let clock_error = telling::clock_error(now.wall);
        let selection_errors = self.reconciler.selection_troubles();
        let healthy = self.config_error.is_none()
            && clock_error.is_none()
            && self.damaged.is_empty()
            && selection_errors.is_empty()
            && !report.has_trouble();
        Status {
            daemon: DaemonStatus {
                pid: std::process::id(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
                started_at: self.started_at,
                config: self.start.config.display().to_string(),
                config_error: self.config_error.as_ref().map(|error| match self.config {
                    Some(_) => format!("what was in force stays:\n{error}"),
                    None => format!(
                        "nothing is in force: what is held is resumed when due, nothing is paused:\n{error}"
                    ),
                }),
                tzdb: self.zone_data().to_owned(),
                clock_error,
            },
            healthy,
            next_change: report.next_change,
            syncs: report.syncs,
            orders: report.orders,
            ledger_damage: self.damaged.clone(),
            selection_errors,
            preflights: self.reconciler.preflights(),
            notify: self.notifying.reports(),
        }
    }

    fn snapshot(&self) -> Snapshot {
        let config = self.config.as_ref();
        let warning = |it: &Diagnostic| it.render(false).lines().next().unwrap_or_default().to_owned();
        let zone = config.and_then(|it| {
            let first = it.calendar.windows().first().map(|it| it.times.zone());
            it.timezone.as_ref().or(first).cloned()
        });
        Snapshot {
            at: self.clock.now().wall,
            status: self.status(),
            calendar: self.reconciler.calendar().map(|it| it.as_ref().clone()),
            names: self.reconciler.names().clone(),
            selections: self.reconciler.selections(),
            zone: zone.unwrap_or_else(Zone::utc),
            organizations: config
                .into_iter()
                .flat_map(|it| &it.organizations)
                .map(|(name, it)| (name.clone(), it.organization.url.clone()))
                .collect(),
            fingerprint: config.map(|it| it.fingerprint.clone()),
            warnings: config.into_iter().flat_map(|it| &it.warnings).map(warning).collect(),
            is_written: self.reconciler.is_written(),
        }
    }

    fn names(&self) -> Names {
        let windows = self.reconciler.calendar().map(|it| it.windows().iter().map(|it| it.name.clone()));
        let mut syncs = BTreeMap::<&SyncRef, Option<&str>>::new();
        for (sync, name) in self.reconciler.known_syncs() {
            let known = syncs.entry(sync).or_default();
            *known = known.or(name);
        }
        let named = |(sync, name): (&SyncRef, Option<&str>)| NamedSync {
            sync: sync.clone(),
            name: name.map(str::to_owned),
        };
        Names {
            windows: windows.into_iter().flatten().collect(),
            syncs: syncs.into_iter().map(named).collect(),
        }
    }

    fn resume(&mut self, request: &ResumeRequest, by: &str) -> Obeyed<ResumeAnswer> {
        let selection = self.selection(request)?;
        if let Selection::Window(name) = &selection
            && is_order(name)
        {
            return self.end_order(name, by, request.reason.as_deref());
        }
        let now = self.clock.now();
        let (resumed, actions) = self.reconciler.resume(&selection, by, request.reason.as_deref(), now);
        let syncs = resumed.into_iter().map(ResumedSync::from).collect();
        Ok((ResumeAnswer { syncs, ..ResumeAnswer::default() }, actions))
    }

    /// Ends what an operator asked for, by its name.
    fn end_order(&mut self, name: &Name, by: &str, reason: Option<&str>) -> Obeyed<ResumeAnswer> {
        let ended = self.reconciler.end_order(name, by, reason, self.clock.now());
        let (ended, actions) = ended.map_err(|error| not_ended(&error))?;
        let answer = ResumeAnswer {
            order: Some(OrderReport::from(&ended.order)),
            closes: ended.closes,
            syncs: ended.syncs.into_iter().map(ResumedSync::from).collect(),
        };
        Ok((answer, actions))
    }

    /// The sync that an operator means.
    pub(super) fn find(&self, text: &str) -> Result<SyncRef, Refusal> {
        find_sync(text, self.reconciler.known_syncs())
            .map_err(|error| Refusal::NotFound { message: error.to_string() })
    }

    fn selection(&self, request: &ResumeRequest) -> Result<Selection, Refusal> {
        match (request.all, &request.window, &request.syncs[..]) {
            (true, None, []) => Ok(Selection::All),
            (false, Some(name), []) => {
                let name = Name::from(name.as_str());
                if self.reconciler.knows_window(&name) {
                    Ok(Selection::Window(name))
                } else if is_order(&name) {
                    Err(not_ended(&NotEnded::Unknown(name)))
                } else {
                    Err(Refusal::NotFound { message: format!("there is no window `{name}`") })
                }
            }
            (false, None, [_, ..]) => {
                Ok(Selection::Syncs(request.syncs.iter().map(|it| self.find(it)).collect::<Result<_, _>>()?))
            }
            _ => Err(Refusal::BadRequest {
                message: "name syncs, or one window, or all; not more than one of these".to_owned(),
            }),
        }
    }

    fn forget(&mut self, request: &ForgetRequest, by: &str) -> Obeyed<Forgotten> {
        let sync = self.find(&request.sync)?;
        let actions = self
            .reconciler
            .forget(&sync, by, self.clock.now())
            .map_err(|error| Refusal::Conflict { message: error.to_string() })?;
        Ok((Forgotten { sync: sync.to_string() }, actions))
    }
}

fn not_ended(error: &NotEnded) -> Refusal {
    let message = error.to_string();
    match error {
        NotEnded::Unknown(_) => Refusal::NotFound { message },
        NotEnded::Unforeseeable { .. } => Refusal::Conflict { message },
    }
}

/// Once all of it is on disk; or what is so where it is not.
async fn written(writes: Vec<Written>) -> Result<(), Refusal> {
    for write in writes {
        // That a task broke ends the daemon.
        match write.await.unwrap_or(Err(LedgerError::Stopped)) {
            Ok(()) => {}
            Err(error) if error.is_fatal() => return Err(Refusal::Ledger { message: error.to_string() }),
            Err(error) => return Err(not_written(&error.to_string())),
        }
    }
    Ok(())
}

fn not_written(why: &str) -> Refusal {
    let message = format!(
        "it counts from now on, but it is not on disk: until the ledger takes writes again, a restart would \
         forget it ({why})"
    );
    Refusal::Ledger { message }
}

impl From<Resumed> for ResumedSync {
    fn from(it: Resumed) -> Self {
        Self {
            sync: it.sync.to_string(),
            name: it.name,
            was: it.was,
            ended: it.ended,
            paused_until: it.paused_until,
            paused_by: it.paused_by,
            next: it.next,
        }
    }
}

impl From<Entry> for JournalLine {
    fn from(entry: Entry) -> Self {
        let Entry { id, at, event, state_before, state_after } = entry;
        Self {
            entry: id,
            at,
            event: event.kind.as_str().to_owned(),
            organization: event.sync.as_ref().map(|it| it.organization.clone()),
            kind: event.sync.as_ref().map(|it| it.kind),
            id: event.sync.as_ref().map(|it| it.id),
            name: event.name,
            window: event.window,
            occurrence: event.occurrence,
            by: event.by,
            detail: event.detail,
            attempt: event.attempt,
            error: event.error,
            description: event.description,
            state_before,
            state_after,
        }
    }
}

/// The journal's part that is asked for, or a page of it. Offline the command line reads the
/// ledger with the same words.
pub fn query(request: &HistoryRequest) -> Result<HistoryQuery, Refusal> {
    let events = match &request.event {
        None => vec![],
        Some(text) => text
            .split(',')
            .map(|name| name.trim().parse::<EventKind>())
            .collect::<Result<_, _>>()
            .map_err(|error| Refusal::BadRequest { message: error.to_string() })?,
    };
    Ok(HistoryQuery {
        since: request.since,
        until: request.until,
        sync: request.sync.as_deref().map(filter),
        window: request.window.as_deref().map(Name::from),
        events,
        after_id: request.after,
        before_id: request.before,
        limit: Some(request.limit.unwrap_or(MOST_LINES).min(MOST_LINES)),
        newest_first: !request.oldest_first,
    })
}

/// Which sync is meant, as far as the journal alone can tell.
fn filter(text: &str) -> SyncFilter {
    let id = text.rsplit_once('/').map_or(text, |(_, id)| id);
    Uuid::parse_str(id).map_or_else(|_| SyncFilter::Named(text.to_owned()), SyncFilter::Id)
}
