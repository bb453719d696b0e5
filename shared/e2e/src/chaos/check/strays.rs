//! Nothing an attempt started lives when all jobs are over.

use super::Index;

pub(super) fn check(index: &Index<'_>) -> Vec<String> {
    let survivors = index.history.survivors.iter();
    survivors
        .map(|survivor| {
            let worker = index.attempts.get(&survivor.attempt).map_or("nobody", |attempt| attempt.worker.as_str());
            format!("process {} of attempt {} on {worker}", survivor.pid, survivor.attempt)
        })
        .collect()
}
