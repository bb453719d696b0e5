//! The network: closed, or open to ports that are none of the canaries'.

use std::{
    ffi::OsString,
    io::{self, Write as _},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    num::NonZeroU32,
    os::fd::OwnedFd,
    path::PathBuf,
};

use rustix::net::{AddressFamily, Protocol, SocketFlags, SocketType, socket_with};

use super::super::{
    Attack, Canaries, Group, Target,
    call::{call, halves, past_the_gate},
};

const UDP: &str = "a network that is open to ports is open to every UDP port, because names are asked for by UDP and Landlock knows TCP alone";
const LISTEN: &str = "Landlock asks who takes a port, not who listens without: the kernel then picks one";
const ROUTES: &str = "a network that is not closed, or its own, may be asked for its addresses, as resolvers do";

pub(super) static GROUP: Group = Group {
    title: "Network",
    canaries: Canaries::Shared,
    attacks: &[
        Attack::new("connect-tcp", "connects to a port of this machine", |on| {
            greet(on, "tcp", Ipv4Addr::LOCALHOST.into())
        }),
        Attack::new("connect-allowed-port", "the same to the one port that is allowed where any is", |on| {
            greet(on, "tcp-allowed", Ipv4Addr::LOCALHOST.into())
        })
        .with_ports("that is what the setting is for"),
        Attack::new("connect-tcp-ipv6", "the same by IPv6", |on| greet(on, "tcp6", Ipv6Addr::LOCALHOST.into())),
        Attack::new("connect-tcp-mapped", "the same by an IPv4 address in IPv6", |on| {
            greet(on, "tcp", Ipv4Addr::LOCALHOST.to_ipv6_mapped().into())
        }),
        Attack::new("connect-any-address", "the same by the address 0.0.0.0", |on| {
            greet(on, "tcp", Ipv4Addr::UNSPECIFIED.into())
        }),
        Attack::new("connect-fast-open", "connects by sending (`MSG_FASTOPEN`)", |on| {
            let socket = socket(libc::AF_INET, libc::SOCK_STREAM, 0)?;
            let address = address_v4(on.facts.number("tcp")?);
            send_to(&socket, on.attack.as_bytes(), libc::MSG_FASTOPEN, &address)
        }),
        Attack::new("connect-multipath", "connects by MPTCP, which is no TCP to Landlock", |on| {
            let socket = socket(libc::AF_INET, libc::SOCK_STREAM, libc::IPPROTO_MPTCP)?;
            rustix::net::connect(&socket, &SocketAddr::from((Ipv4Addr::LOCALHOST, on.facts.number("tcp")?)))?;
            std::fs::File::from(socket).write_all(on.attack.as_bytes())
        }),
        Attack::new("send-udp", "sends a datagram to a port of this machine", |on| {
            send(on, "udp", Ipv4Addr::LOCALHOST.into())
        })
        .with_ports(UDP),
        Attack::new("send-udp-ipv6", "the same by IPv6", |on| send(on, "udp6", Ipv6Addr::LOCALHOST.into()))
            .with_ports(UDP),
        Attack::new("squat-port", "listens on a port before a program outside does", |on| {
            taken(TcpListener::bind((Ipv4Addr::LOCALHOST, on.facts.number("tcp")?)))
        }),
        Attack::new("squat-udp-port", "the same with UDP", |on| {
            taken(UdpSocket::bind((Ipv4Addr::LOCALHOST, on.facts.number("udp")?)))
        })
        .with_ports(UDP),
        Attack::new(
            "listen-without-port",
            "listens without having asked for a port, which Landlock asks about",
            |on| {
                let socket = socket(libc::AF_INET, libc::SOCK_STREAM, 0)?;
                if namespace_of_network() != on.facts.text("network-of")? {
                    return Err(io::Error::from_raw_os_error(libc::ENOENT));
                }
                Ok(rustix::net::listen(&socket, 1)?)
            },
        )
        .with_ports(LISTEN),
        Attack::new("raw-socket", "opens a raw socket", |_| {
            socket(libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_ICMP).map(drop)
        }),
        Attack::new("raw-socket-ipv6", "opens a raw socket of IPv6", |_| {
            socket(libc::AF_INET6, libc::SOCK_RAW, libc::IPPROTO_ICMPV6).map(drop)
        }),
        Attack::new("packet-socket", "listens to every packet", |_| {
            socket(libc::AF_PACKET, libc::SOCK_RAW, 0).map(drop)
        }),
        Attack::new("packet-datagram-socket", "the same without headers", |_| {
            socket(libc::AF_PACKET, libc::SOCK_DGRAM, 0).map(drop)
        }),
        Attack::new("list-addresses", "opens a netlink socket of addresses and routes", |_| {
            netlink(libc::NETLINK_ROUTE)
        })
        .in_namespace(ROUTES)
        .with_ports(ROUTES),
        Attack::new("change-route", "takes a network device down by netlink", change_route),
        Attack::new("diagnose-sockets", "asks netlink for everybody's sockets", |_| netlink(libc::NETLINK_SOCK_DIAG)),
        Attack::new("hear-kernel-events", "asks netlink for events of devices", |_| {
            netlink(libc::NETLINK_KOBJECT_UEVENT)
        }),
        Attack::new("audit-by-netlink", "opens the audit's netlink socket", |_| netlink(libc::NETLINK_AUDIT)),
        Attack::new("filter-by-netlink", "opens the packet filter's netlink socket", |_| {
            netlink(libc::NETLINK_NETFILTER)
        }),
        Attack::new("generic-netlink", "opens the netlink socket of everything else", |_| {
            netlink(libc::NETLINK_GENERIC)
        }),
        Attack::new("vsock", "opens a socket to the machine's host", |_| {
            socket(libc::AF_VSOCK, libc::SOCK_STREAM, 0).map(drop)
        }),
        Attack::new("crypto-socket", "opens a socket of the kernel's ciphers", |_| {
            socket(libc::AF_ALG, libc::SOCK_SEQPACKET, 0).map(drop)
        }),
        Attack::new("key-socket", "opens a socket of IPsec's keys", |_| {
            socket(libc::AF_KEY, libc::SOCK_RAW, 2).map(drop)
        }),
        Attack::new("express-data-socket", "opens a socket past the network stack (XDP)", |_| {
            socket(libc::AF_XDP, libc::SOCK_RAW, 0).map(drop)
        }),
        Attack::new(
            "remote-memory-socket",
            "opens a socket of shared memory (SMC), which is no TCP to Landlock",
            |_| socket(43, libc::SOCK_STREAM, 0).map(drop),
        ),
        Attack::new("bluetooth-socket", "opens a Bluetooth socket", |_| {
            socket(libc::AF_BLUETOOTH, libc::SOCK_RAW, 1).map(drop)
        }),
        Attack::new("bus-socket", "opens a CAN bus socket", |_| socket(libc::AF_CAN, libc::SOCK_RAW, 1).map(drop)),
        Attack::new("cluster-socket", "opens a TIPC socket", |_| socket(libc::AF_TIPC, libc::SOCK_RDM, 0).map(drop)),
    ],
};

