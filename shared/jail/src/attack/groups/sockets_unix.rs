//! Unix sockets of programs outside, by path and by abstract name.

use std::{
    io::{self, Write as _},
    os::{
        linux::net::SocketAddrExt as _,
        unix::net::{SocketAddr, UnixDatagram, UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
};

use super::super::{Attack, Canaries, Group, Target, arena::mark};

const WEAK: &str = "Landlock before ABI 6 knows no abstract names";
const PATHNAME: &str =
    "Landlock before ABI 9 knows no sockets in the file system: the worker has none where a job can come to";
const NAMES: &str = "names are the machine's where the network is: the worker uses none";

pub(super) static GROUP: Group = Group {
    title: "Unix sockets",
    canaries: Canaries::Shared,
    attacks: &[
        Attack::new("connect-socket", "connects to a socket's path", |on| {
            greet(on, UnixStream::connect(path(on, "stream"))?)
        })
        .controlled()
        .residual(PATHNAME),
        Attack::new("connect-socket-by-symlink", "connects to a socket's path through a link of its own", |on| {
            let link = on.mine("socket");
            std::os::unix::fs::symlink(path(on, "stream"), &link)?;
            greet(on, UnixStream::connect(link)?)
        })
        .controlled()
        .residual(PATHNAME),
        Attack::new("connect-socket-by-own-root", "connects to a socket's path by `/proc/self/root`", |on| {
            let path = path(on, "stream");
            greet(on, UnixStream::connect(Path::new("/proc/self/root").join(path.strip_prefix("/").unwrap_or(&path)))?)
        })
        .controlled()
        .residual(PATHNAME),
        Attack::new("send-to-socket", "sends a datagram to a socket's path", |on| {
            UnixDatagram::unbound()?.send_to(on.attack.as_bytes(), path(on, "datagram")).map(drop)
        })
        .controlled()
        .residual(PATHNAME),
        Attack::new("connect-abstract-name", "connects to an abstract name", |on| {
            greet(on, UnixStream::connect_addr(&name(&on.around(), "stream")?)?)
        })
        .controlled()
        .weak(WEAK),
        Attack::new("send-to-abstract-name", "sends a datagram to an abstract name", |on| {
            UnixDatagram::unbound()?.send_to_addr(on.attack.as_bytes(), &name(&on.around(), "datagram")?).map(drop)
        })
        .controlled()
        .weak(WEAK),
        Attack::new("connect-abstract-datagram", "connects a datagram socket to an abstract name", |on| {
            let socket = UnixDatagram::unbound()?;
            socket.connect_addr(&name(&on.around(), "datagram")?)?;
            socket.send(on.attack.as_bytes()).map(drop)
        })
        .controlled()
        .weak(WEAK),
        Attack::new("squat-abstract-name", "takes an abstract name before a program outside does", |on| {
            // One that is taken outside can be told from a free one exactly where taking a free one would be felt.
            match UnixListener::bind_addr(&name(&on.around(), "stream")?) {
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => Ok(()),
                Err(error) => Err(error),
                Ok(_) => Err(io::Error::from_raw_os_error(libc::ENOENT)),
            }
        })
        .controlled()
        .residual(NAMES)
        .with_ports(NAMES),
        Attack::new("list-sockets", "reads the list of Unix sockets in `/proc/net/unix`", |on| {
            let list = std::fs::File::open("/proc/net/unix").and_then(io::read_to_string)?;
            let is_there = list.contains(&*path(on, "stream").to_string_lossy());
            if is_there { Ok(()) } else { Err(io::Error::from_raw_os_error(libc::ENOENT)) }
        })
        .controlled()
        .residual(NAMES)
        .with_ports(NAMES),
        Attack::new("replace-socket", "puts a socket of its own in another's place", |on| {
            let socket = on.mine("socket");
            let _listener = UnixListener::bind(&socket)?;
            Ok(rustix::fs::rename(&socket, on.named("replaced"))?)
        })
        .controlled(),
    ],
};

fn path(on: &Target, kind: &str) -> PathBuf {
    on.around().join(kind)
}

fn name(around: &Path, kind: &str) -> io::Result<SocketAddr> {
    SocketAddr::from_abstract_name(around.join(kind).as_os_str().as_encoded_bytes())
}

/// Leaves the attack's name with whoever listens.
fn greet(on: &Target, mut connection: UnixStream) -> io::Result<()> {
    connection.write_all(on.attack.as_bytes())
}

/// What listens on one side.
pub(in crate::attack) struct Listeners {
    streams: [UnixListener; 2],
    datagrams: [UnixDatagram; 2],
}

impl Listeners {
    pub(in crate::attack) fn open(around: &Path) -> io::Result<Self> {
        let streams = [UnixListener::bind(around.join("stream"))?, UnixListener::bind_addr(&name(around, "stream")?)?];
        let datagrams =
            [UnixDatagram::bind(around.join("datagram"))?, UnixDatagram::bind_addr(&name(around, "datagram")?)?];
        streams.iter().try_for_each(|socket| socket.set_nonblocking(true))?;
        datagrams.iter().try_for_each(|socket| socket.set_nonblocking(true))?;
        Ok(Self { streams, datagrams })
    }

    /// What came, each message the name of its attack.
    pub(in crate::attack) fn arrived(&self) -> Vec<String> {
        let mut marks = Vec::new();
        for listener in &self.streams {
            marks.extend(std::iter::from_fn(|| listener.accept().ok()).map(|(connection, _)| mark(&connection)));
        }
        for socket in &self.datagrams {
            let mut buffer = [0; 128];
            while let Ok(length) = socket.recv(&mut buffer) {
                marks.push(String::from_utf8_lossy(&buffer[..length]).into_owned());
            }
        }
        marks
    }
}
