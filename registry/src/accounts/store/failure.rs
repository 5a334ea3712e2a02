//! What an error of a database means, in whichever database.

use sqlx::{Error, error::DatabaseError};

/// What came of a statement that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// Somebody else was faster; all can be tried again from the start.
    Raced,
    /// Somebody else holds the database for longer than one waits.
    Busy,
    /// It cannot be reached, or is about to end.
    Away,
    /// It takes nothing that is written: another server does now.
    ReadOnly,
    /// What is stored cannot be read.
    Damaged,
    /// Anything else.
    Other,
}

pub(super) fn failure(error: &Error) -> Failure {
    match error {
        Error::PoolTimedOut | Error::Io(_) | Error::Protocol(_) | Error::Tls(_) => Failure::Away,
        Error::ColumnDecode { .. } => Failure::Damaged,
        Error::Database(error) if error.is_unique_violation() => Failure::Raced,
        Error::Database(error) => match mariadb_number(&**error) {
            Some(number) => of_mariadb(number, error.code().as_deref()),
            None => of_code(error.code().as_deref()),
        },
        _ => Failure::Other,
    }
}

/// The number of an error, if it is one of MariaDB's.
#[cfg(feature = "shared")]
fn mariadb_number(error: &dyn DatabaseError) -> Option<u16> {
    let error = error.try_downcast_ref::<sqlx::mysql::MySqlDatabaseError>()?;
    Some(error.number())
}

/// Without MariaDB's driver there are none.
#[cfg(not(feature = "shared"))]
fn mariadb_number(_: &dyn DatabaseError) -> Option<u16> {
    None
}

/// MariaDB has numbers; its codes say less: most that can go wrong is `HY000`, a full disk and a row that is locked alike.
fn of_mariadb(number: u16, code: Option<&str>) -> Failure {
    match number {
        // Waited too long for a lock, or for the statement.
        1205 | 1969 | 3024 => Failure::Busy,
        1290 | 1792 | 1836 => Failure::ReadOnly,
        // It ends, or this connection was ended.
        1053 | 1927 => Failure::Away,
        _ => of_code(code),
    }
}

/// The codes of PostgreSQL and MariaDB have five characters, those of SQLite are numbers, of which the lowest byte counts.
fn of_code(code: Option<&str>) -> Failure {
    match code {
        Some("40001" | "40P01") => Failure::Raced,
        // It ends, or has just begun; or it takes no more connections.
        Some("57P01" | "57P02" | "57P03" | "53300" | "08S01" | "08004") => Failure::Away,
        Some("25006") => Failure::ReadOnly,
        Some("55P03" | "57014") => Failure::Busy,
        Some(code) if code.len() < 5 => match code.parse::<u32>().map(|code| code & 0xff) {
            Ok(5 | 6) => Failure::Busy,
            Ok(11 | 26) => Failure::Damaged,
            _ => Failure::Other,
        },
        _ => Failure::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn most_of_what_mariadb_says_is_not_that_it_is_busy() {
        for (number, failure) in [
            (1205, Failure::Busy),
            (1290, Failure::ReadOnly),
            // The disk or a table is full; the binary log takes no such statement.
            (1021, Failure::Other),
            (1114, Failure::Other),
            (1665, Failure::Other),
        ] {
            assert_eq!(of_mariadb(number, Some("HY000")), failure, "{number}");
        }
        assert_eq!(of_mariadb(1213, Some("40001")), Failure::Raced);
        assert_eq!(of_mariadb(1040, Some("08004")), Failure::Away);
        assert_eq!(of_code(Some("25006")), Failure::ReadOnly);
        assert_eq!(of_code(Some("517")), Failure::Busy);
        assert_eq!(of_code(None), Failure::Other);
    }
}
