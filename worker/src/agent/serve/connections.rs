//! Whether anybody is connected to a port, as the kernel tells it (`proc_net_tcp(5)`, in the network namespace of the server).

use rustix::process::Pid;

/// `TCP_ESTABLISHED`.
const ESTABLISHED: &str = "01";

/// Whether a connection to the local `port` stands. Where the kernel does not tell, one is taken to stand: a session that is
/// used shall not end.
pub(super) async fn any(process: Pid, port: u16) -> bool {
    let looked = tokio::task::spawn_blocking(move || {
        let table = |name| fs_err::read_to_string(format!("/proc/{}/net/{name}", process.as_raw_nonzero()));
        // Without IPv6 there is no second one.
        match (table("tcp"), table("tcp6")) {
            (Err(_), Err(_)) => true,
            (v4, v6) => [v4, v6].into_iter().flatten().any(|table| has(&table, port)),
        }
    });
    looked.await.unwrap_or(true)
}

fn has(table: &str, port: u16) -> bool {
    table.lines().skip(1).any(|line| {
        let mut fields = line.split_ascii_whitespace();
        let local = fields.nth(1).and_then(|address| address.rsplit_once(':'));
        let is_here = local.is_some_and(|(_, hex)| u16::from_str_radix(hex, 16) == Ok(port));
        is_here && fields.nth(1) == Some(ESTABLISHED)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n\
        0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000 0 1 1 0 100 0 0 10 0\n\
        1: 0100007F:1F91 0100007F:D431 01 00000000:00000000 00:00000000 00000000  1000 0 2 1 0 20 4 30 10 -1\n\
        2: 0100007F:D431 0100007F:1F92 01 00000000:00000000 00:00000000 00000000  1000 0 3 1 0 20 4 30 10 -1\n\
        3: 0100007F:1F93 0100007F:D432 06 00000000:00000000 00:00000000 00000000  0 0 0 3 0\n";

    #[test]
    fn only_an_established_connection_to_the_port_counts() {
        let counted = |port| has(TABLE, port);
        assert!(counted(0x1f91));
        assert!(!counted(0x1f90), "it listens");
        assert!(!counted(0x1f92), "from here to elsewhere");
        assert!(!counted(0x1f93), "it is closed");
    }
}
