//! What can go wrong with the database, in the terms a caller decides by.

use deadpool_postgres::PoolError;
use drydock_runtime::exit::Exit;
use tokio_postgres::error::SqlState;

/// The SQLSTATE that our schema raises for a quota.
const QUOTA: &str = "DD429";

/// An operation on the database that failed.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// `DRYDOCK_DATABASE_URL` is no PostgreSQL URL.
    #[error("DRYDOCK_DATABASE_URL is no PostgreSQL URL like postgres://user:password@host:5432/drydock")]
    Url(#[source] tokio_postgres::Error),
    /// No connection could be made.
    #[error("cannot connect to PostgreSQL (look at DRYDOCK_DATABASE_URL)")]
    Connect(#[source] tokio_postgres::Error),
    /// No connection became free or could be made in time.
    #[error("no connection to PostgreSQL (look at DRYDOCK_DATABASE_URL and DRYDOCK_DATABASE_POOL_SIZE)")]
    Pool(#[source] PoolError),
    /// A statement failed.
    #[error("failed to {operation}")]
    Query {
        /// What was being done.
        operation: &'static str,
        /// Why.
        #[source]
        source: tokio_postgres::Error,
    },
    /// A row does not read as its type: the schema and this build disagree.
    #[error("cannot read a row while trying to {operation}: {reason}")]
    Row {
        /// What was being done.
        operation: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// Bytes that are to be stored are just being deleted: ask again in a moment.
    #[error("object {id} is being deleted, and cannot be stored until it is")]
    Deleting {
        /// Its id, hex.
        id: String,
    },
    /// The schema is not the one this build needs.
    #[error("the schema is at {found}, this build needs {needed}: run `drydock admin migrate`")]
    Schema {
        /// Newest applied migration.
        found: u32,
        /// Newest migration of this build.
        needed: u32,
    },
    /// A service connects with more rights than it needs.
    #[error(
        "the database role {role} {excess}, so nothing but our own care would keep one tenant's rows from another: let this service \
         connect with the role it was granted (migrations/README.md, Roles), or set DRYDOCK_INSECURE_DATABASE_ROLE=true"
    )]
    Excessive {
        /// The role of `DRYDOCK_DATABASE_URL`.
        role: String,
        /// What it may do.
        excess: &'static str,
    },
    /// A role that was not granted its rights, or not those of the newest tables.
    #[error(
        "the database role {role} was not granted what its service needs, such as {lacks}: run `drydock admin migrate --api-role … \
         --fleet-role …` with the owner's URL"
    )]
    NotGranted {
        /// The role of `DRYDOCK_DATABASE_URL`.
        role: String,
        /// A table, and what may not be done with it.
        lacks: String,
    },
    /// Rights are to be granted to a role that does not exist, or that needs none.
    #[error("cannot grant rights to the database role {role}: {reason}")]
    Grant {
        /// Its name.
        role: String,
        /// Why.
        reason: &'static str,
    },
    /// A migration failed or was refused.
    #[error("failed to migrate")]
    Migrate(#[source] refinery::Error),
    /// A migration could not lock its tables for long.
    #[error("a migration cannot lock its tables: end what holds them (pg_stat_activity tells), and run it again")]
    Locked(#[source] refinery::Error),
    /// An unstamped database whose schema differs from the baseline.
    #[error(
        "the database has tables but no migration history, and its schema differs from Drydock's:\n{0}\nnothing was changed"
    )]
    Different(String),
}

impl DatabaseError {
    /// For `map_err`: names the operation.
    pub fn query(operation: &'static str) -> impl FnOnce(tokio_postgres::Error) -> Self {
        move |source| Self::Query { operation, source }
    }

    /// Whether a row with such a key was there already.
    pub fn is_duplicate(&self) -> bool {
        matches!(self, Self::Query { source, .. } if source.code() == Some(&SqlState::UNIQUE_VIOLATION))
    }

    /// Which quota of a tenant it would go beyond, and how much of it is used; nothing was done.
    pub fn quota(&self) -> Option<&str> {
        match self {
            Self::Query { source, .. } => source.as_db_error().filter(|error| error.code().code() == QUOTA)?.detail(),
            _ => None,
        }
    }

    /// Whether PostgreSQL rolled the transaction back for another one's sake: it has done nothing, and may be tried again at once.
    pub fn conflict(&self) -> Option<Conflict> {
        match self {
            Self::Query { source, .. } if source.code() == Some(&SqlState::T_R_DEADLOCK_DETECTED) => {
                Some(Conflict::Deadlock)
            }
            Self::Query { source, .. } if source.code() == Some(&SqlState::T_R_SERIALIZATION_FAILURE) => {
                Some(Conflict::Serialization)
            }
            _ => None,
        }
    }

    /// Whether a statement was ended because it took, or waited for a lock, too long: asked at once again, it does the same again.
    pub fn is_timeout(&self) -> bool {
        let codes = [&SqlState::QUERY_CANCELED, &SqlState::LOCK_NOT_AVAILABLE];
        matches!(self, Self::Query { source, .. } if source.code().is_some_and(|code| codes.contains(&code)))
    }

    /// Whether an earlier statement of the same transaction had failed.
    pub(crate) fn is_in_failed_transaction(&self) -> bool {
        matches!(self, Self::Query { source, .. } if source.code() == Some(&SqlState::IN_FAILED_SQL_TRANSACTION))
    }

    /// Whether the database is away or overloaded, so that the same call may work later.
    pub fn is_unavailable(&self) -> bool {
        match self {
            Self::Connect(_) | Self::Pool(_) => true,
            Self::Query { source, .. } => source.is_closed() || source.code().is_none_or(is_transient),
            _ => false,
        }
    }
}

/// Why a transaction was rolled back for another one's sake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conflict {
    /// Each waited for a lock of the other.
    Deadlock,
    /// They could not be put in an order.
    Serialization,
}

impl Conflict {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Deadlock => "deadlock",
            Self::Serialization => "serialization",
        }
    }
}

/// What an error at start means for the process.
impl From<DatabaseError> for Exit {
    fn from(error: DatabaseError) -> Self {
        match error {
            DatabaseError::Url(_) | DatabaseError::Excessive { .. } => Self::Usage(error.into()),
            other => Self::Unavailable(other.into()),
        }
    }
}

/// Connection loss, shutdown, failover, deadlock, serialization, lock or statement timeout (PostgreSQL manual, appendix A).
fn is_transient(code: &SqlState) -> bool {
    let class = &code.code()[..2];
    matches!(class, "08" | "40" | "53" | "57")
        || *code == SqlState::READ_ONLY_SQL_TRANSACTION
        || *code == SqlState::LOCK_NOT_AVAILABLE
}
