//! The seccomp filter: what no job needs of the kernel is refused (EPERM), whatever its other walls are.
//!
//! A deny-list, because agents run compilers, interpreters and browsers of every age. `drydock-jail --version` tells its number, by which
//! filters of nodes are told apart. Another architecture's system calls end the process.

use std::{collections::BTreeMap, io};

use libc::c_long;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen as Len, SeccompCmpOp as Op, SeccompCondition as Condition,
    SeccompFilter, SeccompRule, TargetArch, sock_filter,
};

use crate::Network;

/// The number of the list of refused system calls: it changes with the list.
pub const FILTER_VERSION: u32 = 1;

/// Refused whatever their arguments are.
#[rustfmt::skip]
const REFUSED: &[c_long] = &[
    // Other processes.
    libc::SYS_ptrace, libc::SYS_process_vm_readv, libc::SYS_process_vm_writev, libc::SYS_pidfd_getfd, libc::SYS_kcmp,
    libc::SYS_process_madvise, libc::SYS_process_mrelease, libc::SYS_migrate_pages, libc::SYS_move_pages,
    // Much of the kernel behind one door.
    libc::SYS_io_uring_setup, libc::SYS_io_uring_enter, libc::SYS_io_uring_register, libc::SYS_bpf, libc::SYS_perf_event_open,
    libc::SYS_userfaultfd, libc::SYS_add_key, libc::SYS_request_key, libc::SYS_keyctl,
    // Namespaces and mounts.
    libc::SYS_unshare, libc::SYS_setns, libc::SYS_mount, libc::SYS_umount2, libc::SYS_pivot_root, libc::SYS_chroot,
    libc::SYS_open_tree, libc::SYS_move_mount, libc::SYS_fsopen, libc::SYS_fsconfig, libc::SYS_fsmount, libc::SYS_fspick,
    libc::SYS_mount_setattr, SYS_OPEN_TREE_ATTR,
    // Files by handle pass over every path rule.
    libc::SYS_open_by_handle_at, libc::SYS_name_to_handle_at, libc::SYS_fanotify_init, libc::SYS_fanotify_mark,
    libc::SYS_lookup_dcookie,
    // The machine.
    libc::SYS_kexec_load, libc::SYS_kexec_file_load, libc::SYS_init_module, libc::SYS_finit_module, libc::SYS_delete_module,
    libc::SYS_reboot, libc::SYS_swapon, libc::SYS_swapoff, libc::SYS_acct, libc::SYS_quotactl, libc::SYS_quotactl_fd,
    libc::SYS_syslog, libc::SYS_vhangup, libc::SYS_settimeofday, libc::SYS_clock_settime, libc::SYS_clock_adjtime,
    libc::SYS_adjtimex, libc::SYS_sethostname, libc::SYS_setdomainname, libc::SYS_nfsservctl,
];

/// `open_tree_attr`, newer than the constants that we have (Linux 6.15).
const SYS_OPEN_TREE_ATTR: c_long = 467;

/// Refused on x86 alone, which alone has them.
#[cfg(target_arch = "x86_64")]
const REFUSED_HERE: &[c_long] =
    &[libc::SYS_iopl, libc::SYS_ioperm, libc::SYS_modify_ldt, libc::SYS_uselib, libc::SYS__sysctl];
#[cfg(not(target_arch = "x86_64"))]
const REFUSED_HERE: &[c_long] = &[];

/// Terminal input as if typed, console fonts and keys, another line discipline.
const TERMINAL: [libc::c_ulong; 3] = [libc::TIOCSTI, 0x541C, libc::TIOCSETD];

/// Sockets of the Internet's families that are neither TCP nor UDP by their kind: raw packets, SCTP, DCCP.
const KINDS: [i32; 5] = [libc::SOCK_RAW, libc::SOCK_RDM, libc::SOCK_SEQPACKET, libc::SOCK_DCCP, SOCK_PACKET];
/// As old as Linux, and deprecated: packets of a device.
const SOCK_PACKET: i32 = 10;

