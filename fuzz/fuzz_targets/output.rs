//! Output of agents: cut into lines and freed of secrets, the same however it was read, with no secret left and no byte lost.
//! The first three bytes are the limit of a line, the size of the reads and the length of a secret, which follows.
#![no_main]

use drydock_agent::{Lines, Redactor};
use libfuzzer_sys::fuzz_target;

fn clean(data: &[u8], read: usize, limit: usize, redactor: &Redactor) -> Vec<Vec<u8>> {
    let (mut lines, mut all) = (Lines::new(limit), Vec::new());
    for read in data.chunks(read) {
        lines.room().extend_from_slice(read);
        while let Some(line) = lines.next(redactor) {
            all.push(redactor.bytes(line).to_vec());
        }
    }
    all.extend(lines.rest().map(|line| redactor.bytes(line).to_vec()));
    all
}

fn without_newlines(data: &[u8]) -> Vec<u8> {
    data.iter().copied().filter(|&byte| byte != b'\n').collect()
}

fuzz_target!(|data: &[u8]| {
    let [limit, read, length, data @ ..] = data else { return };
    let (limit, read) = (usize::from(*limit).max(1), usize::from(*read).max(1));
    let (secret, said) = data.split_at(data.len().min(usize::from(*length)));
    let redactor = Redactor::new([secret]).expect("one value");
    let pieces = clean(said, read, limit, &redactor);
    assert_eq!(pieces.concat(), clean(said, said.len().max(1), limit, &redactor).concat(), "reads make a difference");
    assert_eq!(clean(said, read, limit, &Redactor::default()).concat(), without_newlines(said), "bytes are lost");
    // One that the marker could be a part of may come about by it.
    if secret.len() >= 8 && !secret.iter().any(|byte| b"[REDACTED]".contains(byte)) {
        let holds = |piece: &Vec<u8>| piece.windows(secret.len()).any(|part| part == secret);
        assert!(!pieces.iter().any(holds), "a secret is left");
    }
});
