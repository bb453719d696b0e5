//! A worker's side of the protocol, with the real calls: registers, claims, writes a log, finishes with a tree.

use std::time::Duration;

use drydock_database::{
    Client, job, log_chunk, pack,
    report::{Report, StoredPack, StoredTree},
    worker::{self, NewWorker},
};
use drydock_domain::{AttemptId, Digest, Isolation, JobId, ObjectKind, Outcome, TenantId, Ticket, WorkerId};
use drydock_storage::{BoxError, Limits, Manifest, PackRegistry, WriteOptions, import_tar};

use super::Api;

/// A registered worker that does what the test tells it.
pub(crate) struct Worker {
    id: WorkerId,
    client: Client,
    storage: drydock_storage::Storage,
    database: drydock_database::Database,
}

struct Packs(drydock_database::Database);

impl PackRegistry for Packs {
    async fn uploading(&self, kind: ObjectKind, id: Digest, bytes: u64) -> Result<(), BoxError> {
        let object = pack::Object { tenant: TenantId::DEFAULT, kind, id };
        Ok(pack::announce(&self.0.client().await?, object, bytes, None).await?)
    }
}

impl Worker {
    pub(crate) async fn start(api: &Api, agents: &[&str]) -> Self {
        let client = api.database.client().await.unwrap();
        let id = WorkerId::generate();
        let new = NewWorker {
            id,
            instance: format!("test-{id}"),
            pool: "default".to_owned(),
            slots: 4,
            session_slots: 1,
            agents: agents.iter().map(|agent| (*agent).to_owned()).collect(),
            labels: serde_json::json!({}),
            isolation: Isolation::None,
            rung: "copy".to_owned(),
            refused_rungs: serde_json::json!({}),
            build: "test".to_owned(),
        };
        worker::start(&client, &new, Duration::from_secs(600)).await.unwrap();
        Self { id, client, storage: api.storage.clone(), database: api.database.database.clone() }
    }

    pub(crate) fn id(&self) -> WorkerId {
        self.id
    }

    /// Claims the job as a dispatched ticket would let it.
    pub(crate) async fn claim(&self, job: &str) -> AttemptId {
        let job: JobId = job.parse().unwrap();
        let dispatch = "UPDATE job SET state = 'dispatched', backing_off = false, dispatch_seq = dispatch_seq + 1, dispatched_at = now()
                         WHERE id = $1 RETURNING dispatch_seq";
        let seq: i32 = self.client.query_one(dispatch, &[&job.uuid()]).await.unwrap().get(0);
        let attempt = AttemptId::generate();
        let ticket = Ticket::new(job, seq, "default".to_owned(), 0);
        let path = format!("/scratch/{attempt}");
        let claimed = job::claim(&self.client, &ticket, attempt, self.id, &path).await.unwrap();
        assert!(matches!(claimed, job::Claimed::Mine(_)), "{claimed:?}");
        attempt
    }

    /// Appends a chunk to the attempt's log.
    pub(crate) async fn log(&self, attempt: AttemptId, seq: i32, offset: usize, bytes: &[u8]) {
        let body = log_chunk::Body::Inline(bytes);
        log_chunk::append(&self.client, attempt, seq, i64::try_from(offset).unwrap(), body).await.unwrap();
    }

    /// Appends a chunk whose bytes are an object.
    pub(crate) async fn segment(&self, attempt: AttemptId, seq: i32, offset: usize, bytes: &[u8]) {
        let key = self.storage.keys(TenantId::DEFAULT).log_segment(attempt, seq.unsigned_abs().into());
        self.storage.put(&key, bytes.to_vec().into()).await.unwrap();
        let length = i32::try_from(bytes.len()).unwrap();
        let body = log_chunk::Body::Object { key: key.as_str(), length };
        log_chunk::append(&self.client, attempt, seq, i64::try_from(offset).unwrap(), body).await.unwrap();
    }

    /// Finishes with `report` and, where some are given, these files as the whole tree. Nothing comes between.
    pub(crate) async fn finish(
        &self,
        job: &str,
        attempt: AttemptId,
        outcome: Outcome,
        report: &Report,
        files: Option<&[(&str, Content<'_>)]>,
    ) {
        assert_eq!(self.try_finish(job, attempt, outcome, report, files).await, job::Finished::Ok);
    }

    /// Finishes, and tells how that went.
    pub(crate) async fn try_finish(
        &self,
        job: &str,
        attempt: AttemptId,
        outcome: Outcome,
        report: &Report,
        files: Option<&[(&str, Content<'_>)]>,
    ) -> job::Finished {
        let tree = match files {
            Some(files) => Some(self.store(files).await),
            None => None,
        };
        let finish = job::Finish { tree, ..job::Finish::new(job.parse().unwrap(), attempt, outcome, report.clone()) };
        job::finish(&self.client, &finish).await.unwrap()
    }

    /// A version of these files, by one successful attempt at the job.
    pub(crate) async fn publish(&self, job: &str, files: &[(&str, Content<'_>)]) {
        let attempt = self.claim(job).await;
        self.finish(job, attempt, Outcome::Succeeded, &Report::default(), Some(files)).await;
    }

    async fn store(&self, files: &[(&str, Content<'_>)]) -> StoredTree {
        let options = WriteOptions {
            tenant: TenantId::DEFAULT,
            base: None,
            limits: Limits::default(),
            temp_dir: std::env::temp_dir(),
        };
        let packs = Packs(self.database.clone());
        let archive = std::io::Cursor::new(tar(files));
        let written = import_tar(&self.storage, options, &packs, archive).await.unwrap().unwrap();
        let manifest: &Manifest = &written.manifest;
        assert_eq!(manifest.tree().entries().iter().filter(|entry| !entry.is_dir()).count(), files.len());
        StoredTree {
            tree_id: written.tree_id.to_string(),
            manifest_id: written.manifest_id.to_string(),
            delta: None,
            packs: written.packs.iter().map(|p| StoredPack { id: p.id.to_string(), bytes: p.bytes }).collect(),
            file_count: u32::try_from(written.file_count).unwrap(),
            total_bytes: written.total_bytes,
        }
    }
}

/// What is at a path.
#[derive(Clone, Copy)]
pub(crate) enum Content<'a> {
    File(&'a [u8]),
    Script(&'a [u8]),
    Link(&'a str),
}

/// An archive of these files, written byte by byte (POSIX.1-1988 ustar), so that it may also say what no tool would.
pub(crate) fn tar(files: &[(&str, Content<'_>)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (path, content) in files {
        let (kind, mode, body, link) = match content {
            Content::File(body) => (b'0', 0o644, *body, ""),
            Content::Script(body) => (b'0', 0o755, *body, ""),
            Content::Link(target) => (b'2', 0o777, &b""[..], *target),
        };
        let mut header = [0_u8; 512];
        header[..path.len()].copy_from_slice(path.as_bytes());
        header[100..108].copy_from_slice(format!("{mode:07o}\0").as_bytes());
        header[124..136].copy_from_slice(format!("{:011o}\0", body.len()).as_bytes());
        header[136..148].copy_from_slice(b"00000000000\0");
        header[148..156].fill(b' ');
        header[156] = kind;
        header[157..157 + link.len()].copy_from_slice(link.as_bytes());
        header[257..265].copy_from_slice(b"ustar\x0000");
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        out.extend_from_slice(&header);
        out.extend_from_slice(body);
        out.resize(out.len().next_multiple_of(512), 0);
    }
    out.extend_from_slice(&[0; 1024]);
    out
}
