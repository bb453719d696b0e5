//! What is made of an agent's output: bytes kept, order kept, memory bounded, secrets gone.

use drydock_agent::{AgentOutput, Ending};
use fs_err as fs;
use tokio::sync::mpsc;

use crate::agent_harness::{Scratch, built_in, run_shell, shell};

const MAX_LINE: usize = 16 * 1024;
/// What the worker itself says before any agent speaks.
const PRESENCE: usize = 3;

#[tokio::test]
async fn both_streams_arrive_in_order_and_byte_for_byte() {
    let (_, ran) = run_shell("echo a; echo b >&2; echo c; printf '\\377\\376\\n\\n\\r\\nlast'").await;
    let expected: [&[u8]; 7] = [b"a", b"b", b"c", b"\xff\xfe", b"", b"\r", b"last"];
    assert_eq!(ran.lines[PRESENCE..], expected);
}

#[tokio::test]
async fn standard_input_is_at_its_end() {
    let (_, ran) = run_shell("cat; echo after").await;
    assert_eq!(ran.text()[PRESENCE..], ["after"]);
}

#[tokio::test]
async fn long_lines_come_in_pieces() {
    let (_, ran) = run_shell("head -c 40000 /dev/zero | tr '\\0' x; echo; echo next").await;
    let lengths: Vec<usize> = ran.lines[PRESENCE..].iter().map(Vec::len).collect();
    assert_eq!(lengths, [MAX_LINE, MAX_LINE, 40000 - 2 * MAX_LINE, 4]);
}

/// Largest resident size this process ever had, in KiB.
fn peak_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

async fn flood(script: &str, bytes: u64, newlines: bool) {
    let scratch = Scratch::new();
    let agents = shell("exit", script, &[("FLOOD_TOKEN", "a-secret-that-never-comes")]);
    let (sender, mut receiver) = mpsc::channel(64);
    let before = peak_kib();
    let count = async {
        let (mut bytes, mut lines, mut longest) = (0, 0, 0);
        while let Some(output) = receiver.recv().await {
            if let AgentOutput::Line(line) = output {
                bytes += line.len() as u64;
                lines += 1;
                longest = longest.max(line.len());
            }
        }
        (bytes, lines, longest)
    };
    let (exit, (seen, lines, longest)) = tokio::join!(scratch.launch(&agents, "sh", None, sender), count);
    assert_eq!(exit.unwrap().ending, Ending::Exited(0));
    let presence = ["OPENAI_API_KEY=absent", "OPENAI_ORG_ID=absent", "OPENAI_PROJECT=absent", "FLOOD_TOKEN=present"];
    let seen = seen - presence.iter().map(|line| line.len() as u64).sum::<u64>();
    let lines = lines - presence.len() as u64;
    assert_eq!(seen + if newlines { lines } else { 0 }, bytes);
    assert!(longest <= MAX_LINE);
    let grown = peak_kib() - before;
    assert!(grown < 24 * 1024, "{grown} KiB more at the peak");
}

#[tokio::test]
async fn a_flood_of_lines_needs_no_memory() {
    flood("yes \"$(head -c 99 /dev/zero | tr '\\0' x)\" | head -c 200000000", 200_000_000, true).await;
}

#[tokio::test]
async fn a_flood_without_a_newline_needs_no_memory() {
    flood("head -c 200000000 /dev/zero", 200_000_000, false).await;
}

#[tokio::test]
async fn the_environment_holds_what_is_promised_and_nothing_else() {
    let scratch = Scratch::new();
    let ran = scratch.run(&built_in(), "command", Some(&["env".to_owned()])).await;
    let mut names: Vec<String> =
        ran.text()[PRESENCE..].iter().map(|line| line.split('=').next().unwrap().to_owned()).collect();
    names.sort();
    let expected = [
        "DRYDOCK_ATTEMPT",
        "DRYDOCK_ATTEMPT_ID",
        "DRYDOCK_JOB_ID",
        "DRYDOCK_JOB_TYPE",
        "DRYDOCK_PROJECT_ID",
        "DRYDOCK_WORKSPACE",
        "HOME",
        "LANG",
        "PATH",
        "TERM",
        "TMPDIR",
    ];
    assert_eq!(names, expected);
    assert!(ran.said("TERM=dumb"));
    assert!(ran.said(&format!("HOME={}", scratch.root().join("home").display())));
    assert!(ran.said(&format!("DRYDOCK_JOB_ID={}", scratch.request.job_id)));
}

const SECRET: &str = "sk-canary-\"0123456789";

#[tokio::test]
async fn secrets_reach_the_agent_and_nobody_else() {
    let script = "printf %s \"$API_TOKEN\" | wc -c; echo \"key $API_TOKEN.\"; \
        printf '%s' \"$API_TOKEN\" | head -c 8; sleep 0.05; printf '%s\\n' \"$API_TOKEN\" | tail -c +9; \
        head -c 16380 /dev/zero | tr '\\0' x; echo \"$API_TOKEN\"; \
        printf '{\"status\":\"error\",\"summary\":\"%s\",\"errors\":[\"sk-canary-\\\\\"0123456789\"]}' ok > .codex/result.json; exit 1";
    let scratch = Scratch::new();
    let ran = scratch.run(&shell("file", script, &[("API_TOKEN", SECRET)]), "sh", None).await;
    let text = ran.text();
    assert_eq!(
        text[..4],
        ["OPENAI_API_KEY=absent", "OPENAI_ORG_ID=absent", "OPENAI_PROJECT=absent", "API_TOKEN=present"]
    );
    assert_eq!(text[4..7], [&SECRET.len().to_string(), "key [REDACTED].", "[REDACTED]"]);
    assert!(!text.concat().contains("canary"), "{text:?}");
    assert_eq!(ran.exit.result.errors, ["[REDACTED]", "sh exited with code 1"]);
    let result = fs::read_to_string(scratch.file(".codex/result.json")).unwrap();
    assert!(!result.contains("canary") && result.contains("API_TOKEN=present"), "{result}");
}

#[tokio::test]
async fn the_openai_variables_are_said_for_every_agent() {
    let scratch = Scratch::new();
    let variables: &[_] = &[("OPENAI_API_KEY", SECRET), ("OPENAI_ORG_ID", "")];
    let ran = scratch.run(&shell("exit", "true", variables), "sh", None).await;
    assert_eq!(ran.text(), ["OPENAI_API_KEY=present", "OPENAI_ORG_ID=absent", "OPENAI_PROJECT=absent"]);
    let logs = scratch.result()["logs"].as_str().unwrap().to_owned();
    assert_eq!(logs, "OPENAI_API_KEY=present\nOPENAI_ORG_ID=absent\nOPENAI_PROJECT=absent");
}

#[tokio::test]
async fn a_secret_is_not_left_in_half_by_the_end_of_the_output_that_is_kept() {
    let script = "printf %s \"$API_TOKEN\"; head -c 4090 /dev/zero | tr '\\0' x; exit 1";
    let scratch = Scratch::new();
    let ran = scratch.run(&shell("exit", script, &[("API_TOKEN", SECRET)]), "sh", None).await;
    let last = ran.exit.last_message.unwrap();
    assert!(last.ends_with("xxx") && !last.contains("789"), "{last}");
    assert!(!ran.exit.result.errors.concat().contains("789"));
}
