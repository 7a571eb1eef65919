//! What came of an occurrence: what of it is told once all that it paused runs again.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::execution::RunStatus;
use super::hold::{Hold, HoldState};
use super::moment::instant;
use super::notice::listed;
use super::operator::is_order;
use super::sync::{Name, SyncRef};
use super::window::Occurrence;

/// So many missed runs are told one by one.
const MOST_NAMED: usize = 5;

/// What came of one occurrence for one sync.
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
    /// What became of it.
    pub ending: Ending,
    /// The run that its schedule had planned inside the pause, as far as that was
    /// asked for before.
    pub missed: Option<DateTime<Utc>>,
    /// When its last run ended that brought data.
    pub completed: Option<DateTime<Utc>>,
    /// When it runs next.
    pub next: Option<DateTime<Utc>>,
}

/// What became of a sync of an occurrence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// We paused it, and it runs again.
    RunsAgain,
    /// Somebody wanted it on.
    LeftOn,
    /// It was off before, and still is as far as we know.
    WasOff,
}

impl Ending {
    /// The word for it in the ledger.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RunsAgain => "runs_again",
            Self::LeftOn => "left_on",
            Self::WasOff => "was_off",
        }
    }

    /// What the ledger's word means.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::RunsAgain, Self::LeftOn, Self::WasOff].into_iter().find(|it| it.as_str() == text)
    }
}

impl SyncReport {
    /// One for each window that held the sync, after its resume was looked at. An
    /// operator's pause is no window.
    pub fn of_resumed<'a>(hold: &'a Hold, status: Option<&'a RunStatus>) -> impl Iterator<Item = Self> + 'a {
        hold.all_served().filter(|it| !is_order(&it.window)).map(move |holder| Self {
            missed: hold.runs.next.filter(|_| hold.runs.has_missed_one()),
            completed: status.and_then(|it| it.last_completed).max(hold.runs.last_completed),
            next: status.and_then(|it| it.next),
            ..Self::new(hold, holder, Ending::RunsAgain)
        })
    }

    /// One for each window that left the sync alone, and is over.
    pub fn of_left_alone(hold: &Hold) -> impl Iterator<Item = Self> {
        let ending = match hold.state {
            HoldState::Released => Some(Ending::LeftOn),
            HoldState::Skipped => Some(Ending::WasOff),
            HoldState::Pausing | HoldState::Held | HoldState::Resuming | HoldState::Settling => None,
        };
        let windows = hold.left_alone.iter().filter(|it| !is_order(&it.window));
        windows.filter_map(move |it| Some(Self::new(hold, it, ending?)))
    }

    fn new(hold: &Hold, occurrence: &Occurrence, ending: Ending) -> Self {
        Self {
            window: occurrence.window.clone(),
            opens: occurrence.opens,
            sync: hold.sync.clone(),
            name: hold.called(),
            ending,
            missed: None,
            completed: None,
            next: None,
        }
    }
}

/// All that came of one occurrence.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tally(BTreeMap<SyncRef, SyncReport>);

impl Tally {
    /// Takes note of what came of it for one sync; says whether that is news. That a
    /// sync was left alone is none if it was paused before.
    pub fn add(&mut self, report: SyncReport) -> bool {
        let is_known = self.0.get(&report.sync).is_some_and(|it| it.ending == Ending::RunsAgain);
        let is_news = report.ending == Ending::RunsAgain || !is_known;
        if is_news {
            self.0.insert(report.sync.clone(), report);
        }
        is_news
    }

