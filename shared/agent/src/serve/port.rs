//! The port of one server: read from its file, heard in its output, or chosen for it.

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener},
    ops::RangeInclusive,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use drydock_domain::RelativePath;
use drydock_files::{Links, Opened, Root};
use rand::RngExt as _;
use regex_automata::meta::Regex;
use rustix::process::Pid;
use tokio::{net::TcpStream, sync::watch};

use super::connections;
use crate::{process::Belongings, server::PortWay};

/// Between two looks, at the file and at the port.
const LOOK: Duration = Duration::from_millis(100);
/// How long one try to connect may take.
const CONNECT: Duration = Duration::from_secs(1);
/// Its name in the server's temporary directory.
const FILE: &str = "session-port";
/// Digits of a port, and what may stand around them.
const LONGEST: u64 = 16;

/// Ports that servers of this process were given.
static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());

/// Where one server's port comes from. Its file goes with this value.
pub(super) struct PortSource<'a> {
    way: &'a PortWay,
    given: Option<Given>,
    file: PathBuf,
    heard: watch::Sender<Option<u16>>,
    probe: IpAddr,
}

impl<'a> PortSource<'a> {
    pub(super) fn new(way: &'a PortWay, bind: IpAddr, tmp: &Path) -> Self {
        let given = match way {
            PortWay::Given(range) => Given::any_of(range, bind),
            PortWay::File | PortWay::Printed(_) => None,
        };
        let file = tmp.join(FILE);
        Self { way, given, file, heard: watch::Sender::new(None), probe: reached(bind) }
    }

    pub(super) fn pattern(&self) -> Option<&'a Regex> {
        match self.way {
            PortWay::Printed(pattern) => Some(pattern),
            PortWay::File | PortWay::Given(_) => None,
        }
    }

    /// For whoever hears what is printed.
    pub(super) fn printed(&self) -> watch::Sender<Option<u16>> {
        self.heard.clone()
    }

    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    /// The port to tell the server, where it is told one; or why there is none.
    pub(super) fn given(&self) -> Result<Option<u16>, String> {
        match (self.way, &self.given) {
            (PortWay::Given(range), None) => {
                Err(format!("No port from {} to {} is free for the server process.", range.start(), range.end()))
            }
            (_, given) => Ok(given.as_ref().map(|given| given.0)),
        }
    }

    /// Resolves when the server's port is known and takes connections; with the processes that listen on it. Somebody else's port
    /// is not taken for the server's.
    pub(super) async fn accepts(&self, leader: Pid, belongings: &Belongings) -> (u16, Vec<i32>) {
        let mut before = None;
        loop {
            if let Some(port) = self.known(&mut before)
                && let Some(listeners) = connections::listeners(leader, belongings, port).await
                && let Ok(Ok(_connection)) = tokio::time::timeout(CONNECT, TcpStream::connect((self.probe, port))).await
            {
                return (port, listeners);
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// What is known now. A file may be read before it is written to its end: what it tells counts with its line feed, or when the look
    /// `before` saw the same.
    fn known(&self, before: &mut Option<u16>) -> Option<u16> {
        match self.way {
            PortWay::Given(_) => self.given.as_ref().map(|given| given.0),
            PortWay::Printed(_) => *self.heard.borrow(),
            PortWay::File => {
                let told = self.file.parent().and_then(read);
                let last = std::mem::replace(before, told.map(|(port, _)| port));
                told.filter(|(port, whole)| *whole || last == Some(*port)).map(|(port, _)| port)
            }
        }
    }
}

impl Drop for PortSource<'_> {
    fn drop(&mut self) {
        // Not there where it was never written.
        let _gone = fs_err::remove_file(&self.file);
    }
}

/// The port, and whether its line is whole. Follows no link, waits for no writer and opens nothing but a file: the server may have put
/// anything there, and goes on to.
fn read(tmp: &Path) -> Option<(u16, bool)> {
    let name = RelativePath::new(FILE).ok()?;
    let file = Root::at(tmp).and_then(|tmp| tmp.open(&name, Links::None)).and_then(Opened::into_file).ok()?;
    let text = String::from_utf8(file.head(LONGEST).ok()?).ok()?;
    let port = text.trim().parse().ok().filter(|port| *port != 0)?;
    Some((port, text.ends_with('\n')))
}

/// Where a server that listens on `bind` is reached from here.
fn reached(bind: IpAddr) -> IpAddr {
    match bind {
        IpAddr::V4(any) if any.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(any) if any.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        other => other,
    }
}

/// A port that no other server of this process has, until dropped.
struct Given(u16);

impl Given {
    /// One that can be listened on now, looked for from anywhere in the range.
    fn any_of(range: &RangeInclusive<u16>, bind: IpAddr) -> Option<Self> {
        let mut given = GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
        let first = rand::rng().random_range(range.clone());
        let free = |port: &u16| !given.contains(port) && TcpListener::bind((bind, *port)).is_ok();
        let port = (first..=*range.end()).chain(*range.start()..first).find(free)?;
        given.insert(port);
        Some(Self(port))
    }
}

impl Drop for Given {
    fn drop(&mut self) {
        GIVEN.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_is_taken_is_given_to_nobody() {
        let bind = IpAddr::from(Ipv4Addr::LOCALHOST);
        let taken = TcpListener::bind((bind, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        assert!(Given::any_of(&(port..=port), bind).is_none(), "somebody listens there");
        drop(taken);
        let first = Given::any_of(&(port..=port), bind).expect("it is free");
        assert!(Given::any_of(&(port..=port), bind).is_none(), "another server has it");
        drop(first);
        assert!(Given::any_of(&(port..=port), bind).is_some());
    }

    #[test]
    fn only_a_port_is_read_from_the_file_and_the_file_goes() {
        let tmp = tempfile::tempdir().unwrap();
        let source = PortSource::new(&PortWay::File, Ipv4Addr::LOCALHOST.into(), tmp.path());
        let path = source.file().to_owned();
        for (text, port) in
            [("", None), ("80\n", Some(80)), (" 8080 ", Some(8080)), ("0", None), ("65536", None), ("x\n", None)]
        {
            fs_err::write(&path, text).unwrap();
            let mut before = None;
            let first = source.known(&mut before);
            assert_eq!(first, port.filter(|_| text.ends_with('\n')), "{text:?} may be half of it");
            assert_eq!(source.known(&mut before), port, "{text:?}");
        }
        let mut before = None;
        for (text, port) in [("80", None), ("8080", None), ("", None), ("8080", None), ("8080", Some(8080))] {
            fs_err::write(&path, text).unwrap();
            assert_eq!(source.known(&mut before), port, "{text:?}");
        }
        drop(source);
        assert!(!path.exists());
        std::os::unix::fs::symlink("/proc/sys/kernel/pid_max", &path).unwrap();
        assert_eq!(read(tmp.path()), None, "a link is not followed");
    }
}
