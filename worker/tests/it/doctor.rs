//! `drydock-worker doctor` on this node, and on one that allows less.

use std::{path::Path, process::Command};

use drydock_worker::workspace::ScratchRoot;
use serde_json::Value;

/// Runs it, by `before` if there is more on the command line; answers its exit code and what it wrote.
fn doctor(before: &[&str], scratch: &Path, more: &[&str]) -> (Option<i32>, Value) {
    let worker = [env!("CARGO_BIN_EXE_drydock-worker"), "--s3-bucket", "never-asked"];
    let words: Vec<&str> = before.iter().chain(&worker).chain(more).chain(&["doctor", "--json"]).copied().collect();
    let mut command = Command::new(words[0]);
    let output = command.args(&words[1..]).env("DRYDOCK_SCRATCH_DIR", scratch).output().unwrap();
    let said = serde_json::from_slice(&output.stdout);
    (output.status.code(), said.unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr))))
}

fn of<'r>(report: &'r Value, check: &str) -> (&'r str, &'r str, &'r str) {
    let found = report["checks"].as_array().unwrap().iter().find(|found| found["check"] == check);
    let found = found.unwrap_or_else(|| panic!("no {check} in {report}"));
    let text = |field: &str| found[field].as_str().unwrap_or_default();
    (text("status"), text("what"), text("remedy"))
}

fn left(scratch: &Path) -> Vec<String> {
    let entries = [scratch.to_owned(), scratch.join("cache/tmp")].map(|path| fs_err::read_dir(path).unwrap());
    let names = entries.into_iter().flatten().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with("doctor-")).collect()
}

#[test]
fn each_way_is_tried_beside_a_worker_and_nothing_is_left_of_it() {
    let scratch = tempfile::tempdir().unwrap();
    let _worker = ScratchRoot::open(scratch.path(), 0).unwrap();
    let (code, report) = doctor(&[], scratch.path(), &[]);
    assert_eq!((code, &report["ok"]), (Some(0), &Value::Bool(true)), "{report}");
    for check in ["kernel", "scratch", "cache", "copy", "agents"] {
        assert_eq!(of(&report, check).0, "ok", "{report}");
    }
    for rung in ["erofs", "overlay", "reflink"] {
        let (status, what, remedy) = of(&report, rung);
        assert!(status == "ok" || (what.starts_with("refused: ") && !remedy.is_empty()), "{report}");
    }
    assert_eq!(left(scratch.path()), [""; 0]);
}

#[test]
fn a_node_that_may_not_mount_says_so_and_what_would_help() {
    let scratch = tempfile::tempdir().unwrap();
    let without = ["setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin", "--"];
    let (code, report) = doctor(&without, scratch.path(), &[]);
    assert_eq!(code, Some(0), "it works all the same: {report}");
    for rung in ["erofs", "overlay"] {
        let (status, what, remedy) = of(&report, rung);
        assert_eq!(status, "warn", "{report}");
        assert!(what.contains("(os error 1)") && remedy.contains("CAP_SYS_ADMIN"), "{what} -> {remedy}");
    }
    let (code, report) = doctor(&without, scratch.path(), &["--materialize", "overlay"]);
    assert_eq!((code, of(&report, "overlay").0), (Some(1), "fail"), "a worker would not start: {report}");
    assert!(of(&report, "overlay").2.contains("DRYDOCK_MATERIALIZE"), "{report}");
}

#[test]
fn a_directory_that_cannot_be_is_named_by_its_setting() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let (code, report) = doctor(&[], &file.path().join("scratch"), &[]);
    assert_eq!(code, Some(1));
    let (status, what, remedy) = of(&report, "scratch");
    assert_eq!(status, "fail");
    assert!(what.contains("Not a directory") && remedy.contains("DRYDOCK_SCRATCH_DIR"), "{what} -> {remedy}");
    assert_eq!(of(&report, "rungs").0, "fail", "{report}");
}

#[test]
fn a_bound_that_leaves_nothing_is_told() {
    let scratch = tempfile::tempdir().unwrap();
    let (code, report) = doctor(&[], scratch.path(), &["--cache-min-free-bytes", "9000000000000000"]);
    let (status, _, remedy) = of(&report, "cache");
    assert_eq!((code, status), (Some(0), "warn"), "{report}");
    assert!(remedy.contains("DRYDOCK_CACHE_MIN_FREE_BYTES"), "{remedy}");
}
