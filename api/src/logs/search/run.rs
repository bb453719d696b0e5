//! Brings the bytes of a log to a scan, which looks at them on a thread of its own.

use std::{pin::pin, time::Instant};

use bytes::Bytes;
use drydock_database::log_read::AttemptLog;
use drydock_domain::TenantId;
use tokio::sync::mpsc;

use super::{
    super::reader::{LogReader, Step},
    hit::HitView,
    lines::Spot,
    scan::{Counted, Scan},
};
use crate::{error::ApiError, state::Shared};

/// Pieces of a log (64 KiB each) read ahead of the scan.
const AHEAD: usize = 4;

/// How far a search has come in a log.
#[derive(Debug)]
pub(crate) struct Found {
    /// Matching lines from the beginning to where it counted.
    pub(crate) total: u64,
    pub(crate) hits: Vec<HitView>,
    /// Everything that is there was counted.
    pub(crate) complete: bool,
    /// The attempt is over: no more will come.
    pub(crate) ended: bool,
    /// Where to go on, unless everything was looked at.
    pub(crate) next: Option<Spot>,
    /// How far lines are counted.
    pub(crate) counted: Counted,
}

/// Why the bytes ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// There are no more.
    Log,
    /// There may be more later.
    Present,
    /// The scan wants no more, or time is up.
    Scan,
}

/// Searches in a log until it ends, now or for ever, or time is up.
pub(crate) async fn run(app: &Shared, tenant: TenantId, log: &AttemptLog, mut scan: Scan) -> Result<Found, ApiError> {
    loop {
        let from = scan.spot();
        let reader = LogReader::new(app.clone(), tenant, log.clone(), from.offset);
        let (end, back) = bring(reader, scan).await?;
        scan = back;
        // A page that is full has nothing to look for in what is counted already.
        if end == End::Scan && scan.is_ahead(scan.spot()) {
            scan.skip();
            continue;
        }
        let total = match end {
            End::Scan => scan.counted().lines,
            End::Log | End::Present => scan.end(end == End::Present),
        };
        let complete = end != End::Scan;
        let next = scan.full().or_else(|| (!complete).then(|| scan.spot()));
        let counted = scan.counted();
        return Ok(Found { total, hits: scan.into_hits(), complete, ended: end == End::Log, next, counted });
    }
}

/// Reads and looks at the same time.
async fn bring(mut reader: LogReader, mut scan: Scan) -> Result<(End, Scan), ApiError> {
    let (pieces, mut taken) = mpsc::channel::<Bytes>(AHEAD);
    let until = scan.until();
    let looking = tokio::task::spawn_blocking(move || {
        while let Some(bytes) = taken.blocking_recv() {
            if !scan.feed(&bytes) {
                return (true, scan);
            }
        }
        (false, scan)
    });
    let read = read(&mut reader, pieces, until).await;
    let (enough, scan) = looking.await.map_err(|error| ApiError::Internal(format!("search a log: {error}")))?;
    Ok((if enough { End::Scan } else { read? }, scan))
}

async fn read(reader: &mut LogReader, pieces: mpsc::Sender<Bytes>, until: Instant) -> Result<End, ApiError> {
    let mut time_up = pin!(tokio::time::sleep_until(until.into()));
    // Some of the log is looked at however late it is, so that whoever goes on gets on.
    let mut begun = false;
    loop {
        let step = tokio::select! {
            step = reader.next() => step?,
            () = &mut time_up, if begun => return Ok(End::Scan),
        };
        match step {
            Step::Bytes(bytes) => {
                begun = true;
                if pieces.send(bytes).await.is_err() {
                    return Ok(End::Scan);
                }
            }
            Step::Wait => return Ok(End::Present),
            Step::End => return Ok(End::Log),
        }
    }
}
