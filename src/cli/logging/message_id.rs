//! What the journal calls a `MESSAGE_ID`: one for each kind of event, chosen once
//! and never changed. `systemd/intermission.catalog` explains them.

use crate::domain::event::EventKind;

/// The identifier of all messages about events of this kind.
pub(super) fn message_id(kind: EventKind) -> &'static str {
    match kind {
        EventKind::Paused => "4dd02132c94e423a8a2c04ab4d8829cc",
        EventKind::Resumed => "1cadf56ece814878a78a827501badeec",
        EventKind::Skipped => "ae034545f22848919c3f2bb3f8620a09",
        EventKind::Released => "ffba3e5468864786be54d39c24c67756",
        EventKind::PauseFailed => "6b717cbb31454bafab5d58d2ecda04f7",
        EventKind::ResumeFailed => "94bf3cd1541845bfa093fef12eed6dee",
        EventKind::Overdue => "be318fb245da41299ea3872dddd83ca5",
        EventKind::Recovered => "0fcfcb2d7f354b2683b2ab7a34224b77",
        EventKind::Gone => "5391b284ea46410d94184ca7d7282119",
        EventKind::Forgotten => "483290fba8a24a97be3c9b4e394be691",
        EventKind::WindowMissed => "542ecc044acc48809185195a9e19e2da",
        EventKind::WindowOpened => "a3a6b51fce4346d3b5d7f245935c45fa",
        EventKind::WindowClosed => "eb30f274645a41c1ae59d8dc5e3829d6",
        EventKind::OperatorResume => "37bce48b6c7f43c7b7096102fd7de584",
        EventKind::Quiet => "fd92081b9806446184af4c8330cc1c81",
        EventKind::StillRunning => "fa9be82b653c40f3a75358f0fabc075a",
        EventKind::Unscheduled => "39467ba40c7c49a6b8786791b7d752a3",
        EventKind::CaughtUp => "11bb5ac6e9e34812ba93eb4040af151e",
        EventKind::CatchUpFailed => "083c2a40abbf4b569862acad120b8997",
        EventKind::WindowReport => "80b73327e63b4923907107a1c0016c3e",
        EventKind::OperatorPause => "8cd12031f4f643bab624c96d40edfddb",
        EventKind::Extended => "d02288b8e7904e4cb4369d20424fdb5c",
        EventKind::Exempted => "cc4481fe5d0f4089876d34759ed3ff6d",
        EventKind::Preflight => "bbba0937b71541aa82dc338e892fb5a6",
        EventKind::SelectionFailed => "ccd32ce22016422db40a78d8a752a51d",
        EventKind::DaemonStarted => "db1a4ff42aa04103acad66579f195aa5",
        EventKind::DaemonStopped => "80cdd3ae829c4d2abe358bbd5f8d34ea",
        EventKind::ConfigLoaded => "16221b321c77448f8548ebee8231b02c",
        EventKind::ConfigRejected => "b325164291574d68b6d548c6c30594ef",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const CATALOG: &str = include_str!("../../../systemd/intermission.catalog");
    const PAGE: &str = include_str!("../../../docs/operations.md");

    #[test]
    fn every_kind_has_an_identifier_of_its_own() {
        let ids: BTreeSet<_> = EventKind::ALL.iter().map(|it| message_id(*it)).collect();
        assert_eq!(ids.len(), EventKind::ALL.len());
        for id in ids {
            assert!(id.len() == 32 && id.bytes().all(|it| matches!(it, b'0'..=b'9' | b'a'..=b'f')), "{id}");
        }
    }

    #[test]
    fn the_documentation_names_each() {
        for kind in EventKind::ALL {
            let row = format!("| `{kind}` | `{}` |", message_id(*kind));
            assert!(PAGE.lines().any(|it| it.starts_with(&row)), "docs/operations.md has no row `{row}`");
        }
    }

    #[test]
    fn the_catalog_explains_only_what_there_is() {
        let entries: Vec<_> = CATALOG.lines().filter_map(|it| it.strip_prefix("-- ")).collect();
        assert!(!entries.is_empty());
        for entry in entries {
            assert!(EventKind::ALL.iter().any(|it| message_id(*it) == entry), "{entry} is no event's");
        }
    }
}
