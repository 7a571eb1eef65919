//! Civil time to instant and back: the gap and fold rule, in one place.
//!
//! `chrono` is the language of time everywhere else; `jiff`, which knows the
//! zones, does not leave this file.

use std::fmt;
use std::sync::{Arc, OnceLock};

use chrono::{DateTime, Datelike, NaiveDateTime, TimeDelta, Timelike, Utc};
use jiff::Timestamp;
use jiff::tz::{AmbiguousOffset, TimeZone};

use super::sync::Name;

/// A time zone with its IANA name. Two zones are equal if their names are.
#[derive(Clone)]
pub struct Zone {
    name: Name,
    rules: TimeZone,
    // What the rules say of the years that are asked about, once somebody has asked.
    near: Arc<OnceLock<Near>>,
}

/// What a civil time means in a zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolved {
    /// It happens once.
    One(DateTime<Utc>),
    /// It happens twice, because clocks went back: its first and second pass.
    Fold(DateTime<Utc>, DateTime<Utc>),
    /// It does not happen, because clocks went forward: the first instant
    /// after the gap.
    Gap(DateTime<Utc>),
}

/// A change of a zone's offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transition {
    /// The first instant with the new offset.
    pub at: DateTime<Utc>,
    /// How far clocks jump: positive in spring, negative in autumn.
    pub shift: TimeDelta,
}

impl Zone {
    /// The zone of this name with these rules.
    pub fn new(name: impl Into<Name>, rules: TimeZone) -> Self {
        Self { name: name.into(), rules, near: Arc::default() }
    }

    /// Universal time, which needs no database.
    pub fn utc() -> Self {
        Self::new("UTC", TimeZone::UTC)
    }

    /// The IANA name.
    pub fn name(&self) -> &str {
        self.name.as_str()
    }

    /// Which instant or instants a civil time is.
    pub fn resolve(&self, civil: NaiveDateTime) -> Resolved {
        if let Some(offset) = self.near().offset_around(civil) {
            return Resolved::One(less(civil, offset));
        }
        match self.rules.to_ambiguous_timestamp(to_jiff_civil(civil)).offset() {
            AmbiguousOffset::Unambiguous { offset } => Resolved::One(less(civil, offset.seconds())),
            AmbiguousOffset::Fold { before, after } => {
                Resolved::Fold(less(civil, before.seconds()), less(civil, after.seconds()))
            }
            AmbiguousOffset::Gap { after, .. } => {
                // Read with the later offset, a missing time lies before the jump.
                let before_the_jump = less(civil, after.seconds());
                Resolved::Gap(self.next_transition(before_the_jump).map_or(before_the_jump, |next| next.at))
            }
        }
    }

    /// The instant that a fixed civil time stands for: the first one after the
    /// gap if it does not exist, its first pass if it exists twice. Never
    /// decreases as `civil` grows.
    pub fn instant(&self, civil: NaiveDateTime) -> DateTime<Utc> {
        match self.resolve(civil) {
            Resolved::One(at) | Resolved::Fold(at, _) | Resolved::Gap(at) => at,
        }
    }

    /// What clocks show at this instant.
    pub fn civil(&self, at: DateTime<Utc>) -> NaiveDateTime {
        more(at, self.offset_seconds(at))
    }

    /// A sentence with the instants in it (RFC 3339 in UTC, as the journal tells them) as
    /// clocks show them here.
    pub fn retell(&self, sentence: &str) -> String {
        let word = |word: &str| {
            let instant = word.trim_end_matches([',', ';', ':', '.', ')']);
            let at = DateTime::parse_from_rfc3339(instant).ok().filter(|_| instant.ends_with('Z'));
            at.map_or_else(
                || word.to_owned(),
                |at| {
                    let at = at.to_utc();
                    let shown = self.civil(at).format("%Y-%m-%d %H:%M:%S");
                    format!("{shown} {}{}", self.abbreviation(at), &word[instant.len()..])
                },
            )
        };
        sentence.split(' ').map(word).collect::<Vec<_>>().join(" ")
    }

    /// Seconds that clocks are ahead of UTC at this instant.
    pub fn offset_seconds(&self, at: DateTime<Utc>) -> i32 {
        self.near().offset(at).unwrap_or_else(|| offset(&self.rules, at))
    }