    /// It in one line: `3 syncs run again; runs known to have fallen into it: Leads at …; …`.
    /// Others still hold `still`.
    pub fn in_words(&self, still: &[String]) -> String {
        let ended = |ending| self.0.values().filter(move |it| it.ending == ending);
        let resumed = || ended(Ending::RunsAgain);
        let mut parts = vec![match resumed().count() {
            0 => "no sync had to be resumed".to_owned(),
            1 => "1 sync runs again".to_owned(),
            syncs => format!("{syncs} syncs run again"),
        }];
        let mut missed: Vec<_> = resumed().filter_map(|it| Some((it.missed?, it.name.as_str()))).collect();
        missed.sort();
        if !missed.is_empty() {
            let named =
                missed.iter().take(MOST_NAMED).map(|(at, name)| format!("{name} at {}", instant(*at)));
            let rest = missed.len().saturating_sub(MOST_NAMED);
            let rest = (rest > 0).then(|| format!("{rest} more"));
            let named: Vec<String> = named.chain(rest).collect();
            parts.push(format!("runs known to have fallen into it: {}", named.join(", ")));
        }
        if let Some((at, name)) = resumed().filter_map(|it| Some((it.completed?, &it.name))).min() {
            parts.push(format!("the oldest data is that of {name}, last run until {}", instant(at)));
        }
        let next = || resumed().filter_map(|it| Some((it.next?, &it.name)));
        match (next().min(), next().max()) {
            (Some((at, name)), Some((last, _))) if at < last => {
                parts.push(format!("next runs from {} ({name}) to {}", instant(at), instant(last)));
            }
            (Some((at, name)), _) => parts.push(format!("next run at {} ({name})", instant(at))),
            (None, _) => {}
        }
        let still = still.iter().map(String::as_str).collect();
        let names = |ending| ended(ending).map(|it| it.name.as_str()).collect::<Vec<_>>();
        for (what, names) in [
            ("still paused by others", still),
            ("left on, as somebody wanted", names(Ending::LeftOn)),
            ("off before it, and left so", names(Ending::WasOff)),
        ] {
            if !names.is_empty() {
                parts.push(format!("{what}: {}", listed(names.iter().copied(), names.len())));
            }
        }
        parts.join("; ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::sync::SyncKind;
    use uuid::Uuid;

    fn at(minute: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + 60 * minute, 0).unwrap()
    }

    fn report(number: u128, name: &str, ending: Ending) -> SyncReport {
        let sync = SyncRef::new("default".into(), SyncKind::Model, Uuid::from_u128(number));
        let name = name.to_owned();
        let (missed, completed, next) = (None, None, None);
        SyncReport { window: "w".into(), opens: at(0), sync, name, ending, missed, completed, next }
    }

    fn told(reports: &[SyncReport], still: &[&str]) -> String {
        let mut tally = Tally::default();
        for it in reports {
            tally.add(it.clone());
        }
        tally.in_words(&still.iter().map(|&it| it.to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn an_ending_is_read_from_the_word_that_it_is_written_as() {
        let words = [Ending::RunsAgain, Ending::LeftOn, Ending::WasOff].map(|it| (it.as_str(), it));
        for (word, ending) in words {
            assert_eq!(Ending::parse(word), Some(ending));
        }
        assert_eq!(words.map(|(word, _)| word), ["runs_again", "left_on", "was_off"]);
        assert_eq!(Ending::parse("runs"), None);
    }

    #[test]
    fn an_operators_pause_is_no_window_to_report_of() {
        let occurrence = |window: &str| Occurrence {
            window: window.into(),
            pauses: at(0),
            opens: at(0),
            closes: at(60),
            enforce: false,
            runs: crate::domain::execution::RunPolicy::default(),
        };
        let sync = SyncRef::new("default".into(), SyncKind::Model, Uuid::nil());
        let organization = std::sync::Arc::new(crate::domain::organization::Organization::example());
        let mut hold =
            crate::domain::plan::Case::new(sync).new_hold(&organization, HoldState::Released, at(0));
        let all = [occurrence("night"), occurrence("operator#7")];
        hold.holders = all.clone().into();
        hold.leave_alone(&all);
        let windows = |reports: Vec<SyncReport>| {
            reports.into_iter().map(|it| it.window.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(windows(SyncReport::of_resumed(&hold, None).collect()), ["night"]);
        assert_eq!(windows(SyncReport::of_left_alone(&hold).collect()), ["night"]);
    }

    #[test]
    fn runs_that_come_at_once_are_one_time_and_not_two() {
        let next = |number, name, minute| SyncReport {
            next: Some(at(minute)),
            ..report(number, name, Ending::RunsAgain)
        };
        let ends = |reports: &[SyncReport], with: &str| {
            let told = told(reports, &[]);
            assert!(told.ends_with(with), "{told}");
        };
        ends(
            &[next(1, "Leads", 90), next(2, "Contacts", 90)],
            &format!("next run at {} (Contacts)", instant(at(90))),
        );
        ends(
            &[next(1, "Leads", 90), next(2, "Contacts", 95)],
            &format!("next runs from {} (Leads) to {}", instant(at(90)), instant(at(95))),
        );
    }

    #[test]
    fn one_line_says_what_was_missed_how_old_the_data_is_and_what_comes_next() {
        let leads = report(1, "Leads", Ending::RunsAgain);
        assert_eq!(told(std::slice::from_ref(&leads), &[]), "1 sync runs again");
        let leads = SyncReport { missed: Some(at(9)), completed: Some(at(-60)), next: Some(at(90)), ..leads };
        let contacts = report(2, "Contacts", Ending::RunsAgain);
        let contacts =
            SyncReport { missed: Some(at(5)), completed: Some(at(-5)), next: Some(at(60)), ..contacts };
        assert_eq!(
            told(&[leads, contacts], &[]),
            "2 syncs run again; runs known to have fallen into it: Contacts at 2027-01-15T08:05:00Z, Leads at \
             2027-01-15T08:09:00Z; the oldest data is that of Leads, last run until 2027-01-15T07:00:00Z; \
             next runs from 2027-01-15T09:00:00Z (Contacts) to 2027-01-15T09:30:00Z"
        );
    }

    #[test]
    fn what_was_not_ours_and_what_others_hold_is_told_too() {
        let all = [
            report(1, "Leads", Ending::LeftOn),
            report(2, "Contacts", Ending::WasOff),
            report(3, "Stripe", Ending::LeftOn),
        ];
        assert_eq!(
            told(&all, &["HubSpot"]),
            "no sync had to be resumed; still paused by others: HubSpot; left on, as somebody wanted: Leads, Stripe; \
             off before it, and left so: Contacts"
        );
    }

    #[test]
    fn a_sync_counts_once_however_often_it_was_resumed_and_what_was_paused_was_not_left_alone() {
        let resumed = report(1, "Leads", Ending::RunsAgain);
        let left = report(1, "Leads", Ending::LeftOn);
        assert_eq!(told(&[resumed.clone(), resumed.clone(), left.clone()], &[]), "1 sync runs again");
        assert_eq!(told(&[left.clone(), resumed.clone()], &[]), "1 sync runs again");
        let mut tally = Tally::default();
        assert!(tally.add(left.clone()) && tally.add(resumed) && !tally.add(left));
    }

    #[test]
    fn of_many_missed_runs_the_first_are_named() {
        let missed = |it: u32| SyncReport {
            missed: Some(at(it.into())),
            ..report(it.into(), &format!("sync {it}"), Ending::RunsAgain)
        };
        let told = told(&(0..500).map(missed).collect::<Vec<_>>(), &[]);
        assert!(told.contains("sync 4 at ") && told.ends_with(", 495 more"), "{told}");
        assert!(!told.contains("sync 5 at "), "{told}");
    }
}