/// Puts the filter on this process and all it starts. Nothing that the filter refuses can be done afterwards.
pub(super) fn apply(network: &Network, own_network: bool) -> io::Result<()> {
    for program in programs(network, own_network)? {
        seccompiler::apply_filter(&program).map_err(io::Error::other)?;
    }
    Ok(())
}

fn programs(network: &Network, own_network: bool) -> io::Result<[BpfProgram; 2]> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
        REFUSED.iter().chain(REFUSED_HERE).map(|&number| (number, Vec::new())).collect();
    rules.insert(libc::SYS_clone, new_namespaces()?);
    rules.insert(libc::SYS_ioctl, terminal()?);
    // Of other processes: a limit of another one's is a way to kill it, since the kernel sends that signal.
    rules.insert(libc::SYS_prlimit64, vec![rule([Condition::new(0, Len::Dword, Op::Ne, 0)])?]);
    // Landlock asks about `connect` alone, and these connect as well.
    let fast_open = u64::from(libc::MSG_FASTOPEN.cast_unsigned());
    for (number, flags) in [(libc::SYS_sendto, 3), (libc::SYS_sendmsg, 2), (libc::SYS_sendmmsg, 3)] {
        rules.insert(number, vec![rule([Condition::new(flags, Len::Dword, Op::MaskedEq(fast_open), fast_open)])?]);
    }
    let sockets = sockets(network, own_network)?;
    rules.insert(libc::SYS_socketpair, sockets.clone());
    rules.insert(libc::SYS_socket, sockets);
    let refuse = SeccompAction::Errno(libc::EPERM.cast_unsigned());
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, refuse, arch()?).map_err(io::Error::other)?;
    Ok([filter.try_into().map_err(io::Error::other)?, unknown()])
}

fn arch() -> io::Result<TargetArch> {
    std::env::consts::ARCH.try_into().map_err(io::Error::other)
}

fn rule(conditions: impl IntoIterator<Item = Result<Condition, seccompiler::BackendError>>) -> io::Result<SeccompRule> {
    let conditions = conditions.into_iter().collect::<Result<_, _>>().map_err(io::Error::other)?;
    SeccompRule::new(conditions).map_err(io::Error::other)
}

/// `clone` with a flag of a new namespace; `clone3`, whose flags a filter cannot see, is not there at all (see [`unknown`]).
fn new_namespaces() -> io::Result<Vec<SeccompRule>> {
    let flags = [
        libc::CLONE_NEWUSER,
        libc::CLONE_NEWNS,
        libc::CLONE_NEWPID,
        libc::CLONE_NEWNET,
        libc::CLONE_NEWIPC,
        libc::CLONE_NEWUTS,
        libc::CLONE_NEWCGROUP,
    ];
    flags
        .into_iter()
        .map(|flag| {
            let flag = u64::from(flag.cast_unsigned());
            rule([Condition::new(0, Len::Dword, Op::MaskedEq(flag), flag)])
        })
        .collect()
}

fn terminal() -> io::Result<Vec<SeccompRule>> {
    TERMINAL.into_iter().map(|request| rule([Condition::new(1, Len::Dword, Op::Eq, request)])).collect()
}

