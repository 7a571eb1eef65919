//! Notices that one person, or their Terraform, switches on many syncs of a window.
//!
//! Each is a line of its own in the journal. What they have in common is told once,
//! in the log, to whoever can change it.

use std::collections::BTreeMap;
use std::time::Duration;

use tracing::warn;

use crate::domain::event::{Event, EventKind};
use crate::domain::moment::Uptime;
use crate::domain::sync::Name;

/// Fewer than these are told one by one, and no more.
const MANY: u32 = 3;

/// They are counted for so long, from the first on.
const TOGETHER: Duration = Duration::from_secs(10);

/// What somebody did to one window's syncs.
#[derive(Debug, Clone, Copy)]
struct Count {
    first: Uptime,
    syncs: u32,
}

/// Who switched what on, a moment ago.
#[derive(Debug, Default)]
pub(super) struct Switched(BTreeMap<(Name, String), Count>);

impl Switched {
    /// Takes note of what goes into the journal.
    pub(super) fn note(&mut self, event: &Event, now: Uptime) {
        let (EventKind::Released, Some(window)) = (event.kind, &event.window) else { return };
        let count =
            self.0.entry((window.clone(), event.by.clone())).or_insert(Count { first: now, syncs: 0 });
        count.syncs += 1;
    }

    /// When there is something to tell.
    pub(super) fn due(&self) -> Option<Uptime> {
        self.0.values().map(|it| it.first + TOGETHER).min()
    }

    /// Tells of those who have come to their end.
    pub(super) fn tell(&mut self, now: Uptime) {
        self.0.retain(|(window, by), count| {
            let is_over = count.first + TOGETHER <= now;
            if is_over && count.syncs >= MANY {
                warn!(
                    by = by.as_str(),
                    window = window.as_str(),
                    syncs = count.syncs,
                    "{}",
                    sentence(window, by, count.syncs)
                );
            }
            !is_over
        });
    }
}

fn sentence(window: &Name, by: &str, syncs: u32) -> String {
    format!(
        "{syncs} syncs of window `{window}` were switched on by {by}, and are left on. If they are to be paused, \
         whoever switches them must know of the window: Terraform leaves the switch alone with \
         `lifecycle {{ ignore_changes = [active] }}`; `on_manual_resume = \"enforce\"` pauses them again"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn released(by: &str) -> Event {
        Event { window: Some("patching".into()), by: by.to_owned(), ..Event::new(EventKind::Released) }
    }

    #[test]
    fn each_person_is_counted_from_their_first_switch_on_and_forgotten_once_told() {
        let at = Duration::from_secs;
        let mut switched = Switched::default();
        assert_eq!(switched.due(), None);
        switched.note(&Event { by: "Ada".to_owned(), ..Event::new(EventKind::Resumed) }, at(1));
        assert_eq!(switched.due(), None, "only what somebody else switched on counts");
        for second in [5, 6, 7] {
            switched.note(&released("Ada"), at(second));
        }
        switched.note(&released("Grace"), at(8));
        let counts: Vec<u32> = switched.0.values().map(|it| it.syncs).collect();
        assert_eq!((counts, switched.due()), (vec![3, 1], Some(at(15))));
        switched.tell(at(15));
        assert_eq!(switched.due(), Some(at(18)));
        switched.tell(at(18));
        assert_eq!(switched.due(), None);
    }

    #[test]
    fn it_names_who_and_what_to_change() {
        let told = sentence(&"patching".into(), "Ada", 40);
        for words in ["40 syncs of window `patching`", "by Ada", "lifecycle { ignore_changes = [active] }"] {
            assert!(told.contains(words), "{told}");
        }
    }
}
