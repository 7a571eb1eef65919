//! Which syncs a window selects by what they are, and which it was last found
//! to select.
//!
//! A list may miss a sync that somebody changes while it is read. So what was
//! found only grows while the window asks for pauses; it shrinks when none does.

use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use chrono::{DateTime, Utc};
use glob::Pattern;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::sync::{Name, SyncKind, SyncRef, counted};
use super::window::Window;

/// A sync as a list shows it: what selectors look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// Which.
    pub sync: SyncRef,
    /// Its name at Polytomic, when known.
    pub name: Option<String>,
    /// The connections that it reads from or writes to, as far as a list says.
    pub connections: Vec<Uuid>,
}

/// One alternative of `select`: all that it names must hold. One that names
/// nothing is `{ all = true }`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selector {
    /// A model sync's target, a bulk sync's source or destination.
    pub connection: Option<Uuid>,
    /// `*`, `?` and `[…]`, as the shell has them, in the same case.
    pub name: Option<Pattern>,
    /// Model or bulk.
    pub kind: Option<SyncKind>,
}

/// A window's `select` and `exclude`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Select {
    /// Where the syncs are.
    pub organization: Name,
    /// One of these has to match.
    pub any_of: Vec<Selector>,
    /// Never these.
    pub exclude: BTreeSet<Uuid>,
}

/// What a window was found to select.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolution {
    /// The window.
    pub window: Name,
    /// Which `select` and `exclude` it answers.
    pub fingerprint: String,
    /// When it was found, or found to be still so.
    pub at: DateTime<Utc>,
    /// The syncs.
    pub found: BTreeMap<SyncRef, Seen>,
}

/// Before each sync that a selection excludes, in its fingerprint.
const NOT: &str = ", not ";

/// How well it is known which syncs a window pauses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Knowledge {
    /// A list was read for what it selects, or it selects nothing.
    #[default]
    Found,
    /// What lists that were read for other selections have shown is all that was asked.
    Provisional,
    /// No list of its organization is known: only Polytomic knows.
    Unknown,
}

/// So many syncs, in words that tell no number that is not known.
pub fn covered(known: usize, knowledge: Knowledge) -> String {
    let syncs = counted(known);
    match (knowledge, known) {
        (Knowledge::Found, _) => syncs,
        (Knowledge::Provisional, _) => format!("{syncs}, as far as is known"),
        (Knowledge::Unknown, 0) => "what it selects".to_owned(),
        (Knowledge::Unknown, _) => format!("{syncs} and what it selects"),
    }
}

/// The same in as few letters as a table needs: `3`, `3+?`, `?`.
pub fn covered_short(known: usize, knowledge: Knowledge) -> String {
    match (knowledge, known) {
        (Knowledge::Found, _) => known.to_string(),
        (Knowledge::Unknown, 0) => "?".to_owned(),
        (Knowledge::Provisional | Knowledge::Unknown, _) => format!("{known}+?"),
    }
}

impl Selector {
    /// Whether it selects this sync.
    pub fn matches(&self, seen: &Seen) -> bool {
        let Self { connection, name, kind } = self;
        kind.is_none_or(|kind| kind == seen.sync.kind)
            && connection.is_none_or(|id| seen.connections.contains(&id))
            && name.as_ref().is_none_or(|glob| seen.name.as_deref().is_some_and(|it| glob.matches(it)))
    }
}

impl Select {
    /// Whether it selects this sync.
    pub fn matches(&self, seen: &Seen) -> bool {
        seen.sync.organization == self.organization
            && !self.exclude.contains(&seen.sync.id)
            && self.any_of.iter().any(|it| it.matches(seen))
    }

    /// Whether a sync of this kind may be selected.
    pub fn wants(&self, kind: SyncKind) -> bool {
        self.any_of.iter().any(|it| it.kind.is_none_or(|wanted| wanted == kind))
    }

    /// Tells one selection from another.
    pub fn fingerprint(&self) -> String {
        self.to_string()
    }

    /// How well these tell what it selects, for whatever window they were found.
    pub fn how_well(&self, found: &BTreeMap<Name, impl Borrow<Resolution>>) -> Knowledge {
        let found = found.values().map(Borrow::<Resolution>::borrow).filter(|it| it.was_found());
        let is_here = |it: &Resolution| it.found.keys().any(|sync| sync.organization == self.organization);
        let better = |it: &Resolution| match (self.is_within(&it.fingerprint), is_here(it)) {
            (true, _) => Knowledge::Found,
            (false, true) => Knowledge::Provisional,
            (false, false) => Knowledge::Unknown,
        };
        found.map(better).min().unwrap_or(Knowledge::Unknown)
    }

