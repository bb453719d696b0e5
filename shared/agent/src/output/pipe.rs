//! Reading one pipe of an agent until it closes, or, once the agent is dead, until nothing of it can be left inside.

use std::{io, time::Duration};

use bytes::Bytes;
use tokio::{io::AsyncReadExt as _, net::unix::pipe::Receiver};
use tokio_util::sync::CancellationToken;

use super::{Lines, Sink};

/// Silence after the agent's end that counts as the end of a pipe which something else still holds open.
const IDLE: Duration = Duration::from_millis(250);
/// A pipe holds no more than this (`/proc/sys/fs/pipe-max-size`), so no more can be the agent's once it is dead.
const MOST_LEFT: usize = 1024 * 1024;

/// Makes log lines and progress of one stream's lines.
pub(crate) trait Interpreter {
    /// Takes one line without its newline.
    fn line(&mut self, line: Bytes, sink: &Sink) -> impl Future<Output = ()> + Send;
}

/// Reads `pipe` to its end. `ended` says that the agent and all it started are dead.
pub(crate) async fn read(
    mut pipe: Receiver,
    mut lines: Lines,
    interpreter: &mut impl Interpreter,
    sink: &Sink,
    ended: &CancellationToken,
) -> io::Result<()> {
    let mut left = MOST_LEFT;
    loop {
        let read = tokio::select! {
            biased;
            read = pipe.read_buf(lines.room()) => read?,
            () = idle_after(ended) => break,
        };
        let handing_on = (read > 0).then(|| sink.heard.something());
        while let Some(line) = lines.next(&sink.redactor) {
            sink.said.line(&line);
            interpreter.line(line, sink).await;
        }
        drop(handing_on);
        if ended.is_cancelled() {
            left = left.saturating_sub(read);
        }
        if read == 0 || left == 0 {
            break;
        }
    }
    if let Some(line) = lines.rest() {
        sink.said.line(&line);
        interpreter.line(line, sink).await;
    }
    Ok(())
}

/// Resolves some time after the agent's end.
pub(crate) async fn idle_after(ended: &CancellationToken) {
    ended.cancelled().await;
    tokio::time::sleep(IDLE).await;
}
