//! Which agents exist: those a worker has ever advertised. The set only grows, so a known name costs no query.

use std::{
    collections::BTreeSet,
    sync::{PoisonError, RwLock},
};

use drydock_database::{Database, DatabaseError, worker_list};

use crate::validate::Fault;

/// The names seen so far.
#[derive(Debug, Default)]
pub(crate) struct KnownAgents(RwLock<BTreeSet<String>>);

/// What is known of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Offer {
    /// Some worker has offered it.
    Known,
    /// None has; these were offered.
    Unknown(Vec<String>),
}

impl KnownAgents {
    /// Asks the database only for names not seen before.
    pub(crate) async fn look_up(&self, database: &Database, name: &str) -> Result<Offer, DatabaseError> {
        if self.0.read().unwrap_or_else(PoisonError::into_inner).contains(name) {
            return Ok(Offer::Known);
        }
        let client = database.client().await?;
        let offered = worker_list::agents(&client).await?;
        let known = offered.iter().any(|offered| offered == name) || worker_list::is_a_daemons(&client, name).await?;
        self.0.write().unwrap_or_else(PoisonError::into_inner).extend(offered.iter().cloned());
        Ok(if known { Offer::Known } else { Offer::Unknown(offered) })
    }
}

impl Offer {
    /// The fault of a request that names `agent`.
    pub(crate) fn fault(&self, agent: &str) -> Option<Fault> {
        match self {
            Self::Known => None,
            Self::Unknown(offered) if offered.is_empty() => {
                Some(Fault::value(format!("no worker has ever offered agent '{agent}', nor any other")))
            }
            Self::Unknown(offered) => {
                let known = offered.join(", ");
                Some(Fault::value(format!("no worker has ever offered agent '{agent}'; known are {known}")))
            }
        }
    }

    /// The same for a default, which is trusted until the first worker has come.
    pub(crate) fn fault_of_default(&self, agent: &str) -> Option<Fault> {
        match self {
            Self::Unknown(offered) if offered.is_empty() => None,
            _ => self.fault(agent),
        }
    }
}
