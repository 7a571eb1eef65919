//! Who is to be decided about, and who of them first.

use std::collections::BTreeSet;

use crate::domain::plan::Case;
use crate::domain::sync::SyncRef;

/// Syncs that wait to be decided about: those that are owed a resume before all
/// others, and each once.
#[derive(Debug, Default)]
pub(super) struct Due {
    owed: BTreeSet<SyncRef>,
    others: BTreeSet<SyncRef>,
}

impl Due {
    /// It waits; `case` is what is known of it.
    pub(super) fn insert(&mut self, sync: SyncRef, case: Option<&Case>) {
        if case.and_then(|it| it.hold.as_ref()).is_some_and(|hold| hold.state.owes_resume()) {
            self.others.remove(&sync);
            self.owed.insert(sync);
        } else if !self.owed.contains(&sync) {
            self.others.insert(sync);
        }
    }

    /// Whose turn it is.
    pub(super) fn pop(&mut self) -> Option<SyncRef> {
        self.owed.pop_first().or_else(|| self.others.pop_first())
    }

    /// Takes this one out; whether it waited.
    pub(super) fn remove(&mut self, sync: &SyncRef) -> bool {
        self.owed.remove(sync) || self.others.remove(sync)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.owed.is_empty() && self.others.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use chrono::DateTime;
    use uuid::Uuid;

    use super::*;
    use crate::domain::hold::HoldState;
    use crate::domain::organization::Organization;
    use crate::domain::sync::SyncKind;

    fn case(number: u128, state: Option<HoldState>) -> Case {
        let case = Case::new(SyncRef::new("default".into(), SyncKind::Model, Uuid::from_u128(number)));
        let organization = Arc::new(Organization::example());
        let hold = state.map(|it| case.new_hold(&organization, it, DateTime::UNIX_EPOCH));
        Case { hold, ..case }
    }

    #[test]
    fn who_is_owed_a_resume_goes_first_and_everybody_once() {
        let mut due = Due::default();
        let cases = [
            case(1, None),
            case(2, Some(HoldState::Skipped)),
            case(3, Some(HoldState::Held)),
            case(4, Some(HoldState::Resuming)),
        ];
        for case in cases.iter().chain(&cases) {
            due.insert(case.sync.clone(), Some(case));
        }
        // It was paused meanwhile, and has its turn earlier for it; whoever says that it
        // was not changes nothing any more.
        due.insert(cases[1].sync.clone(), Some(&case(2, Some(HoldState::Pausing))));
        due.insert(cases[1].sync.clone(), None);
        assert!(!due.is_empty());
        assert!(due.remove(&cases[3].sync) && !due.remove(&cases[3].sync));
        let order: Vec<_> = std::iter::from_fn(|| due.pop()).map(|it| it.id.as_u128()).collect();
        assert_eq!(order, [2, 3, 1]);
        assert!(due.is_empty());
    }
}
