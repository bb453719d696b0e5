//! Pure types of Drydock: no I/O, no async, no clock.

pub mod tree;
pub mod path;
pub mod digest;
pub mod changes;
pub mod agent;
pub mod ids;
pub mod ticket;
pub mod state;
pub mod instruction;

pub use tree::{Entry, EntryKind, LinkTarget, Mode, Tree, TreeError};
pub use path::{PathError, RelativePath};
pub use digest::{Digest, DigestError};
pub use changes::Changes;
pub use ids::{AttemptId, JobId, ProjectId, TenantId, WorkerId};
pub use instruction::{Instruction, InstructionError};
pub use state::{Isolation, JobState, JobType, Outcome, Phase, Status};
pub use ticket::Ticket;
