//! The examples in `deploy/examples`: transcripts, run line by line as they stand there, and a program.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::Stdio,
};

use drydock_e2e::process::binary;
use secrecy::ExposeSecret as _;
use serde_json::json;
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

/// The Python program on the client that is made of the API's own document, with a key.
#[tokio::test]
async fn a_generated_python_client_runs_a_batch() {
    let stack = Stack::with(Options { slots: Some(2), ..Options::default() }).await;
    let api = &stack.client.bases()[0];
    let (status, made) =
        stack.client.send(reqwest::Method::POST, "/keys", Some(json!({"name": "python", "role": "admin"}))).await;
    assert_eq!(status, 201, "{made}");
    let home = tempfile::tempdir().unwrap();
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/examples/python");
    let document = reqwest::get(format!("{api}/openapi.json")).await.unwrap().bytes().await.unwrap();
    fs_err::write(home.path().join("openapi.json"), document).unwrap();
    let programs = PathBuf::from(drydock_testing::setting("DRYDOCK_TEST_PYTHON_BIN"));
    let run = async |program: &str, arguments: &[&OsStr]| {
        let mut command = Command::new(programs.join(program));
        command.args(arguments).current_dir(&home).env_clear().stdin(Stdio::null());
        command.envs([("DRYDOCK_API_URL", api.as_str()), ("PYTHONPATH", home.path().to_str().unwrap())]);
        command.env("DRYDOCK_API_KEY", made["key"].as_str().unwrap());
        let run = command.output().await.expect("deploy/local/python.sh has installed it");
        let told = [run.stdout, run.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
        (run.status.code(), told)
    };
    let config = example.join("client.yaml");
    let generate = ["generate", "--path", "openapi.json", "--meta", "none", "--output-path", "drydock_api"];
    let mut generate = generate.map(OsStr::new).to_vec();
    // A warning is an operation that the client does not have.
    generate.extend([OsStr::new("--fail-on-warning"), OsStr::new("--config"), config.as_os_str()]);
    let (code, told) = run("openapi-python-client", &generate).await;
    assert_eq!(code, Some(0), "{told:?}");

    let program = example.join("tries.py");
    let words = ["Print the first ten primes", "Sort them", "Try this: force_error", "Write a test"];
    let arguments: Vec<&OsStr> = [program.as_os_str()].into_iter().chain(words.map(OsStr::new)).collect();
    let (code, [told, errors]) = run("python", &arguments).await;
    assert_eq!(code, Some(1), "one of them fails: {told}{errors}");
    let lines: Vec<&str> = told.lines().collect();
    assert!(lines[0].ends_with("has version 1") && lines[1].ends_with("has 3 jobs"), "{told}");
    assert!(lines[2].starts_with("  1  completed   Sort them: "), "{told}");
    assert!(
        lines[3].starts_with("  2  error       Try this: force_error: ") && lines[3].ends_with("asked for an error."),
        "{told}"
    );
    assert!(lines[4].starts_with("  3  completed   Write a test: "), "{told}");
    assert_eq!(lines[5..], ["2 of 3 completed"]);
}
