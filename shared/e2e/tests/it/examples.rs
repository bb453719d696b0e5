//! The transcripts in `deploy/examples`, run line by line as they stand there.

use std::{path::Path, process::Stdio};

use drydock_e2e::process::binary;
use secrecy::ExposeSecret as _;
use tokio::process::Command;

use crate::stack::{Options, Stack};

/// Runs a transcript with cram, which compares what each command writes.
async fn transcript(stack: &Stack, name: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/examples").join(name);
    let drydock = binary("drydock");
    let path = format!("{}:{}", drydock.parent().unwrap().display(), drydock_testing::setting("PATH"));
    let home = tempfile::tempdir().unwrap();
    let run = Command::new("cram3")
        .args(["--shell=/bin/bash", "--preserve-env"])
        .arg(file)
        .env_clear()
        .envs([("PATH", path.as_str()), ("DRYDOCK_API_URL", &stack.client.bases()[0])])
        .env("DRYDOCK_DATABASE_URL", stack.database.url.expose_secret())
        .env("XDG_CONFIG_HOME", home.path())
        .stdin(Stdio::null())
        .output();
    let run = run.await.expect("cram is installed: deploy/local/lib/packages.sh has it");
    let told = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success() && told.contains("# Ran 1 tests, 0 skipped, 0 failed."), "{told}");
}

#[tokio::test]
async fn the_best_of_a_thousand_tries() {
    let stack = Stack::with(Options { slots: Some(4), ..Options::default() }).await;
    transcript(&stack, "best-of-n.t").await;
}
