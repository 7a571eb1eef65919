//! The executions of a sync: what a window asks about them, and what Polytomic
//! tells of them.
//!
//! *Paused* and *quiet* are two facts. A model sync's execution goes on when the
//! sync is paused; a bulk sync's is asked by Polytomic itself to cancel, which
//! takes its time (reference pages "activate" of both kinds).

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::sync::SyncKind;
use super::window::Occurrence;

/// What happens to an execution that runs when a pause begins, the mildest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnRunning {
    /// It goes on.
    Leave,
    /// It is waited for.
    Wait,
    /// It is cancelled.
    Cancel,
}

impl OnRunning {
    /// What is done where the file does not say: what pausing such a sync does to
    /// an execution anyway, unless that would break one off.
    pub fn default_of(kind: SyncKind) -> Self {
        match kind {
            SyncKind::Model => Self::Leave,
            SyncKind::Bulk => Self::Wait,
        }
    }

    /// What a window that says this, or nothing, means for such a sync. Leaving a bulk
    /// sync's execution alone is to wait for it: its pause would break it off.
    pub fn meant(written: Option<Self>, kind: SyncKind) -> Self {
        written.unwrap_or(Self::Leave).max(Self::default_of(kind))
    }

    /// The word in the file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Leave => "leave",
            Self::Wait => "wait",
            Self::Cancel => "cancel",
        }
    }
}

/// How long an execution is waited for, unless the file says otherwise.
pub const DEFAULT_LIMIT: Duration = Duration::from_mins(30);

/// What a window asks about executions. It travels with each occurrence, so that
/// a row alone says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct RunPolicy {
    /// What happens to one that runs when the pause begins; none: what is usual for
    /// the kind of sync.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_running: Option<OnRunning>,
    /// How long that may take, counted from when the pause is due to begin.
    #[serde(rename = "on_running_limit_ms", with = "milliseconds")]
    pub limit: Duration,
    /// Whether a sync is started once after its resume, if a run fell into the pause.
    pub catch_up: bool,
}

impl Default for RunPolicy {
    fn default() -> Self {
        Self { on_running: None, limit: DEFAULT_LIMIT, catch_up: false }
    }
}

impl RunPolicy {
    /// Whether it asks for nothing but what is usual.
    pub fn is_usual(&self) -> bool {
        *self == Self::default()
    }
}

mod milliseconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(it: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u64(u64::try_from(it.as_millis()).unwrap_or(u64::MAX))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        u64::deserialize(from).map(Duration::from_millis)
    }
}

/// What the occurrences that hold one sync ask about its executions together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    /// The strictest of what they ask.
    pub on_running: OnRunning,
    /// When those that ask it stop waiting: the first of them counts.
    pub until: Option<DateTime<Utc>>,
    /// Whether one of them asks to make up for a missed run.
    pub catch_up: bool,
}

impl Asked {
    /// Whether the waiting is over.
    pub fn is_over(&self, now: DateTime<Utc>) -> bool {
        self.until.is_none_or(|until| until <= now)
    }

    /// Puts together what these ask for a sync of this kind.
    pub fn of(holders: &[Occurrence], kind: SyncKind) -> Self {
        let asks = |it: &Occurrence| OnRunning::meant(it.runs.on_running, kind);
        let on_running = holders.iter().map(asks).max().unwrap_or(OnRunning::default_of(kind));
        let end = |it: &Occurrence| {
            let limit = TimeDelta::from_std(it.runs.limit).unwrap_or(TimeDelta::MAX);
            it.pauses.checked_add_signed(limit).unwrap_or(DateTime::<Utc>::MAX_UTC)
        };
        Self {
            on_running,
            until: holders.iter().filter(|it| asks(it) == on_running).map(end).min(),
            catch_up: holders.iter().any(|it| it.runs.catch_up),
        }
    }
}

/// How a sync comes to run, as far as its schedule tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Frequency {
    /// By the clock: Polytomic knows when next.
    ByTime,
    /// After other syncs.
    RunAfter,
    /// When somebody or something else asks for it.
    OnDemand,
    /// Polytomic did not say.
    Unknown,
}

impl Frequency {
    /// Reads Polytomic's word for it (`schedule.frequency`).
    pub fn of(text: Option<&str>) -> Self {
        match text {
            Some("continuous" | "hourly" | "daily" | "weekly" | "custom" | "builder" | "multi") => {
                Self::ByTime
            }
            Some("runafter") => Self::RunAfter,
            Some("manual" | "dbtcloud") => Self::OnDemand,
            Some(_) | None => Self::Unknown,
        }
    }

    /// Whether a sync that is on has a next run.
    pub fn promises_a_run(self) -> bool {
        match self {
            Self::ByTime => true,
            Self::RunAfter | Self::OnDemand | Self::Unknown => false,
        }
    }
}

/// What `GET …/status` tells of a sync's executions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunStatus {
    /// Whether one runs. A state that we do not know counts as running.
    pub is_running: bool,
    /// When the newest of them was asked for.
    pub newest: Option<DateTime<Utc>>,
    /// When the last one was over, if it ended well.
    pub last_completed: Option<DateTime<Utc>>,
    /// When the schedule runs it next.
    pub next: Option<DateTime<Utc>>,
}

