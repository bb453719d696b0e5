//! Who listens on a port and whether it is used, as the kernel tells it (`proc_net_tcp(5)`, in the network namespace of the server).
//!
//! A look sees what is there at that moment, and what is left of what was there since the last one: the end that closes a connection
//! first keeps it for a minute (`TIME_WAIT`), so that a short request is seen by what it leaves. Where a client on another host closes
//! first, nothing is left here; then the bytes its server read and wrote tell (`/proc/PID/io`: files, pipes, and sockets by read(2) and
//! write(2), not by recv(2) and send(2)). Not seen is a short request whose client closes first, of a server that neither logs it nor
//! reads a file for it.

use std::collections::BTreeSet;

use rustix::process::Pid;

use crate::process::{self, Belongings};

const ESTABLISHED: &str = "01";
/// `TCP_LISTEN`.
const LISTEN: &str = "0A";
/// `TCP_FIN_WAIT1`, `TCP_FIN_WAIT2`, `TCP_TIME_WAIT`, `TCP_CLOSE_WAIT`, `TCP_LAST_ACK`, `TCP_CLOSING`.
const CLOSING: [&str; 6] = ["04", "05", "06", "08", "09", "0B"];

/// The attempt's processes that listen on `port`; nothing where nobody does, or only somebody else. Where the kernel does not tell
/// whose a socket is, it is taken to be theirs, and nobody is named.
pub(super) async fn listeners(leader: Pid, belongings: &Belongings, port: u16) -> Option<Vec<i32>> {
    let belongings = belongings.clone();
    let looked = tokio::task::spawn_blocking(move || {
        let Some(tables) = tables(leader) else { return Some(Vec::new()) };
        let listening = entries(&tables).filter(|entry| entry.state == LISTEN && entry.local.1 == port);
        let inodes: BTreeSet<u64> = listening.filter_map(|entry| entry.inode).collect();
        if inodes.is_empty() {
            return None;
        }
        let found = process::holders(leader, &belongings, &inodes);
        (!found.pids.is_empty() || found.unclear).then_some(found.pids)
    });
    looked.await.unwrap_or_default()
}

/// Looks for signs of use of one server's port.
pub(super) struct Watch {
    leader: Pid,
    port: u16,
    /// Processes whose bytes count.
    counted: Vec<i32>,
    last: Option<Look>,
}

impl Watch {
    /// Of the server with this leader and these processes that listen.
    pub(super) fn new(leader: Pid, port: u16, mut counted: Vec<i32>) -> Self {
        let own = leader.as_raw_nonzero().get();
        if !counted.contains(&own) {
            counted.push(own);
        }
        Self { leader, port, counted, last: None }
    }

    /// Whether it is used, or was since the last look. Where the kernel does not tell, it is taken to be: a session that is used shall
    /// not end.
    pub(super) async fn is_used(&mut self) -> bool {
        let (leader, port, counted) = (self.leader, self.port, self.counted.clone());
        let looked = tokio::task::spawn_blocking(move || {
            tables(leader).map(|tables| Look::of(&tables, port, counted.into_iter().map(bytes).collect()))
        });
        let Ok(Some(now)) = looked.await else { return true };
        let used = now.is_used_since(self.last.as_ref());
        self.last = Some(now);
        used
    }
}

/// What one look saw.
struct Look {
    established: bool,
    /// Connections, each by the server's end and the client's.
    connections: BTreeSet<(String, String)>,
    /// Read and written so far, by process.
    bytes: Vec<u64>,
}

impl Look {
    fn of(tables: &[String], port: u16, bytes: Vec<u64>) -> Self {
        let (mut established, mut connections) = (false, BTreeSet::new());
        for entry in entries(tables) {
            let is_server = entry.local.1 == port;
            // The other end of a connection within this host is in the same table.
            let is_client = entry.remote.1 == port && entry.local.0 == entry.remote.0;
            if !(is_server || is_client) || !(entry.state == ESTABLISHED || CLOSING.contains(&entry.state)) {
                continue;
            }
            established |= is_server && entry.state == ESTABLISHED;
            let (local, remote) = (entry.local, entry.remote);
            let (server, client) = if is_server { (local, remote) } else { (remote, local) };
            connections.insert((format!("{}:{}", server.0, server.1), format!("{}:{}", client.0, client.1)));
        }
        Self { established, connections, bytes }
    }

