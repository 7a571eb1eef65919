//! Who switched what, and whether every sync is as it should be: judged by the
//! simulated Polytomic's own record, not by the daemon's.

use chrono::{DateTime, Utc};

use super::super::table::{Mood, Rows, count};
use super::cast::{Cast, Part};
use crate::simulator::{Change, Who, World};

/// One sync in the end.
struct Ended {
    name: String,
    switched: usize,
    is_on: bool,
    should_be_on: bool,
    /// Who decided that last, if it was a person.
    by: Option<String>,
}

/// What there is to tell.
pub(super) struct Verdict {
    switches: Vec<[String; 4]>,
    ended: Vec<Ended>,
}

impl Verdict {
    pub(super) fn of(world: &World, cast: &Cast, began: DateTime<Utc>) -> Self {
        let name = |change: &Change| {
            cast.all()
                .into_iter()
                .find(|it| it.id == change.id)
                .map_or_else(String::new, |it| it.name.clone())
        };
        let switches = world.changes().iter().filter(|it| it.changed()).map(|it| {
            let at = (it.at - began).num_milliseconds();
            let at = format!("{:+}.{} s", at / 1000, at.abs() % 1000 / 100);
            [at, name(it), is_on(it.after).to_owned(), who(it)]
        });
        let switches = switches.collect();
        Self { switches, ended: cast.all().into_iter().map(|part| ended(world, part)).collect() }
    }

    /// Whether every sync is as it was before, or as a person last set it.
    pub(super) fn is_good(&self) -> bool {
        self.ended.iter().all(|it| it.is_on == it.should_be_on) && self.paused() > 0
    }

    /// Who switched what when.
    pub(super) fn table(&self) -> String {
        let mut rows = Rows::under(&["WHEN", "SYNC", "SWITCHED", "BY"]);
        for row in &self.switches {
            rows.add(Mood::Plain, row.clone());
        }
        format!("\n{}\n", rows.render())
    }

    /// The verdict in words.
    pub(super) fn sentence(&self) -> String {
        let wrong: Vec<String> =
            self.ended.iter().filter(|it| it.is_on != it.should_be_on).map(Ended::told).collect();
        if !wrong.is_empty() {
            return format!(
                "{} not as it should be: {}. The daemon ended inside a window; one that goes on would mend this.",
                if wrong.len() == 1 { "1 sync is".to_owned() } else { format!("{} syncs are", wrong.len()) },
                wrong.join(", ")
            );
        }
        if self.paused() == 0 {
            return "nothing was paused: the demonstration ended too early".to_owned();
        }
        let by_people = self.ended.iter().filter(|it| it.by.is_some()).map(Ended::told);
        format!(
            "every sync is as it was before: {} paused and resumed; {}",
            count(self.paused(), "sync"),
            by_people.collect::<Vec<_>>().join(", ")
        )
    }

    fn paused(&self) -> usize {
        self.ended.iter().filter(|it| it.switched > 0 && it.by.is_none()).count()
    }
}

impl Ended {
    fn told(&self) -> String {
        let by = self.by.as_ref().map_or_else(String::new, |by| format!(", as {by} left it"));
        format!("{} is {}{by}", self.name, is_on(Some(self.is_on)))
    }
}

/// What a person set last counts; else what was so before. All changes that are
/// not a person's are the daemon's.
fn ended(world: &World, part: &Part) -> Ended {
    let changes = || world.changes_of(part.id).filter(|it| it.changed());
    let is_on = world.sync(part.id).is_some_and(|it| it.active);
    let person = changes().filter(|it| it.who == Who::Person).last();
    let before = changes().next().map_or(Some(is_on), |it| it.before);
    Ended {
        name: part.name.clone(),
        switched: changes().filter(|it| it.who == Who::Api).count(),
        is_on,
        should_be_on: person.map_or(before, |it| it.after).unwrap_or(false),
        by: person.map(|it| it.by.clone()),
    }
}

fn who(change: &Change) -> String {
    match change.who {
        Who::Person => change.by.clone(),
        Who::Api => "intermission".to_owned(),
    }
}

fn is_on(active: Option<bool>) -> &'static str {
    match active {
        Some(true) => "on",
        Some(false) => "off",
        None => "gone",
    }
}
