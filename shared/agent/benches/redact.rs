//! What redaction lets through: lines cut from reads of 64 KiB and freed of secrets, as the worker does it with each stream.
//!
//! `make bench-redact`. The text is what agents and compilers write; the secrets are keys, tokens and addresses with a password in
//! them. A figure is the median of the rounds. Exit code 1: a bar is not met.

use std::{
    io::{self, Write as _},
    process::ExitCode,
    time::{Duration, Instant},
};

use bytes::Bytes;
use drydock_agent::{Lines, Redactor};
use rand::{RngExt as _, SeedableRng as _, distr::Alphanumeric, rngs::StdRng};

const READ: usize = 64 << 10;
/// The longest line, as of the worker.
const LINE: usize = 16 << 10;
const TEXT: usize = 32 << 20;
const ROUNDS: usize = 9;
const SECRETS: [usize; 3] = [1, 3, 30];
/// One line of so many says a secret.
const SAYS: [Option<usize>; 2] = [None, Some(20)];
/// Million bytes a second.
const BAR: f64 = 500.0;

fn word(rng: &mut StdRng, length: usize) -> String {
    rng.sample_iter(Alphanumeric).take(length).map(char::from).collect()
}

fn secrets(rng: &mut StdRng, count: usize) -> Vec<String> {
    let secret = |at: usize| match at % 5 {
        0 => format!("sk-proj-{}", word(rng, 48)),
        1 => format!("ghp_{}", word(rng, 36)),
        2 => format!("postgres://app:{}@database.internal:5432/app", word(rng, 24)),
        3 => word(rng, 40),
        _ => format!("xoxb-{}-{}", rng.random::<u32>(), word(rng, 24)),
    };
    (0..count).map(secret).collect()
}

/// One of a secret's forms, in turn.
fn form(secret: &str, turn: usize) -> String {
    match turn % 3 {
        0 => secret.to_owned(),
        1 => hex::encode(secret),
        _ => base64::Engine::encode(&base64::engine::general_purpose::STANDARD, secret),
    }
}

fn line(rng: &mut StdRng) -> String {
    let number: u32 = rng.random();
    match number % 7 {
        0 => format!(
            "2026-11-30T12:00:{:02}.{number:010}Z  INFO app::job::run: attempt started job.id={number:08x}",
            number % 60
        ),
        1 => format!("   Compiling regex-automata v0.4.{} (/workspace/shared/domain)", number % 30),
        2 => format!(
            r#"{{"type":"item.completed","item":{{"id":"item_{number}","type":"command_execution","exit_code":0}}}}"#
        ),
        3 => format!("test path::tests::a_path_is_kept_{number} ... ok"),
        4 => format!(
            "{:032x}{:032x}  ./target/debug/deps/lib{}.rmeta",
            rng.random::<u128>(),
            rng.random::<u128>(),
            word(rng, 12)
        ),
        5 => format!("  File \"/workspace/app/models.py\", line {number}, in handle"),
        _ => String::from("    raise ValueError(f\"bad value: {value!r}\")"),
    }
}

fn text(rng: &mut StdRng, secrets: &[String], says: Option<usize>) -> Vec<u8> {
    let mut text = String::with_capacity(TEXT + LINE);
    for at in 0.. {
        if text.len() >= TEXT {
            break;
        }
        text.push_str(&line(rng));
        if says.is_some_and(|says| at % says == 0) {
            text.push_str(" key=");
            text.push_str(&form(&secrets[at % secrets.len()], at));
        }
        text.push('\n');
    }
    text.into_bytes()
}

/// Bytes that come out, so that the work is not left out.
fn redact(text: &[u8], redactor: &Redactor) -> usize {
    let (mut lines, mut out) = (Lines::new(LINE), 0);
    let mut take = |line: Bytes| out += redactor.bytes(line).len();
    for read in text.chunks(READ) {
        lines.room().extend_from_slice(read);
        while let Some(line) = lines.next(redactor) {
            take(line);
        }
    }
    lines.rest().into_iter().for_each(take);
    out
}

fn measure(out: &mut impl io::Write) -> io::Result<bool> {
    let mut rng = StdRng::seed_from_u64(1);
    let mut is_met = true;
    for (count, says) in SECRETS.into_iter().flat_map(|count| SAYS.map(|says| (count, says))) {
        let secrets = secrets(&mut rng, count);
        let text = text(&mut rng, &secrets, says);
        let redactor = Redactor::new(&secrets).map_err(io::Error::other)?;
        let mut times: Vec<Duration> = (0..ROUNDS)
            .map(|_| {
                let began = Instant::now();
                std::hint::black_box(redact(&text, &redactor));
                began.elapsed()
            })
            .collect();
        times.sort();
        let speed = text.len() as f64 / times[ROUNDS / 2].as_secs_f64() / 1e6;
        let said = says.map_or_else(|| "none said".to_owned(), |says| format!("one line of {says} says one"));
        let verdict = if speed >= BAR { "met" } else { "MISSED" };
        writeln!(out, "{count:3} secrets, {said:27} {speed:6.0} MB/s  bar {BAR} MB/s  {verdict}")?;
        is_met &= speed >= BAR;
    }
    Ok(is_met)
}

fn main() -> ExitCode {
    match measure(&mut io::stdout()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            let _unheard = writeln!(io::stderr(), "{error}");
            ExitCode::from(2)
        }
    }
}
