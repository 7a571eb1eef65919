//! The ledger's versions: each SQL file beside this one leads to the next.

use rusqlite::{Connection, TransactionBehavior};

/// SQLite's `application_id` of our files: the letters "intm".
pub(super) const APPLICATION_ID: i32 = i32::from_be_bytes(*b"intm");

/// In order. A file that was released is never changed.
pub(super) const MIGRATIONS: &[&str] = &[
    include_str!("0001-holds-and-journal.sql"),
    include_str!("0002-operator-orders.sql"),
    include_str!("0003-executions.sql"),
    include_str!("0004-why-and-states.sql"),
    include_str!("0005-selections.sql"),
    include_str!("0006-notices.sql"),
    include_str!("0007-preflights.sql"),
    include_str!("0008-sync-reports.sql"),
    include_str!("0009-process-ended.sql"),
];

/// The version that `migrations` lead to.
#[expect(clippy::cast_possible_truncation, reason = "there will not be four billion migrations")]
pub(super) const fn version_of(migrations: &[&str]) -> u32 {
    migrations.len() as u32
}

/// Brings the file to the newest version, wholly or not at all.
///
/// The caller has checked that its version is not beyond `migrations`.
pub(super) fn migrate(connection: &mut Connection, migrations: &[&str]) -> rusqlite::Result<()> {
    let done: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if done >= version_of(migrations) {
        // Opening what needs no change writes nothing: the disk may be full.
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for migration in migrations.iter().skip(done as usize) {
        transaction.execute_batch(migration)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", version_of(migrations))?;
    transaction.commit()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(connection: &Connection) -> u32 {
        connection.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap()
    }

    fn check(connection: &mut Connection, migrations: &[&str], works: bool, then: u32, columns: i64) {
        assert_eq!(migrate(connection, migrations).is_ok(), works);
        assert_eq!(version(connection), then);
        let found: i64 = connection
            .query_row("SELECT count(*) FROM pragma_table_info('hold')", [], |row| row.get(0))
            .unwrap();
        assert_eq!(found, columns);
    }

    #[test]
    fn each_migration_runs_once_and_a_failing_one_leaves_the_old_version() {
        let first = MIGRATIONS[0];
        let second = "ALTER TABLE hold ADD COLUMN reason TEXT;";
        let broken = "ALTER TABLE hold ADD COLUMN other TEXT; SELECT nonsense;";
        let mut file = Connection::open_in_memory().unwrap();

        check(&mut file, &[first], true, 1, 17);
        check(&mut file, &[first], true, 1, 17);
        check(&mut file, &[first, second], true, 2, 18);
        check(&mut file, &[first, second], true, 2, 18);
        check(&mut file, &[first, second, broken], false, 2, 18);
    }
}
