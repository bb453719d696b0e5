//! Pure types of Drydock: no I/O, no async, no clock.

pub mod access;
pub mod agent;
pub mod ahead;
pub mod changes;
pub mod daemon;
pub mod digest;
pub mod ids;
pub mod ignore;
pub mod instruction;
pub mod object;
pub mod path;
pub mod rungs;
pub mod schedule;
pub mod state;
pub mod ticket;
pub mod transition;
pub mod tree;
pub mod webhook;

pub use self::ignore::{IGNORE_FILE, IGNORE_FILE_MAX, IgnoreFlaw, IgnoreRules};
pub use access::{ApiKey, ApiKeyError, KeyPrefix, Role, Scope, Scopes, SecretHash};
pub use ahead::Ahead;
pub use changes::Changes;
pub use digest::{Digest, DigestError};
pub use ids::{
    ApiKeyId, AttemptId, BatchId, DeliveryId, JobId, ProjectId, ScheduleId, TenantId, UserId, WebhookId, WorkerId,
};
pub use instruction::{Instruction, InstructionError};
pub use object::ObjectKind;
pub use path::{PathError, RelativePath};
pub use schedule::{Missed, Schedule, ScheduleError};
pub use state::{Isolation, JobState, JobType, Outcome, Phase, Status};
pub use ticket::{Dispatch, Ticket};
pub use tree::{Entry, EntryKind, LinkTarget, Mode, Tree, TreeEdit, TreeError};
pub use webhook::WebhookEvent;