    /// What the offset at this instant is called: `CEST`, or `+03`.
    pub fn abbreviation(&self, at: DateTime<Utc>) -> String {
        self.rules.to_offset_info(to_jiff(at)).abbreviation().to_owned()
    }

    /// The first change of the offset after this instant.
    pub fn next_transition(&self, after: DateTime<Utc>) -> Option<Transition> {
        self.near().next(after).or_else(|| {
            let following = self.rules.following(to_jiff(after));
            following.map(|next| transition(&self.rules, next.timestamp())).find(|it| !it.shift.is_zero())
        })
    }

    /// The last change of the offset before this instant.
    pub fn previous_transition(&self, before: DateTime<Utc>) -> Option<Transition> {
        self.near().previous(before).or_else(|| {
            let preceding = self.rules.preceding(to_jiff(before));
            preceding.map(|it| transition(&self.rules, it.timestamp())).find(|it| !it.shift.is_zero())
        })
    }

    fn near(&self) -> &Near {
        self.near.get_or_init(|| Near::of(&self.rules))
    }
}

/// The offsets of some decades, one after the other: to look there is a fraction of
/// what it costs to work out a rule such as "the last Sunday of March" each time.
#[derive(Debug)]
struct Near {
    // Each from its instant to that of the next one; neighbours differ. Never empty.
    stretches: Vec<(DateTime<Utc>, i32)>,
    // Where the last one is known to end at the earliest.
    until: DateTime<Utc>,
}

impl Near {
    /// From 2015 to 2049, in which nearly all questions lie.
    fn of(rules: &TimeZone) -> Self {
        let [from, until] =
            [1_420_070_400, 2_524_608_000].map(|it| DateTime::UNIX_EPOCH + TimeDelta::seconds(it));
        let changes = rules.following(to_jiff(from)).map(|it| transition(rules, it.timestamp()));
        let changes = changes.take_while(|it| it.at < until).filter(|it| !it.shift.is_zero());
        let mut stretches = vec![(from, offset(rules, from))];
        stretches.extend(changes.map(|it| (it.at, offset(rules, it.at))));
        Self { stretches, until }
    }

    /// How many stretches begin up to this instant, if it is within what is known.
    fn begun(&self, at: DateTime<Utc>) -> Option<usize> {
        let begun = self.stretches.partition_point(|(from, _)| *from <= at);
        (begun > 0 && at < self.until).then_some(begun)
    }

    fn offset(&self, at: DateTime<Utc>) -> Option<i32> {
        Some(self.stretches[self.begun(at)? - 1].1)
    }

    /// The offset at a civil time around which clocks do not change.
    fn offset_around(&self, civil: NaiveDateTime) -> Option<i32> {
        // No offset is larger (POSIX has them up to 24 hours, jiff up to 26).
        let most = TimeDelta::hours(26);
        let (earliest, latest) = (civil.checked_sub_signed(most)?, civil.checked_add_signed(most)?);
        let begun = self.begun(earliest.and_utc())?;
        (self.begun(latest.and_utc())? == begun).then(|| self.stretches[begun - 1].1)
    }

    fn next(&self, after: DateTime<Utc>) -> Option<Transition> {
        self.change(self.begun(after)?)
    }

    fn previous(&self, before: DateTime<Utc>) -> Option<Transition> {
        let tick = TimeDelta::nanoseconds(1);
        self.change(self.begun(before.checked_sub_signed(tick)?)? - 1)
    }

    /// The change with which a stretch other than the first one begins.
    fn change(&self, nth: usize) -> Option<Transition> {
        let before = nth.checked_sub(1)?;
        let (at, offset) = *self.stretches.get(nth)?;
        Some(Transition { at, shift: TimeDelta::seconds((offset - self.stretches[before].1).into()) })
    }
}

fn offset(rules: &TimeZone, at: DateTime<Utc>) -> i32 {
    rules.to_offset(to_jiff(at)).seconds()
}

fn transition(rules: &TimeZone, at: Timestamp) -> Transition {
    let at = from_jiff(at);
    let before = offset(rules, at - TimeDelta::nanoseconds(1));
    Transition { at, shift: TimeDelta::seconds((offset(rules, at) - before).into()) }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.name.fmt(f)
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Zone({})", self.name)
    }
}

