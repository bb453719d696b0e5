//! The `webhook` table and that of its deliveries. The rows of deliveries come from triggers, in the transaction that ends a job or a batch;
//! the API keeps the webhooks, the dispatchers send. Secrets come here sealed.

mod change;
mod delivery;
mod end;
mod read;
mod send;

pub use change::{Created, NewWebhook, WebhookChange, create, delete, rotate, update};
pub use delivery::{DeliveryRow, DeliveryState, deliveries, delivery, redeliver, test};
pub use end::{JobEnd, job_ends};
pub use read::{Disabled, WebhookRow, find, list};
pub use send::{Claim, Outcome, Patience, Pending, Recorded, Shares, Tried, backlog, claim, forget, pending, record};