/// Tells networks apart.
pub(in crate::attack) fn namespace_of_network() -> OsString {
    std::fs::read_link("/proc/self/ns/net").map(PathBuf::into_os_string).unwrap_or_default()
}

/// Connects, and leaves the attack's name with whoever listens.
fn greet(on: &Target, port: &str, address: IpAddr) -> io::Result<()> {
    TcpStream::connect((address, on.facts.number(port)?))?.write_all(on.attack.as_bytes())
}

/// Sends twice: where nobody is, the second is told so.
fn send(on: &Target, port: &str, address: IpAddr) -> io::Result<()> {
    let any: IpAddr = if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0))?;
    socket.connect((address, on.facts.number(port)?))?;
    socket.send(on.attack.as_bytes())?;
    socket.send(on.attack.as_bytes()).map(drop)
}

/// One that is taken outside can be told from a free one exactly where taking a free one would be felt.
fn taken<T>(bound: io::Result<T>) -> io::Result<()> {
    match bound {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Ok(()),
        Err(error) => Err(error),
        Ok(_) => Err(io::Error::from_raw_os_error(libc::ENOENT)),
    }
}

fn socket(family: i32, kind: i32, protocol: i32) -> io::Result<OwnedFd> {
    let family = AddressFamily::from_raw(u16::try_from(family).unwrap_or_default());
    let protocol = NonZeroU32::new(protocol.cast_unsigned()).map(Protocol::from_raw);
    let kind = SocketType::from_raw(kind.cast_unsigned());
    Ok(socket_with(family, kind, SocketFlags::CLOEXEC, protocol)?)
}

fn netlink(protocol: i32) -> io::Result<()> {
    socket(libc::AF_NETLINK, libc::SOCK_RAW, protocol).map(drop)
}

fn send_to(socket: &OwnedFd, bytes: &[u8], flags: i32, address: &Vec<u8>) -> io::Result<()> {
    use std::os::fd::AsRawFd as _;
    call!(SYS_sendto, socket.as_raw_fd(), bytes, bytes.len(), flags, address, address.len()).map(drop)
}

/// `sockaddr_in` of this machine.
fn address_v4(port: u16) -> Vec<u8> {
    let mut address = (libc::AF_INET as u16).to_ne_bytes().to_vec();
    address.extend(port.to_be_bytes());
    address.extend([127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
    address
}

/// Asks for the change of a device that is not there: who may not change one is told so first.
fn change_route(_: &Target) -> io::Result<()> {
    use std::os::fd::AsRawFd as _;
    const CHANGE: u32 = 0x0005_0010; // NLM_F_REQUEST | NLM_F_ACK, RTM_NEWLINK
    let socket = socket(libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_ROUTE)?;
    let message = halves(&[32, CHANGE, 0, 0, 0, i32::MAX.cast_unsigned(), 0, 1]);
    let mut answer = [0; 64];
    call!(SYS_sendto, socket.as_raw_fd(), &message, message.len(), 0, 0, 0)?;
    call!(SYS_recvfrom, socket.as_raw_fd(), &mut answer, 64, 0, 0, 0)?;
    let error = -i32::from_ne_bytes([answer[16], answer[17], answer[18], answer[19]]);
    past_the_gate(if error == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(error)) }, libc::ENODEV)
}
