//! Lines of a batch, as the body of a request brings them: the same however it is divided, none above the limit, and their numbers
//! those of the file. The first byte is the limit, the second the size of the pieces.
#![no_main]

use bytes::Bytes;
use futures_util::{FutureExt as _, stream};
use libfuzzer_sys::fuzz_target;

fn lines(data: &[u8], piece: usize, limit: usize) -> Vec<(i32, Option<Vec<u8>>)> {
    let pieces: Vec<Bytes> = data.chunks(piece).map(Bytes::copy_from_slice).collect();
    let lines = drydock_api::inputs::batch_lines(stream::iter(pieces), limit).now_or_never();
    lines.expect("everything is there already")
}

/// The rule, from its description: a line without its newline may have `limit` bytes.
fn expected(data: &[u8], limit: usize) -> Vec<(i32, Option<Vec<u8>>)> {
    let numbered = (1..).zip(data.split(|&byte| byte == b'\n'));
    let told = numbered.filter_map(|(number, line)| match line.trim_ascii() {
        _ if line.len() > limit => Some((number, None)),
        b"" => None,
        text => Some((number, Some(text.to_vec()))),
    });
    told.collect()
}

fuzz_target!(|data: &[u8]| {
    let [limit, piece, data @ ..] = data else { return };
    let (limit, piece) = (usize::from(*limit), usize::from(*piece).max(1));
    let lines = lines(data, piece, limit);
    assert_eq!(lines, expected(data, limit));
    for text in lines.iter().filter_map(|(_, line)| std::str::from_utf8(line.as_deref()?).ok()) {
        if let Some(value) = drydock_api::inputs::json(text) {
            assert_eq!(serde_json::from_str::<serde_json::Value>(text).ok(), Some(value));
        }
    }
});