impl PartialEq for Zone {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Zone {}

fn less(civil: NaiveDateTime, offset_seconds: i32) -> DateTime<Utc> {
    civil.checked_sub_signed(TimeDelta::seconds(offset_seconds.into())).unwrap_or(civil).and_utc()
}

fn more(at: DateTime<Utc>, offset_seconds: i32) -> NaiveDateTime {
    let at = at.naive_utc();
    at.checked_add_signed(TimeDelta::seconds(offset_seconds.into())).unwrap_or(at)
}

/// Beyond the years that `jiff` knows, its first or last instant stands in:
/// offsets do not change out there.
fn to_jiff(at: DateTime<Utc>) -> Timestamp {
    let nanoseconds = at.timestamp_subsec_nanos().min(999_999_999).cast_signed();
    Timestamp::new(at.timestamp(), nanoseconds).unwrap_or(if at.timestamp() < 0 {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    })
}

fn from_jiff(at: Timestamp) -> DateTime<Utc> {
    let nanoseconds = at.subsec_nanosecond();
    // jiff counts nanoseconds towards zero, chrono always upwards.
    let (seconds, nanoseconds) = if nanoseconds < 0 {
        (at.as_second() - 1, nanoseconds + 1_000_000_000)
    } else {
        (at.as_second(), nanoseconds)
    };
    DateTime::from_timestamp(seconds, nanoseconds.cast_unsigned()).unwrap_or(DateTime::UNIX_EPOCH)
}

fn to_jiff_civil(civil: NaiveDateTime) -> jiff::civil::DateTime {
    fn small<T: TryFrom<u32> + Default>(number: u32) -> T {
        T::try_from(number).unwrap_or_default()
    }
    let (date, time) = (civil.date(), civil.time());
    let year = i16::try_from(date.year().clamp(-9999, 9999)).unwrap_or_default();
    jiff::civil::DateTime::new(
        year,
        small(date.month()),
        small(date.day()),
        small(time.hour()),
        small(time.minute()),
        small(time.second()),
        small(time.nanosecond().min(999_999_999)),
    )
    // Only 29 February of a clamped leap year is left.
    .unwrap_or(if date.year() < 0 { jiff::civil::DateTime::MIN } else { jiff::civil::DateTime::MAX })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tzdb::Tzdb;

    fn new_york() -> Zone {
        // The rule since 2007, as POSIX writes it.
        Zone::new("America/New_York", TimeZone::posix("EST5EDT,M3.2.0,M11.1.0").unwrap())
    }

    fn civil(text: &str) -> NaiveDateTime {
        text.parse().unwrap()
    }

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn instants_in_a_sentence_are_told_as_clocks_show_them() {
        let told = |text: &str| new_york().retell(text);
        assert_eq!(told("until 2026-07-01T04:00:00Z"), "until 2026-07-01 00:00:00 EDT");
        assert_eq!(
            told("from 2026-01-01T05:00:00Z until 2026-01-01T06:30:00Z: because 2 > 1Z"),
            "from 2026-01-01 00:00:00 EST until 2026-01-01 01:30:00 EST: because 2 > 1Z"
        );
        assert_eq!(told("  (at 2026-01-01T05:00:00Z)"), "  (at 2026-01-01 00:00:00 EST)");
        assert_eq!(told("what is not one: 2026-13-01T05:00:00Z"), "what is not one: 2026-13-01T05:00:00Z");
    }

    #[test]
    fn a_missing_civil_time_is_the_first_instant_after_the_gap() {
        for missing in ["2026-03-08T02:00:00", "2026-03-08T02:30:00", "2026-03-08T02:59:59"] {
            assert_eq!(
                new_york().resolve(civil(missing)),
                Resolved::Gap(at("2026-03-08T07:00:00Z")),
                "{missing}"
            );
        }
        assert_eq!(
            new_york().resolve(civil("2026-03-08T03:00:00")),
            Resolved::One(at("2026-03-08T07:00:00Z"))
        );
    }

    #[test]
    fn a_repeated_civil_time_is_its_first_pass() {
        let zone = new_york();
        let (first, second) = (at("2026-11-01T05:30:00Z"), at("2026-11-01T06:30:00Z"));
        assert_eq!(zone.resolve(civil("2026-11-01T01:30:00")), Resolved::Fold(first, second));
        assert_eq!(zone.instant(civil("2026-11-01T01:30:00")), first);
        assert_eq!(zone.civil(first), zone.civil(second));
        assert_eq!((zone.abbreviation(first).as_str(), zone.abbreviation(second).as_str()), ("EDT", "EST"));
    }

    #[test]
    fn transitions_tell_how_far_clocks_jump() {
        let zone = new_york();
        let spring = Transition { at: at("2026-03-08T07:00:00Z"), shift: TimeDelta::hours(1) };
        let autumn = Transition { at: at("2026-11-01T06:00:00Z"), shift: TimeDelta::hours(-1) };
        assert_eq!(zone.next_transition(at("2026-01-01T00:00:00Z")), Some(spring));
        assert_eq!(zone.next_transition(spring.at), Some(autumn));
        assert_eq!(zone.previous_transition(autumn.at), Some(spring));
        assert_eq!(Zone::utc().next_transition(spring.at), None);
    }

    /// The same zone, which has to ask its rules each time.
    fn forgetful(zone: &Zone) -> Zone {
        let nothing =
            Near { stretches: vec![(DateTime::<Utc>::MAX_UTC, 0)], until: DateTime::<Utc>::MIN_UTC };
        Zone { near: Arc::new(OnceLock::from(nothing)), ..zone.clone() }
    }

    #[test]
    fn what_is_known_of_the_near_years_is_what_the_rules_say() {
        let tzdb = Tzdb::bundled();
        let mut changes = 0;
        for name in tzdb.names() {
            let zone = tzdb.zone(&name).unwrap();
            let rules = forgetful(&zone);
            let stretches = &zone.near().stretches;
            changes += stretches.len() - 1;
            let ends = [at("2014-12-31T23:59:59Z"), zone.near().until];
            for edge in stretches.iter().map(|(from, _)| *from).chain(ends) {
                for minutes in [-1590, -1530, -90, -60, -30, 0, 30, 60, 90, 1530, 1590] {
                    for nanoseconds in [-1, 0, 1] {
                        let at = edge + TimeDelta::minutes(minutes) + TimeDelta::nanoseconds(nanoseconds);
                        assert_eq!(zone.offset_seconds(at), rules.offset_seconds(at), "{name} {at}");
                        let civil = at.naive_utc();
                        assert_eq!(zone.resolve(civil), rules.resolve(civil), "{name} {civil}");
                    }
                }
                for at in [edge - TimeDelta::nanoseconds(1), edge, edge + TimeDelta::nanoseconds(1)] {
                    assert_eq!(zone.next_transition(at), rules.next_transition(at), "{name} {at}");
                }
            }
            // Backwards jiff skips a change that is not the yearly rule's (Ciudad Juárez, 2022).
            let tick = TimeDelta::nanoseconds(1);
            for pair in stretches.windows(2) {
                let [(earlier, _), (later, _)] = pair else { unreachable!() };
                let change = zone.next_transition(*later - tick);
                assert_eq!(zone.previous_transition(*later + tick), change, "{name} {later}");
                let change = rules.next_transition(*earlier - tick).filter(|it| it.at == *earlier);
                let known = zone.previous_transition(*later);
                assert!(known == change || *earlier == stretches[0].0, "{name} {later}");
            }
        }
        assert!(changes > 10_000, "{changes}");
    }

    #[test]
    fn the_ends_of_time_do_not_panic() {
        for zone in [new_york(), Zone::utc()] {
            for civil in [NaiveDateTime::MIN, NaiveDateTime::MAX] {
                zone.resolve(civil);
            }
            for at in [DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC] {
                zone.civil(at);
                zone.abbreviation(at);
            }
        }
    }

    #[test]
    fn a_zone_is_told_from_others_by_its_name() {
        assert_eq!(new_york().name(), "America/New_York");
        assert_eq!(new_york(), new_york());
        assert_ne!(new_york(), Zone::utc());
    }
}
