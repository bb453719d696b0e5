//! File descriptors: each connection is one, and a process that has none left takes no connection at all, not even to refuse it.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What all else needs: the database, object storage, uploads.
const RESERVE: u64 = 512;

/// As many of `wanted` connections as the process may have descriptors for, once it has asked for all it may have.
pub(super) fn room_for(wanted: usize) -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    let most = if raised.is_ok() { limit.maximum } else { limit.current };
    let room = fitting(most, wanted);
    if room < wanted {
        tracing::warn!(room, wanted, "fewer connections than asked for: raise the limit of open files (RLIMIT_NOFILE)");
    }
    room
}

/// Under a limit of `most`, where none is as many as there are numbers.
fn fitting(most: Option<u64>, wanted: usize) -> usize {
    let Some(most) = most else { return wanted };
    let room = most.saturating_sub(RESERVE).max(most / 2).max(1);
    wanted.min(usize::try_from(room).unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn something_is_left_for_all_else() {
        let cases = [(None, 10_000), (Some(1 << 20), 10_000), (Some(4_096), 3_584), (Some(600), 300), (Some(0), 1)];
        for (most, room) in cases {
            assert_eq!(fitting(most, 10_000), room, "{most:?}");
        }
    }
}
