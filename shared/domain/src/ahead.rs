//! The AMQP message "jobs that start from this version will come: fetch it". A guess that one worker is told; whoever misses it
//! fetches when the job is there.

use serde::{Deserialize, Serialize};

use crate::{Digest, ProjectId, TenantId, WorkerId};

/// A version a worker is told to fetch before a job that starts from it comes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ahead {
    /// Whose.
    pub tenant: TenantId,
    /// Whose head it is.
    pub project: ProjectId,
    /// Its number.
    pub version: i32,
    /// Its tree.
    pub tree: Digest,
    /// Who is told.
    pub worker: WorkerId,
}

impl Ahead {
    /// The body, JSON of under 400 bytes.
    pub fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("it has no value JSON cannot hold")
    }

    /// Reads a body; `None` when it is not one, or one of a newer Drydock.
    pub fn decode(body: &[u8]) -> Option<Self> {
        serde_json::from_slice(body).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_back_and_refuses_garbage() {
        let (tenant, project, worker) = (TenantId::generate(), ProjectId::generate(), WorkerId::generate());
        let ahead = Ahead { tenant, project, version: i32::MAX, tree: Digest::of(b"tree"), worker };
        assert!(ahead.encode().len() < 400);
        assert_eq!(Ahead::decode(&ahead.encode()), Some(ahead));
        assert_eq!(Ahead::decode(b"{}"), None);
    }
}