    /// What stands counts always; what is closing only when it is new: some servers never close their end.
    fn is_used_since(&self, last: Option<&Self>) -> bool {
        let is_new = |last: &Self| !self.connections.is_subset(&last.connections) || self.bytes != last.bytes;
        self.established || last.is_some_and(is_new)
    }
}

/// One line of a table.
struct Entry<'a> {
    local: (&'a str, u16),
    remote: (&'a str, u16),
    state: &'a str,
    inode: Option<u64>,
}

/// Both tables; nothing where there is none. Without IPv6 there is no second one.
fn tables(process: Pid) -> Option<Vec<String>> {
    let table = |name| fs_err::read_to_string(format!("/proc/{}/net/{name}", process.as_raw_nonzero())).ok();
    let tables: Vec<String> = ["tcp", "tcp6"].into_iter().filter_map(table).collect();
    (!tables.is_empty()).then_some(tables)
}

fn entries(tables: &[String]) -> impl Iterator<Item = Entry<'_>> {
    tables.iter().flat_map(|table| table.lines().skip(1)).filter_map(|line| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let end = |at: usize| {
            let (address, port) = fields.get(at)?.rsplit_once(':')?;
            Some((address, u16::from_str_radix(port, 16).ok()?))
        };
        let inode = fields.get(9).and_then(|inode| inode.parse().ok());
        Some(Entry { local: end(1)?, remote: end(2)?, state: fields.get(3)?, inode })
    })
}

/// `rchar` and `wchar` together; 0 of one that does not show them or is gone.
fn bytes(pid: i32) -> u64 {
    let told = fs_err::read_to_string(format!("/proc/{pid}/io")).unwrap_or_default();
    let counts = told.lines().filter_map(|line| line.strip_prefix("rchar: ").or_else(|| line.strip_prefix("wchar: ")));
    counts.filter_map(|count| count.trim().parse::<u64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use std::{
        io::Write as _,
        process::{Command, Stdio},
        time::Duration,
    };

    use super::*;

    const TABLE: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n\
        0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000 0 77 1 0 100 0 0 10 0\n\
        1: 0100007F:1F91 0100007F:D431 01 00000000:00000000 00:00000000 00000000  1000 0 2 1 0 20 4 30 10 -1\n\
        2: 0100007F:D431 0200000A:1F92 01 00000000:00000000 00:00000000 00000000  1000 0 3 1 0 20 4 30 10 -1\n\
        3: 0100007F:1F93 0100007F:D432 06 00000000:00000000 00:00000000 00000000  0 0 0 3 0\n\
        4: 0100007F:D433 0100007F:1F94 06 00000000:00000000 00:00000000 00000000  0 0 0 3 0\n\
        5: 0100007F:1F95 0100007F:D434 03 00000000:00000000 00:00000000 00000000  0 0 0 3 0\n";

    fn look(table: &str, port: u16) -> Look {
        Look::of(&[table.to_owned()], port, Vec::new())
    }

    #[test]
    fn a_connection_that_stands_or_closed_since_the_last_look_counts() {
        let none = look("", 0);
        let used = |port| look(TABLE, port).is_used_since(Some(&none));
        assert!(used(0x1f91));
        assert!(!used(0x1f90), "it listens");
        assert!(!used(0x1f92), "from here to elsewhere");
        assert!(used(0x1f93) && used(0x1f94), "closed first here, or by a client of this host");
        assert!(!used(0x1f95), "it is not taken yet");
        for port in [0x1f93, 0x1f94] {
            let now = look(TABLE, port);
            assert!(!now.is_used_since(None) && !now.is_used_since(Some(&look(TABLE, port))), "it was there before");
        }
        assert!(look(TABLE, 0x1f91).is_used_since(Some(&look(TABLE, 0x1f91))), "it stands");
        let tables = [TABLE.to_owned()];
        assert_eq!(entries(&tables).next().and_then(|entry| entry.inode), Some(77));
    }

    /// Looks until it is so.
    async fn is(watch: &mut Watch, used: bool) {
        let looks = async {
            while watch.is_used().await != used {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), looks).await.expect("it changes");
    }

    #[tokio::test]
    async fn what_a_server_reads_and_writes_counts() {
        let mut server = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let pid = Pid::from_child(&server);
        let mut watch = Watch::new(pid, 1, Vec::new());
        // Until it waits for its input: it loads itself first.
        is(&mut watch, false).await;
        is(&mut watch, false).await;
        server.stdin.as_mut().unwrap().write_all(b"asked\n").unwrap();
        is(&mut watch, true).await;
        server.kill().unwrap();
        server.wait().unwrap();
    }
}
