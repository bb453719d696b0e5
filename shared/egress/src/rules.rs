//! `Rules`: what one agent may reach.

use crate::{
    domain::{Asked, Domain},
    endpoint::Endpoint,
};

/// Domains that may be asked for, and endpoints whose keys are added. Without any, nothing can be reached.
#[derive(Debug, Default)]
pub struct Rules {
    /// What it may reach as a proxy's client.
    pub domains: Vec<Domain>,
    /// What it may reach with a key of the worker's. No two have one name.
    pub endpoints: Vec<Endpoint>,
}

impl Rules {
    /// Whether somebody may be asked for: `None` if not, else whether it may have private addresses.
    pub(crate) fn allow(&self, asked: &Asked) -> Option<bool> {
        let mut covering = self.domains.iter().filter(|domain| domain.covers(asked)).peekable();
        covering.peek()?;
        Some(covering.any(Domain::is_private))
    }
}
