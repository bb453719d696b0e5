//! Who may do what: scopes, the roles that hold them, and the keys that prove a role.

mod key;
mod role;
mod scope;

pub use key::{ApiKey, ApiKeyError, KeyPrefix, SecretHash};
pub use role::Role;
pub use scope::{Scope, Scopes};