    /// Whether all that it selects is in the answer to this selection: the same one
    /// or one of all, that excludes no more.
    fn is_within(&self, fingerprint: &str) -> bool {
        let all = format!("in {}: {}", self.organization, Selector::default());
        let excludes_no_more = |rest: &str| {
            let mut parts = rest.split(NOT);
            let is_excluded = |id: &str| self.exclude.iter().any(|it| it.to_string() == id);
            parts.next() == Some("") && parts.all(is_excluded)
        };
        [self.alternatives(), all].iter().filter_map(|it| fingerprint.strip_prefix(it)).any(excludes_no_more)
    }

    /// What it selects, without what it excludes.
    pub fn alternatives(&self) -> String {
        let any_of: Vec<String> = self.any_of.iter().map(ToString::to_string).collect();
        format!("in {}: {}", self.organization, any_of.join("; "))
    }

    /// What it selects of these.
    pub fn resolve<'a>(
        &self,
        window: &Name,
        all: impl IntoIterator<Item = &'a Seen>,
        at: DateTime<Utc>,
    ) -> Resolution {
        let found = all.into_iter().filter(|it| self.matches(it));
        Resolution {
            window: window.clone(),
            fingerprint: self.fingerprint(),
            at,
            found: found.map(|it| (it.sync.clone(), it.clone())).collect(),
        }
    }

    /// What it selects of these for its window, of which `before` was known: while that asks
    /// for pauses, nothing of it is let go.
    pub fn resolve_beside(
        &self,
        before: Option<&Resolution>,
        window: &Window,
        all: &[Seen],
        at: DateTime<Utc>,
    ) -> Resolution {
        let fresh = self.resolve(&window.name, all, at);
        match before.filter(|_| window.asks_for_pauses(at)) {
            Some(before) => fresh.and_what_was_found(before),
            None => fresh,
        }
    }
}

/// What each of these selects, where that is another selection than was found
/// for the window: of all that was found for any, until a list comes. What is
/// selected still is not let go for the time of a request.
pub fn anew<'a>(
    found: &BTreeMap<Name, impl Borrow<Resolution>>,
    selecting: impl IntoIterator<Item = (&'a Name, &'a Select)>,
) -> Vec<Resolution> {
    let known: BTreeMap<&SyncRef, &Seen> = found.values().flat_map(|it| &it.borrow().found).collect();
    let newest = found.values().map(|it| it.borrow().at).max();
    let of_window = |(window, select): (&Name, &Select)| {
        let before: Option<&Resolution> = found.get(window).map(Borrow::borrow);
        // Without any list nothing is known, and no time is told.
        let at = before.map(|it| it.at).or(newest).unwrap_or_default();
        let is_another = before.is_none_or(|it| it.fingerprint != select.fingerprint());
        is_another.then(|| select.resolve(window, known.values().copied(), at))
    };
    selecting.into_iter().filter_map(of_window).collect()
}

impl Resolution {
    /// Whether a list was ever read for it.
    pub fn was_found(&self) -> bool {
        self.at != DateTime::<Utc>::default()
    }

    /// This one, and what `before` had beside it, if both answer the same selection.
    #[must_use]
    pub fn and_what_was_found(mut self, before: &Self) -> Self {
        if before.fingerprint == self.fingerprint {
            for (sync, seen) in &before.found {
                self.found.entry(sync.clone()).or_insert_with(|| seen.clone());
            }
        }
        self
    }
}

