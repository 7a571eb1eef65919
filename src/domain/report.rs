//! What came of an occurrence: what of it is told once all that it paused runs again.

use chrono::{DateTime, Utc};

use super::execution::RunStatus;
use super::hold::Hold;
use super::operator::is_order;
use super::sync::{Name, SyncRef};

/// So many missed runs are told one by one.
const MOST_NAMED: usize = 5;

/// What came of one occurrence for one sync that runs again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncReport {
    /// The window.
    pub window: Name,
    /// When the occurrence opened.
    pub opens: DateTime<Utc>,
    /// The sync.
    pub sync: SyncRef,
    /// Its name, or its id if that is not known.
    pub name: String,
    /// The run that its schedule had planned inside the pause, as far as that was
    /// asked for before.
    pub missed: Option<DateTime<Utc>>,
    /// When its last run ended that brought data.
    pub completed: Option<DateTime<Utc>>,
    /// When it runs next.
    pub next: Option<DateTime<Utc>>,
}

impl SyncReport {
    /// One for each window that held the sync, after its resume was looked at. An
    /// operator's pause is no window.
    pub fn of<'a>(hold: &'a Hold, status: Option<&'a RunStatus>) -> impl Iterator<Item = Self> + 'a {
        let holders = hold.holders.iter().filter(|it| !is_order(&it.window));
        holders.map(move |holder| Self {
            window: holder.window.clone(),
            opens: holder.opens,
            sync: hold.sync.clone(),
            name: hold.name.clone().unwrap_or_else(|| hold.sync.id.to_string()),
            missed: hold.runs.next.filter(|_| hold.runs.has_missed_one()),
            completed: status.and_then(|it| it.last_completed).max(hold.runs.last_completed),
            next: status.and_then(|it| it.next),
        })
    }
}

/// All that came of one occurrence.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tally {
    syncs: u32,
    // When each would have run, and its name.
    missed: Vec<(DateTime<Utc>, String)>,
    oldest: Option<(DateTime<Utc>, String)>,
    next: Option<(DateTime<Utc>, String)>,
    last_next: Option<DateTime<Utc>>,
}

impl Tally {
    /// Counts what came of it for one more sync.
    pub fn add(&mut self, report: &SyncReport) {
        let named = |at: DateTime<Utc>| (at, report.name.clone());
        self.syncs += 1;
        self.missed.extend(report.missed.map(named));
        self.oldest = [self.oldest.take(), report.completed.map(named)].into_iter().flatten().min();
        self.next = [self.next.take(), report.next.map(named)].into_iter().flatten().min();
        self.last_next = self.last_next.max(report.next);
    }

    /// It in one line: `3 syncs run again; runs that fell into it: Leads at …; …`
    pub fn in_words(&mut self) -> String {
        let mut parts = vec![match self.syncs {
            1 => "1 sync runs again".to_owned(),
            syncs => format!("{syncs} syncs run again"),
        }];
        self.missed.sort();
        if !self.missed.is_empty() {
            let named =
                self.missed.iter().take(MOST_NAMED).map(|(at, name)| format!("{name} at {}", instant(*at)));
            let rest = self.missed.len().saturating_sub(MOST_NAMED);
            let rest = (rest > 0).then(|| format!("{rest} more"));
            let named: Vec<String> = named.chain(rest).collect();
            parts.push(format!("runs that fell into it: {}", named.join(", ")));
        }
        if let Some((at, name)) = &self.oldest {
            parts.push(format!("the oldest data is that of {name}, last run until {}", instant(*at)));
        }
        match (&self.next, self.last_next) {
            (Some((at, name)), Some(last)) if *at < last => {
                parts.push(format!("next runs from {} ({name}) to {}", instant(*at), instant(last)));
            }
            (Some((at, name)), _) => parts.push(format!("next run at {} ({name})", instant(*at))),
            (None, _) => {}
        }
        parts.join("; ")
    }
}

fn instant(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minute: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + 60 * minute, 0).unwrap()
    }

    #[test]
    fn one_line_says_what_was_missed_how_old_the_data_is_and_what_comes_next() {
        let mut tally = Tally { syncs: 1, ..Tally::default() };
        assert_eq!(tally.in_words(), "1 sync runs again");
        tally = Tally {
            syncs: 2,
            missed: vec![(at(9), "Leads".to_owned()), (at(5), "Contacts".to_owned())],
            oldest: Some((at(-60), "Leads".to_owned())),
            next: Some((at(60), "Contacts".to_owned())),
            last_next: Some(at(90)),
        };
        assert_eq!(
            tally.in_words(),
            "2 syncs run again; runs that fell into it: Contacts at 2027-01-15T08:05:00Z, Leads at \
             2027-01-15T08:09:00Z; the oldest data is that of Leads, last run until 2027-01-15T07:00:00Z; \
             next runs from 2027-01-15T09:00:00Z (Contacts) to 2027-01-15T09:30:00Z"
        );
    }

    #[test]
    fn of_many_missed_runs_the_first_are_named() {
        let missed = (0..500).map(|minute| (at(minute), format!("sync {minute}"))).collect();
        let mut tally = Tally { syncs: 500, missed, ..Tally::default() };
        let told = tally.in_words();
        assert!(told.contains("sync 4 at ") && told.ends_with(", 495 more"), "{told}");
        assert!(!told.contains("sync 5 at "), "{told}");
    }
}
