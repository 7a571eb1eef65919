//! What happened: the words of the journal, which are also those of the log,
//! the metrics and the notices.

use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};

use super::sync::{Name, SyncRef};

/// One thing that happened. The time is added by whoever records it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// What happened.
    pub kind: EventKind,
    /// The sync it happened to, if it happened to one.
    pub sync: Option<SyncRef>,
    /// That sync's name at Polytomic, when known.
    pub name: Option<String>,
    /// The window on whose behalf, or which it is about.
    pub window: Option<Name>,
    /// When that window's occurrence opened.
    pub occurrence: Option<DateTime<Utc>>,
    /// Who did it: `daemon`, `somebody at Polytomic`, or an operator.
    pub by: String,
    /// Which attempt failed, counted from 1.
    pub attempt: Option<u32>,
    /// What the attempt met.
    pub error: Option<String>,
    /// The rest, for people.
    pub detail: Option<String>,
    /// What the window's author says about it. Added by whoever knows the
    /// windows in force.
    pub description: Option<String>,
    /// How long the request took that brought it about. Told in the log, and
    /// not kept in the journal.
    pub took: Option<Duration>,
}

/// Who does what the plan says.
pub const DAEMON: &str = "daemon";

impl Event {
    /// An event about no sync in particular, done by the daemon.
    pub fn new(kind: EventKind) -> Self {
        Self {
            kind,
            sync: None,
            name: None,
            window: None,
            occurrence: None,
            by: DAEMON.to_owned(),
            attempt: None,
            error: None,
            detail: None,
            description: None,
            took: None,
        }
    }
}

macro_rules! event_kinds {
    ($($(#[$doc:meta])* $kind:ident = $text:literal,)*) => {
        /// The kinds of event. Each has one name everywhere.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum EventKind { $($(#[$doc])* $kind,)* }

        impl EventKind {
            /// Every kind, in the order of the documentation.
            pub const ALL: &[Self] = &[$(Self::$kind),*];

            /// The name in journal, log, metrics and notices.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$kind => $text,)* }
            }
        }

        impl std::str::FromStr for EventKind {
            type Err = UnknownEvent;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text { $($text => Ok(Self::$kind),)* _ => Err(UnknownEvent(text.to_owned())) }
            }
        }
    };
}

event_kinds! {
    /// We paused a sync, and that is confirmed.
    Paused = "paused",
    /// We resumed a sync, and that is confirmed.
    Resumed = "resumed",
    /// A sync was already off when the window began: left as it is.
    Skipped = "skipped",
    /// Somebody switched a sync on inside the window: left on.
    Released = "released",
    /// An attempt to pause a sync did not succeed.
    PauseFailed = "pause_failed",
    /// An attempt to resume a sync did not succeed.
    ResumeFailed = "resume_failed",
    /// A sync is still held well after its end.
    Overdue = "overdue",
    /// A sync that was overdue is held no more.
    Recovered = "recovered",
    /// Polytomic does not know the sync (any more).
    Gone = "gone",
    /// The row of a sync that is gone was dropped.
    Forgotten = "forgotten",
    /// A whole occurrence passed while the daemon could not act.
    WindowMissed = "window_missed",
    /// An occurrence opened.
    WindowOpened = "window_opened",
    /// An occurrence closed.
    WindowClosed = "window_closed",
    /// An operator ended a hold.
    OperatorResume = "operator_resume",
    /// The last execution of a paused sync has ended.
    Quiet = "quiet",
    /// An execution of a paused sync runs on although its window wanted it ended.
    StillRunning = "still_running",
    /// A resumed sync is on, and Polytomic plans no run of it.
    Unscheduled = "unscheduled",
    /// A resumed sync was started once, because a run of it had fallen into the window.
    CaughtUp = "caught_up",
    /// A run that had fallen into the window was not made up for.
    CatchUpFailed = "catch_up_failed",
    /// What came of an occurrence, once all its syncs run again.
    WindowReport = "window_report",
    /// An operator asked for a pause.
    OperatorPause = "operator_pause",
    /// An operator let an open occurrence close later.
    Extended = "extended",
    /// An operator exempted a sync from all windows for a time.
    Exempted = "exempted",
    /// What was found before an occurrence; with an error, if it will be troubled.
    Preflight = "preflight",
    /// What a window selects could not be read, or is nothing.
    SelectionFailed = "selection_failed",
    /// The daemon started.
    DaemonStarted = "daemon_started",
    /// The daemon stopped as asked.
    DaemonStopped = "daemon_stopped",
    /// A configuration came into force.
    ConfigLoaded = "config_loaded",
    /// A configuration was refused; what was in force stays.
    ConfigRejected = "config_rejected",
}