impl fmt::Display for Select {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.alternatives())?;
        for id in &self.exclude {
            write!(f, "{NOT}{id}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            self.kind.map(|it| format!("kind {it}")),
            self.connection.map(|it| format!("connection {it}")),
            self.name.as_ref().map(|it| format!("name {:?}", it.as_str())),
        ];
        let parts: Vec<_> = parts.into_iter().flatten().collect();
        if parts.is_empty() { f.write_str("all") } else { f.write_str(&parts.join(" and ")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(number: u128, kind: SyncKind, name: &str, connections: &[u128]) -> Seen {
        Seen {
            sync: SyncRef::new("default".into(), kind, Uuid::from_u128(number)),
            name: Some(name.to_owned()),
            connections: connections.iter().map(|it| Uuid::from_u128(*it)).collect(),
        }
    }

    fn all() -> [Seen; 4] {
        [
            seen(1, SyncKind::Model, "Snowflake contacts", &[10]),
            seen(2, SyncKind::Bulk, "Snowflake events", &[20, 10]),
            seen(3, SyncKind::Bulk, "Stripe/Invoices", &[10, 30]),
            Seen { name: None, ..seen(4, SyncKind::Model, "", &[]) },
        ]
    }

    fn by_name(glob: &str) -> Selector {
        Selector { name: Some(Pattern::new(glob).unwrap()), ..Selector::default() }
    }

    fn select(any_of: Vec<Selector>, exclude: &[u128]) -> Select {
        let exclude = exclude.iter().map(|it| Uuid::from_u128(*it)).collect();
        Select { organization: "default".into(), any_of, exclude }
    }

    fn numbers(resolution: &Resolution) -> Vec<u128> {
        let mut numbers: Vec<_> = resolution.found.keys().map(|it| it.id.as_u128()).collect();
        numbers.sort_unstable();
        numbers
    }

    #[test]
    fn all_that_one_selector_names_must_hold_and_selectors_are_alternatives() {
        let bulk = Selector { kind: Some(SyncKind::Bulk), ..Selector::default() };
        let connection = |id| Selector { connection: Some(Uuid::from_u128(id)), ..Selector::default() };
        for (any_of, exclude, expected) in [
            (vec![Selector::default()], &[][..], &[1, 2, 3, 4][..]),
            (vec![Selector::default()], &[2, 9], &[1, 3, 4]),
            (vec![by_name("Snowflake *")], &[], &[1, 2]),
            (vec![by_name("snowflake *")], &[], &[]),
            (vec![by_name("*/*")], &[], &[3]),
            (vec![by_name("S*")], &[], &[1, 2, 3]),
            (vec![by_name("S[tn]???*")], &[], &[1, 2, 3]),
            (vec![by_name("*")], &[], &[1, 2, 3]),
            (vec![connection(10)], &[], &[1, 2, 3]),
            (vec![connection(20)], &[], &[2]),
            (vec![Selector { kind: Some(SyncKind::Bulk), ..by_name("Snowflake *") }], &[], &[2]),
            (vec![bulk.clone(), by_name("* contacts")], &[], &[1, 2, 3]),
            (vec![bulk, by_name("* contacts")], &[1], &[2, 3]),
        ] {
            let select = select(any_of, exclude);
            let found = select.resolve(&"a".into(), &all(), DateTime::UNIX_EPOCH);
            assert_eq!(numbers(&found), expected, "{select}");
        }
    }

    #[test]
    fn another_organizations_sync_of_the_same_id_is_not_selected() {
        let mut other = all();
        other[0].sync = SyncRef::new("emea".into(), other[0].sync.kind, other[0].sync.id);
        let found = select(vec![Selector::default()], &[]).resolve(&"a".into(), &other, DateTime::UNIX_EPOCH);
        assert_eq!(numbers(&found), [2, 3, 4]);
    }

    #[test]
    fn what_was_found_stays_only_under_the_same_selection() {
        let resolve = |exclude: &[u128], all: &[Seen]| {
            select(vec![Selector::default()], exclude).resolve(&"a".into(), all, DateTime::UNIX_EPOCH)
        };
        let before = resolve(&[], &all());
        let missed = resolve(&[], &all()[1..2]);
        assert_eq!(numbers(&missed.clone().and_what_was_found(&before)), [1, 2, 3, 4]);
        assert_eq!(numbers(&resolve(&[3], &all()[1..2]).and_what_was_found(&before)), [2]);
        assert_eq!(numbers(&before.and_what_was_found(&missed)), [1, 2, 3, 4]);
    }

    #[test]
    fn only_lists_of_the_kinds_that_may_match_are_wanted() {
        use SyncKind::{Bulk, Model};
        let of = |kind| Selector { kind, ..by_name("*") };
        for (kinds, model, bulk) in [
            (&[None][..], true, true),
            (&[Some(Model)], true, false),
            (&[Some(Bulk)], false, true),
            (&[Some(Bulk), Some(Model)], true, true),
            (&[Some(Bulk), None], true, true),
            (&[], false, false),
        ] {
            let select = select(kinds.iter().map(|it| of(*it)).collect(), &[]);
            assert_eq!((select.wants(Model), select.wants(Bulk)), (model, bulk), "{kinds:?}");
        }
    }

    #[test]
    fn another_selector_has_another_fingerprint() {
        let named = |glob: &str| select(vec![by_name(glob)], &[]).fingerprint();
        assert_eq!(named("a*"), "in default: name \"a*\"");
        assert_ne!(named("a*"), named("b*"));
    }

    #[test]
    fn another_selection_is_answered_from_all_that_was_found_for_any() {
        let at = DateTime::UNIX_EPOCH + chrono::TimeDelta::days(1);
        let before = select(vec![by_name("Snowflake *")], &[]);
        let stripe = select(vec![by_name("Stripe*")], &[]);
        let found: BTreeMap<Name, Resolution> = [("a", &before), ("b", &stripe)]
            .map(|(window, it)| (Name::from(window), it.resolve(&window.into(), &all(), at)))
            .into();
        let of = |window: &str, select: &Select| {
            let fresh = anew(&found, [(&Name::from(window), select)]);
            fresh.iter().map(numbers).collect::<Vec<_>>()
        };
        assert_eq!(of("a", &before), Vec::<Vec<u128>>::new(), "what was found is good");
        let wider = select(vec![Selector::default()], &[2]);
        assert_eq!(of("a", &wider), [[1, 3]]);
        assert_eq!(of("new", &wider), [[1, 3]]);
        let nothing = BTreeMap::<Name, Resolution>::new();
        let [unknown] = &anew(&nothing, [(&Name::from("a"), &wider)])[..] else { panic!() };
        assert!(unknown.found.is_empty() && !unknown.was_found());
    }

    #[test]
    fn a_number_is_told_as_a_number_only_if_it_is_known() {
        use Knowledge::{Found, Provisional, Unknown};
        for (known, knowledge, words, short) in [
            (0, Found, "0 syncs", "0"),
            (3, Found, "3 syncs", "3"),
            (0, Provisional, "0 syncs, as far as is known", "0+?"),
            (1, Provisional, "1 sync, as far as is known", "1+?"),
            (0, Unknown, "what it selects", "?"),
            (3, Unknown, "3 syncs and what it selects", "3+?"),
        ] {
            assert_eq!(covered(known, knowledge), words);
            assert_eq!(covered_short(known, knowledge), short);
        }
    }

    #[test]
    fn how_well_a_selection_is_known_depends_on_what_was_listed() {
        let at = DateTime::UNIX_EPOCH + chrono::TimeDelta::days(1);
        let (stripe, every) = (vec![by_name("Stripe*")], vec![Selector::default()]);
        let bulk = vec![Selector { kind: Some(SyncKind::Bulk), ..Selector::default() }];
        let both = vec![by_name("Stripe*"), by_name("a, not b")];
        for (listed, exclude, asked, without, expected) in [
            (&stripe, &[][..], &stripe, &[][..], Knowledge::Found),
            (&stripe, &[2], &stripe, &[2, 3], Knowledge::Found),
            (&stripe, &[2], &stripe, &[3], Knowledge::Provisional),
            (&stripe, &[], &both, &[], Knowledge::Provisional),
            (&both, &[], &stripe, &[], Knowledge::Provisional),
            (&both, &[], &both, &[1], Knowledge::Found),
            (&stripe, &[], &every, &[], Knowledge::Provisional),
            (&every, &[], &bulk, &[1], Knowledge::Found),
            (&every, &[2], &bulk, &[], Knowledge::Provisional),
        ] {
            let listed = select(listed.clone(), exclude).resolve(&"a".into(), &all(), at);
            let found = BTreeMap::from([(Name::from("a"), listed)]);
            let asked = select(asked.clone(), without);
            assert_eq!(asked.how_well(&found), expected, "{asked} of {found:?}");
            let elsewhere = Select { organization: "emea".into(), ..asked.clone() };
            assert_eq!(elsewhere.how_well(&found), Knowledge::Unknown);
            assert_eq!(asked.how_well(&BTreeMap::<Name, Resolution>::new()), Knowledge::Unknown);
        }
    }
}
