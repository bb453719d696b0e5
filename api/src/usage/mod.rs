//! What was used: by the caller's tenant, and for operators by all.

mod list;
mod period;
mod tenants;
mod views;

pub(crate) use self::{list::*, tenants::*};