impl std::fmt::Display for EventKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// No event has this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no event `{0}`")]
pub struct UnknownEvent(pub String);

/// The event as a sentence.
impl std::fmt::Display for Event {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sync = match (&self.name, &self.sync) {
            (Some(name), _) => format!("sync `{name}`"),
            (None, Some(sync)) => format!("sync `{}`", sync.id),
            (None, None) => "a sync".to_owned(),
        };
        let window = self.window.as_ref().map_or_else(String::new, |it| format!(" for `{it}`"));
        let about = self.window.as_ref().map_or("a window", Name::as_str);
        match self.kind {
            EventKind::Paused => write!(f, "Paused {sync}{window}"),
            EventKind::Resumed => write!(f, "Resumed {sync}{window}"),
            EventKind::Skipped => write!(f, "Left {sync} as it is{window}"),
            EventKind::Released => write!(f, "Leaving {sync} switched on{window}"),
            EventKind::PauseFailed => write!(f, "Could not pause {sync}{window}"),
            EventKind::ResumeFailed => write!(f, "Could not resume {sync}{window}"),
            EventKind::Overdue => write!(f, "OVERDUE: {sync} is still paused well past its end{window}"),
            EventKind::Recovered => write!(f, "No longer overdue: {sync}{window}"),
            EventKind::Gone => write!(f, "Polytomic does not know {sync}{window}"),
            EventKind::Forgotten => write!(f, "Dropped the row of {sync}"),
            EventKind::WindowMissed => write!(f, "Missed window `{about}` entirely"),
            EventKind::WindowOpened => write!(f, "Window `{about}` opened"),
            EventKind::WindowClosed => write!(f, "Window `{about}` closed"),
            EventKind::OperatorResume => write!(f, "An operator ended the pause of {sync}"),
            EventKind::Quiet => write!(f, "No execution of {sync} runs any more{window}"),
            EventKind::StillRunning => write!(f, "An execution of {sync} still runs{window}"),
            EventKind::Unscheduled => write!(f, "Resumed {sync}, but Polytomic plans no run of it{window}"),
            EventKind::CaughtUp => write!(f, "Started {sync} once, to catch up{window}"),
            EventKind::CatchUpFailed => write!(f, "Could not start {sync} to catch up{window}"),
            EventKind::WindowReport => write!(f, "Report of window `{about}`"),
            EventKind::OperatorPause => write!(f, "An operator pauses {sync}{window}"),
            EventKind::Extended => write!(f, "An operator's extension of window `{about}`"),
            EventKind::Exempted => write!(f, "An operator's exemption of {sync}"),
            EventKind::Preflight => match self.occurrence {
                Some(opens) => {
                    let opens = opens.to_rfc3339_opts(SecondsFormat::Secs, true);
                    write!(f, "Before window `{about}` opens at {opens}")
                }
                None => write!(f, "Before window `{about}`"),
            },
            EventKind::SelectionFailed => write!(f, "Selection of window `{about}`"),
            EventKind::DaemonStarted => write!(f, "Started"),
            EventKind::DaemonStopped => write!(f, "Stopped"),
            EventKind::ConfigLoaded => write!(f, "Configuration in force"),
            EventKind::ConfigRejected => write!(f, "Configuration rejected"),
        }?;
        if let Some(attempt) = self.attempt {
            write!(f, " (attempt {attempt})")?;
        }
        let more = [&self.error, &self.detail].into_iter().flatten();
        for (more, between) in more.zip([": ", "; "]) {
            write!(f, "{between}{more}")?;
        }
        Ok(())
    }
}
