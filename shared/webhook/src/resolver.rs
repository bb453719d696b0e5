//! The name resolution of the HTTP client: only addresses that the policy allows, and those it then connects to.

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::{
    policy::{Policy, Scheme},
    target::addresses,
};

/// Looks names up for connections of one scheme.
pub(crate) struct Checked {
    pub(crate) policy: Policy,
    pub(crate) scheme: Scheme,
}

impl Resolve for Checked {
    fn resolve(&self, name: Name) -> Resolving {
        let (policy, scheme) = (self.policy.clone(), self.scheme);
        Box::pin(async move {
            let found = addresses(&policy, scheme, name.as_str()).await?;
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}