/// What a row remembers of its sync's executions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Runs {
    /// Whether none runs since the pause; nothing: nobody could see yet.
    pub quiet: Option<bool>,
    /// Whether it was told that one still runs.
    pub told: bool,
    /// When the last one that was over before the pause, or in it, was over.
    pub last_completed: Option<DateTime<Utc>>,
    /// When the schedule would have run it next, as of the pause.
    pub next: Option<DateTime<Utc>>,
    /// When its resume was confirmed.
    pub resumed: Option<DateTime<Utc>>,
    /// What is owed since then.
    pub after: After,
}

/// What is owed to a sync once its resume is confirmed. None of it holds anybody up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum After {
    /// Nothing.
    #[default]
    Nothing,
    /// A look that shows that it is on and will run.
    Proof,
    /// To start it once, because a run fell into the pause; so often it was tried.
    Start(u8),
    /// A look that shows whether it runs: it was started so often, or may have been.
    Started(u8),
}

impl Runs {
    /// A new pause begins, after this was seen.
    pub fn before_pause(seen: Option<&RunStatus>) -> Self {
        Self {
            // That none ran a moment ago does not mean that none runs.
            quiet: seen.filter(|it| it.is_running).map(|_| false),
            told: false,
            last_completed: seen.and_then(|it| it.last_completed),
            next: seen.and_then(|it| it.next),
            resumed: None,
            after: After::Nothing,
        }
    }

    /// Whether a run that the schedule had planned fell into the pause.
    pub fn has_missed_one(&self) -> bool {
        self.next.zip(self.resumed).is_some_and(|(planned, resumed)| planned <= resumed)
    }

    /// Takes note of what was seen inside the pause.
    pub fn note(&mut self, seen: &RunStatus) {
        self.quiet = Some(!seen.is_running);
        self.last_completed = seen.last_completed.or(self.last_completed);
        self.next = self.next.or(seen.next);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holder(pauses: i64, on_running: Option<OnRunning>, minutes: u64) -> Occurrence {
        let at = |seconds| DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap();
        let runs = RunPolicy { on_running, limit: Duration::from_mins(minutes), catch_up: false };
        Occurrence {
            window: "w".into(),
            pauses: at(pauses),
            opens: at(pauses),
            closes: at(90_000),
            enforce: false,
            runs,
        }
    }

    #[test]
    fn the_strictest_holder_decides_and_of_those_the_first_to_lose_patience() {
        use OnRunning::{Cancel, Leave, Wait};
        let check = |holders: &[Occurrence], kind, on_running, until: Option<i64>| {
            let asked = Asked::of(holders, kind);
            let until = until.map(|seconds| DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap());
            assert_eq!((asked.on_running, asked.until), (on_running, until), "{holders:?}");
        };
        check(&[], SyncKind::Bulk, Wait, None);
        check(&[holder(0, None, 30)], SyncKind::Model, Leave, Some(1800));
        check(&[holder(0, None, 30)], SyncKind::Bulk, Wait, Some(1800));
        // Such a window selects it: nobody can write it for a bulk sync that is named.
        check(&[holder(0, Some(Leave), 30)], SyncKind::Bulk, Wait, Some(1800));
        check(&[holder(0, Some(Leave), 30)], SyncKind::Model, Leave, Some(1800));
        let mixed = [holder(0, None, 5), holder(60, Some(Wait), 30), holder(120, Some(Wait), 10)];
        check(&mixed, SyncKind::Model, Wait, Some(720));
        let strict = [holder(0, Some(Wait), 1), holder(60, Some(Cancel), 30)];
        check(&strict, SyncKind::Bulk, Cancel, Some(1860));
    }

    #[test]
    fn a_policy_reads_back_and_what_is_not_written_is_usual() {
        let on_running = Some(OnRunning::Cancel);
        let policy = RunPolicy { on_running, limit: Duration::from_millis(1500), catch_up: true };
        let text = serde_json::to_string(&policy).unwrap();
        assert_eq!(text, r#"{"on_running":"cancel","on_running_limit_ms":1500,"catch_up":true}"#);
        assert_eq!(serde_json::from_str::<RunPolicy>(&text).unwrap(), policy);
        assert!(serde_json::from_str::<RunPolicy>("{}").unwrap().is_usual());
    }

    #[test]
    fn only_a_schedule_by_time_promises_a_run() {
        let promises = |text| Frequency::of(text).promises_a_run();
        for (text, expected) in [
            (Some("hourly"), true),
            (Some("continuous"), true),
            (Some("invented"), false),
            (Some("manual"), false),
            (Some("runafter"), false),
            (Some("dbtcloud"), false),
            (None, false),
        ] {
            assert_eq!(promises(text), expected, "{text:?}");
        }
    }

    #[test]
    fn the_words_of_the_file_are_those_of_the_ledger() {
        for (it, word) in
            [(OnRunning::Leave, "leave"), (OnRunning::Wait, "wait"), (OnRunning::Cancel, "cancel")]
        {
            assert_eq!(it.as_str(), word);
            assert_eq!(serde_json::to_value(it).unwrap(), word);
        }
        assert!(!RunPolicy { catch_up: true, ..RunPolicy::default() }.is_usual());
    }
}
