//! Ports of loopback for the servers of a test.

use std::fs::{File, TryLockError};
use std::net::TcpListener;

/// A free port that is this process's until it ends: no other test is given it, though its server may be down or not up yet.
/// Not from the range of outgoing connections (32768 and up), nor from that of the scripts (20000 to 29999).
pub fn free_port() -> u16 {
    let mut ports = (0..1000).map(|_| rand::RngExt::random_range(&mut rand::rng(), 10_000..20_000_u16));
    ports.find(|port| reserve(*port) && is_free(*port)).expect("loopback has a free port")
}

fn is_free(port: u16) -> bool {
    TcpListener::bind(("127.0.0.1", port)).is_ok()
}

/// Takes the lock of a port and keeps it as long as this process lives: the kernel gives it back even after a SIGKILL.
fn reserve(port: u16) -> bool {
    let locks = std::env::temp_dir().join("drydock-ports");
    fs_err::create_dir_all(&locks).expect("the temporary directory can be written to");
    let lock = File::create(locks.join(port.to_string())).expect("a lock file can be made");
    match lock.try_lock() {
        Ok(()) => std::mem::forget(lock),
        Err(TryLockError::WouldBlock) => return false,
        Err(TryLockError::Error(error)) => panic!("lock the port {port}: {error}"),
    }
    true
}

#[cfg(test)]
mod tests {
    use super::{free_port, reserve};

    #[test]
    fn a_port_is_given_once() {
        assert!(!reserve(free_port()), "the port was given out again");
    }
}
