//! `select` and `exclude` of a window: which syncs, by what they are.

use std::collections::BTreeSet;

use glob::Pattern;
use toml::Spanned;
use toml::de::DeValue;
use uuid::Uuid;

use super::reader::{Table, Value, wrong_type};
use super::source::quote;
use super::window::{Reading, id};
use crate::domain::selection::{Select, Selector};
use crate::domain::sync::{Name, SyncKind};

const EXAMPLE: &str = "{ name = \"Snowflake *\" }";

impl Reading<'_, '_> {
    /// What a window selects; `Some(None)` if it does not, none if an error was
    /// noted.
    #[expect(clippy::option_option, reason = "as the other keys: none is an error that was noted")]
    pub(super) fn select(&self, table: &mut Table<'_>, organization: Option<Name>) -> Option<Option<Select>> {
        let any_of = table.inline_tables("select", EXAMPLE);
        let exclude = table.list("exclude", "\"248df4b7-aa70-47b8-a036-33ac447e668d\"");
        let has_exclude = table.has("exclude");
        if has_exclude && !table.has("select") {
            let mend = "remove it: without `select`, only the syncs that are named are paused";
            self.source.error(table.place_of("exclude"), "`exclude` has nothing to exclude from", mend);
            return None;
        }
        let exclude = match exclude {
            Some(list) => self.excluded(list.get_ref()),
            None if has_exclude => None,
            None => Some(BTreeSet::new()),
        };
        if !table.has("select") {
            return Some(None);
        }
        let any_of = any_of?;
        if any_of.is_empty() {
            let mend = format!("write `select = [{EXAMPLE}]`, or remove it");
            self.source.error(table.place_of("select"), "`select` selects nothing", mend);
            return None;
        }
        let count = any_of.len();
        let read: Vec<Selector> = any_of.into_iter().filter_map(|it| self.selector(it)).collect();
        let is_whole = read.len() == count;
        let (organization, exclude) = (organization?, exclude?);
        is_whole.then_some(Some(Select { organization, any_of: read, exclude }))
    }

    fn selector(&self, mut table: Table<'_>) -> Option<Selector> {
        let connection = table.parsed("connection", connection);
        let name = table.parsed("name", glob);
        let kind = table.word("kind", &[("model", SyncKind::Model), ("bulk", SyncKind::Bulk)]);
        let all = table.any("all");
        let (at, keys) = (table.at(), ["connection", "name", "kind"].map(|key| table.has(key)));
        let is_whole = keys == [connection.is_some(), name.is_some(), kind.is_some()];
        let is_narrow = keys.contains(&true);
        let is_empty = table.is_empty();
        table.finish();
        let what = "`connection`, `name` or `kind`";
        match all.map(Spanned::get_ref) {
            None if is_empty => {
                let mend = format!("write {what} into it, or `all = true` for every sync");
                self.source.error(at, "this selects nothing", mend);
                return None;
            }
            None if !is_narrow => return None,
            Some(DeValue::Boolean(true)) if is_narrow => {
                let mend = format!("remove `all`, or the {what} beside it");
                self.source.error(at, "`all` means every sync, and something else is named too", mend);
                return None;
            }
            Some(DeValue::Boolean(true)) | None => {}
            Some(_) => {
                self.source.error(at, "`all` can only be `true`", format!("write `all = true`, or {what}"));
                return None;
            }
        }
        is_whole.then(|| Selector {
            connection: connection.map(Spanned::into_inner),
            name: name.map(Spanned::into_inner),
            kind,
        })
    }

    fn excluded(&self, list: &[Value<'_>]) -> Option<BTreeSet<Uuid>> {
        let mut excluded = BTreeSet::new();
        let mut is_whole = true;
        for value in list {
            match self.excluded_one(value) {
                Some(id) if excluded.insert(id) => {}
                Some(id) => {
                    self.source.error(value.span(), format!("`{id}` is in `exclude` twice"), "remove one");
                    is_whole = false;
                }
                None => is_whole = false,
            }
        }
        is_whole.then_some(excluded)
    }

    fn excluded_one(&self, value: Value<'_>) -> Option<Uuid> {
        let DeValue::String(text) = value.get_ref() else {
            let mend = "write ids as texts: `[\"248df4b7-aa70-47b8-a036-33ac447e668d\"]`";
            wrong_type(self.source, "exclude", value, "a list of ids", mend);
            return None;
        };
        id(text).map_err(|(message, mend)| self.source.error(value.span(), message, mend)).ok()
    }
}

fn connection(text: &str) -> Result<Uuid, (String, String)> {
    Uuid::parse_str(text).ok().filter(|_| text.len() == 36).ok_or_else(|| {
        let mend =
            "write the id from the connection's address, such as `248df4b7-aa70-47b8-a036-33ac447e668d`";
        (format!("{} is no id", quote(text)), mend.to_owned())
    })
}

/// The longest pattern, in bytes: names are shorter.
const LONGEST: usize = 256;

fn glob(text: &str) -> Result<Pattern, (String, String)> {
    if text.is_empty() || text.len() > LONGEST {
        return Err((
            format!("`name` must be 1 to {LONGEST} bytes long"),
            "write `name = \"Snowflake *\"`".to_owned(),
        ));
    }
    let mend = "`*` is any text, `?` one character, `[ab]` one of these; `[*]` is a star itself";
    Pattern::new(text)
        .map_err(|error| (format!("{} is no pattern: {}", quote(text), error.msg), mend.to_owned()))
}
