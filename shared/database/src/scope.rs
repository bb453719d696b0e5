//! Whose rows a connection sees (migration V0106), said to PostgreSQL when the connection is handed out, if it saw somebody
//! else's before: a round trip then. Nobody gets a connection without it, so what its last user said cannot leak to the next one.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use deadpool_postgres::StatementCache;
use drydock_domain::TenantId;

use crate::{Client, DatabaseError};

/// Whose rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Of every tenant.
    Every,
    /// Of this one alone.
    Tenant(TenantId),
}

impl Scope {
    /// As SQL. A tenant's id is hexadecimal digits and hyphens.
    fn statement(self) -> String {
        match self {
            Self::Every => "SET drydock.tenant = '*'".to_owned(),
            Self::Tenant(tenant) => format!("SET drydock.tenant = '{}'", tenant.uuid()),
        }
    }
}

/// What the connections of a pool have been told. A connection is known by its cache of statements, which lives as long as it does;
/// the weak reference keeps the address from being somebody else's meanwhile.
#[derive(Debug, Default)]
pub(crate) struct Scopes(Mutex<HashMap<usize, (Weak<StatementCache>, Scope)>>);

impl Scopes {
    /// From now on `client` sees the rows of `scope`.
    pub(crate) async fn enter(&self, client: &Client, scope: Scope) -> Result<(), DatabaseError> {
        let place = Arc::as_ptr(&client.statement_cache).addr();
        // Forgotten until PostgreSQL has answered: whoever is cut off in between leaves a connection of which nothing is known.
        if self.with(|known| known.remove(&place)).is_none_or(|(_, last)| last != scope) {
            let failed = DatabaseError::query("say whose rows are seen");
            client.batch_execute(&scope.statement()).await.map_err(failed)?;
        }
        let connection = Arc::downgrade(&client.statement_cache);
        self.with(|known| {
            known.retain(|_, (connection, _)| connection.strong_count() > 0);
            known.insert(place, (connection, scope));
        });
        Ok(())
    }

    fn with<T>(&self, act: impl FnOnce(&mut HashMap<usize, (Weak<StatementCache>, Scope)>) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
