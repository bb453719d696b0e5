//! The `dummy` agent: a small real program that follows the file protocol and needs no model.
//!
//! It reads `.codex/request.json` in its working directory, does what little the job type asks for, writes
//! `.codex/result.json`, and exits 0 whenever it could say how it went.

use std::{path::Path, process::ExitCode};

use anyhow::{Context as _, Result};
use drydock_domain::{
    JobType,
    agent::{AgentRequest, AgentResult, EXCHANGE_DIR, REQUEST_FILE, RESULT_FILE},
};
use fs_err as fs;

/// In an instruction: end with an error.
const FORCE_ERROR: &str = "force_error";
const FORCED_ERROR: &str = "forced_error";
/// Characters of the instruction that go into the comment of an edit.
const MAX_COMMENT: usize = 200;

const APP: &str = r#""""Prints the first ten Fibonacci numbers."""


def fibonacci(count):
    """The first `count` Fibonacci numbers."""
    numbers = []
    current, following = 0, 1
    for _ in range(count):
        numbers.append(current)
        current, following = following, current + following
    return numbers


if __name__ == "__main__":
    print(*fibonacci(10))
"#;

const TEST: &str = r#""""Runs app.py and checks what it prints. Works with plain python3, unittest and pytest."""

import pathlib
import subprocess
import sys
import unittest

APP = pathlib.Path(__file__).resolve().parent.parent / "app.py"


class TestCli(unittest.TestCase):
    def test_prints_the_first_ten_fibonacci_numbers(self):
        run = subprocess.run([sys.executable, str(APP)], capture_output=True, text=True, check=True)
        self.assertEqual(run.stdout, "0 1 1 2 3 5 8 13 21 34\n")


if __name__ == "__main__":
    unittest.main()
"#;

#[expect(clippy::print_stderr, reason = "a command line program's own words")]
fn main() -> ExitCode {
    match run(Path::new(".")) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("dummy: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(workspace: &Path) -> Result<()> {
    let exchange = workspace.join(EXCHANGE_DIR);
    let request = fs::read(exchange.join(REQUEST_FILE)).context("no request to work on")?;
    let request: AgentRequest = serde_json::from_slice(&request).context("the request is malformed")?;
    say(&format!("dummy: {} attempt {}", request.job_type, request.attempt));
    let result = if request.instruction.contains(FORCE_ERROR) {
        say("dummy: the instruction asks for an error");
        AgentResult::error("The instruction asked for an error.", vec![FORCED_ERROR.to_owned()])
    } else {
        match request.job_type {
            JobType::InitialProject => create(workspace, &request.instruction)?,
            JobType::Edit | JobType::Command | JobType::Session => edit(workspace, &request.instruction)?,
        }
    };
    fs::write(exchange.join(RESULT_FILE), serde_json::to_vec_pretty(&result)?)?;
    say(&format!("dummy: {}", result.summary));
    Ok(())
}

fn create(workspace: &Path, instruction: &str) -> Result<AgentResult> {
    let readme = format!(
        "# Fibonacci\n\n> {}\n\nRun `python3 app.py`; test with `python3 tests/test_cli.py`.\n",
        first_line(instruction)
    );
    fs::create_dir_all(workspace.join("tests"))?;
    let mut result = AgentResult::completed("Created a Fibonacci program with a test.");
    for (path, text) in [("README.md", readme.as_str()), ("app.py", APP), ("tests/test_cli.py", TEST)] {
        let there = workspace.join(path).exists();
        fs::write(workspace.join(path), text)?;
        say(&format!("dummy: wrote {path}"));
        if there { &mut result.modified_files } else { &mut result.created_files }.push(path.to_owned());
    }
    Ok(result)
}

fn edit(workspace: &Path, instruction: &str) -> Result<AgentResult> {
    let path = workspace.join("app.py");
    let there = path.exists();
    let mut text = if there { fs::read(&path)? } else { Vec::new() };
    if !text.is_empty() && !text.ends_with(b"\n") {
        text.push(b'\n');
    }
    text.extend_from_slice(format!("# {}\n", first_line(instruction)).as_bytes());
    fs::write(&path, text)?;
    say("dummy: appended a comment to app.py");
    let mut result = AgentResult::completed("Appended a comment to app.py.");
    if there { &mut result.modified_files } else { &mut result.created_files }.push("app.py".to_owned());
    Ok(result)
}

/// The instruction's first line that says something, short and without control characters: nothing in it can end the comment.
fn first_line(instruction: &str) -> String {
    let separator = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    let line = instruction.split(separator).map(str::trim).find(|line| !line.is_empty());
    line.unwrap_or("edited").chars().take(MAX_COMMENT).collect()
}

#[expect(clippy::print_stdout, reason = "a command line program's own words")]
fn say(line: &str) {
    println!("{line}");
}