/// Every family that is not among those allowed. A closed network without a namespace of its own has no other families than the
/// machine's own sockets, because Landlock knows TCP alone.
fn sockets(network: &Network, own_network: bool) -> io::Result<Vec<SeccompRule>> {
    let inet = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6];
    let is_closed = *network == Network::Closed && !own_network;
    let allowed = if is_closed { &inet[..1] } else { &inet[..] };
    let is_no = |family: &i32| Condition::new(0, Len::Dword, Op::Ne, u64::from(family.cast_unsigned()));
    let netlink = u64::from(libc::AF_NETLINK.cast_unsigned());
    let mut rules = vec![
        rule(allowed.iter().map(is_no).chain([Condition::new(0, Len::Dword, Op::Ne, netlink)]))?,
        // Of netlink the list of addresses and routes (NETLINK_ROUTE is 0), which resolvers ask for; to change them takes a capability.
        rule([
            Condition::new(0, Len::Dword, Op::Eq, netlink),
            Condition::new(2, Len::Dword, Op::Ne, u64::from(libc::NETLINK_ROUTE.cast_unsigned())),
        ])?,
    ];
    if is_closed {
        rules.push(rule([Condition::new(0, Len::Dword, Op::Eq, netlink)])?);
    }
    // The type's low bits: the others are SOCK_NONBLOCK and SOCK_CLOEXEC.
    // Landlock knows TCP alone, and who has a broker asks for no names.
    let datagrams = matches!(network, Network::Broker { .. }).then_some(libc::SOCK_DGRAM);
    for family in [libc::AF_INET, libc::AF_INET6] {
        for kind in KINDS.into_iter().chain(datagrams) {
            rules.push(rule([
                Condition::new(0, Len::Dword, Op::Eq, u64::from(family.cast_unsigned())),
                Condition::new(1, Len::Dword, Op::MaskedEq(0xf), u64::from(kind.cast_unsigned())),
            ])?);
        }
        // MPTCP, SMC and the like are no TCP to Landlock.
        let known = [0, libc::IPPROTO_TCP, libc::IPPROTO_UDP, libc::IPPROTO_ICMP, libc::IPPROTO_ICMPV6];
        let is_no = |protocol: i32| Condition::new(2, Len::Dword, Op::Ne, u64::from(protocol.cast_unsigned()));
        let inet = Condition::new(0, Len::Dword, Op::Eq, u64::from(family.cast_unsigned()));
        rules.push(rule([inet].into_iter().chain(known.map(is_no)))?);
    }
    Ok(rules)
}

/// Answers ENOSYS to `clone3`, so that C libraries fall back to `clone`, to x32's numbers, and to those of kernels to come. By hand, because the
/// library knows one answer a filter and compares for equality alone.
fn unknown() -> BpfProgram {
    /// The first number that no kernel of today has.
    const BEYOND: u32 = 600;
    const LOAD_NUMBER: u16 = 0x20;
    const JUMP_IF_EQUAL: u16 = 0x15;
    const JUMP_IF_AT_LEAST: u16 = 0x35;
    const RETURN: u16 = 0x06;
    let instruction = |code, k, jt, jf| sock_filter { code, jt, jf, k };
    let clone3 = u32::try_from(libc::SYS_clone3).unwrap_or(u32::MAX);
    vec![
        instruction(LOAD_NUMBER, 0, 0, 0),
        instruction(JUMP_IF_EQUAL, clone3, 2, 0),
        instruction(JUMP_IF_AT_LEAST, BEYOND, 1, 0),
        instruction(RETURN, libc::SECCOMP_RET_ALLOW, 0, 0),
        instruction(RETURN, libc::SECCOMP_RET_ERRNO | libc::ENOSYS.cast_unsigned(), 0, 0),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whoever changes the filter gives it another number, and changes the sum here.
    #[test]
    #[cfg(target_arch = "x86_64")]
    fn the_filter_is_the_one_of_its_version() {
        let sum = |network: &Network, own| {
            let programs = programs(network, own).unwrap();
            let fields = programs.iter().flatten().flat_map(|at| {
                let [c, d] = at.code.to_le_bytes();
                [[c, d, at.jt, at.jf], at.k.to_le_bytes()].concat()
            });
            crc32c::crc32c(&fields.collect::<Vec<_>>())
        };
        let ports = Network::Ports { connect: vec![443], listen: Vec::new() };
        let broker = Network::Broker { port: 443 };
        let networks = [(&Network::Closed, false), (&Network::Closed, true), (&ports, false), (&broker, false)];
        let seen = networks.map(|(network, own)| sum(network, own));
        assert_eq!((FILTER_VERSION, seen), (1, [3_815_814_883, 647_663_171, 647_663_171, 1_566_794_465]));
    }
}
