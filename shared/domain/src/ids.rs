//! Typed identifiers: `UUIDv7` (RFC 9562 §5.7), one newtype each so that they cannot be swapped.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// A fresh, time-ordered identifier.
            pub fn generate() -> Self {
                Self(Uuid::now_v7())
            }

            /// The plain UUID, for a row or a message.
            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl From<Uuid> for $name {
            fn from(uuid: Uuid) -> Self {
                Self(uuid)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::parse_str(text).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }
    };
}

id! {
    /// Owner of everything.
    TenantId
}
id! {
    /// An instruction and a line of versions of its workspace.
    ProjectId
}
id! {
    /// One instruction to be carried out on a project.
    JobId
}
id! {
    /// Many jobs submitted, watched, cancelled and retried as one thing.
    BatchId
}
id! {
    /// What makes jobs at set times.
    ScheduleId
}
id! {
    /// Whom a tenant wants told of ends.
    WebhookId
}
id! {
    /// One event told to one webhook; also the id of the message.
    DeliveryId
}
id! {
    /// One try at a job by one worker; also the fencing token of that try.
    AttemptId
}
id! {
    /// One worker process from start to end; a restart is a new worker.
    WorkerId
}

id! {
    /// A person of a tenant.
    UserId
}
id! {
    /// What proves a right to ask; names the key, and is not its text.
    ApiKeyId
}

impl TenantId {
    /// The tenant that the schema makes, and whose every request is while no keys exist.
    pub const DEFAULT: Self = Self(Uuid::from_u128(1));
}
