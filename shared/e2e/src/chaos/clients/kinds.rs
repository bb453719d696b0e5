//! The jobs that clients ask for.

use std::path::Path;

use rand::{Rng, RngExt as _};
use serde_json::{Value, json};

/// The body of some job: mostly short writers; some long, failing, repeated, read-only or urgent ones.
pub(super) fn some_job(rng: &mut impl Rng, program: &Path, log: &Path) -> Value {
    let (work_ms, failures, retries, read_only) = match rng.random_range(0..100) {
        0..35 => (rng.random_range(0..300), 0, 0, false),
        35..50 => (rng.random_range(500..1500), 0, 0, false),
        50..80 => (rng.random_range(1500..5000), 0, 0, false),
        80..90 => (rng.random_range(50..1500), 0, 0, true),
        90..94 => (rng.random_range(0..300), i16::MAX, 0, false),
        _ => (rng.random_range(0..300), 1, 3, false),
    };
    let argv = [
        program.display().to_string(),
        "work".to_owned(),
        format!("--log={}", log.display()),
        format!("--work-ms={work_ms}"),
        format!("--failures={failures}"),
    ];
    json!({
        "job_type": "command",
        "argv": argv,
        "read_only": read_only,
        "retries": retries,
        "priority": rng.random_range(0..=9),
    })
}
