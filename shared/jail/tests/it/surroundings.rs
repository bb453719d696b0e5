//! The attacks again where a worker may be started: by somebody outside of its PID namespace, and in a restricted pod.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    process::Command,
};

use drydock_domain::Isolation;
use drydock_jail::attack::{Report, suite};
use rustix::{
    process::{Gid, Uid},
    thread::{
        CapabilitySet, CapabilitySets, remove_capability_from_bounding_set, set_capabilities, set_no_new_privs,
        set_thread_groups, set_thread_res_gid, set_thread_res_uid,
    },
};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen as Len, SeccompCmpOp as Op, SeccompCondition as Condition,
    SeccompFilter, SeccompRule,
};

/// The kernel tells a process whose session and group were begun outside of its PID namespace that their number is 0.
#[test]
fn the_same_for_who_was_started_from_outside_of_the_namespace() {
    let suite = "escape::every_attack_ends_as_the_table_says";
    for of in ["without_a_jail", "at_landlock", "at_namespace"] {
        let again = r#"[ "$(cut -d' ' -f6 /proc/$$/stat)" = 0 ] && "$0" --exact "$1"; exit $?"#;
        let mut command = Command::new("unshare");
        command.args(["--pid", "--fork", "--mount-proc", "sh", "-c", again]);
        let ran = command.arg(std::env::current_exe().unwrap()).arg(format!("{suite}_{of}")).output().unwrap();
        let said = format!("{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
        assert!(ran.status.success() && said.contains("1 passed"), "{of}: {said}");
    }
}

/// A pod of the Pod Security Standards' profile "restricted" on a node with the runtime's default filter: no root, no capability,
/// no new privileges, no new namespace, no mount.
#[test]
fn a_restricted_pod_is_granted_landlock() {
    let directory = tempfile::tempdir().unwrap();
    let helper = copy(directory.path());
    // A thread of its own: who has entered cannot remove the directory.
    let inside = std::thread::spawn(move || {
        enter_pod();
        attacked_in_pod(&helper);
    });
    inside.join().unwrap();
}

fn attacked_in_pod(helper: &Path) {
    let refused = suite::run(helper, Isolation::Namespace).unwrap_err().to_string();
    assert!(refused.contains("new namespaces"), "{refused}");
    // What is left open to root's worker alone. This process is its first thread's, which did not enter the pod.
    let weak = ["find-worker", "find-first-process", "read-page-counts"].as_slice();
    for (level, stopped) in [(Isolation::LandlockWeak, weak), (Isolation::Landlock, &["read-page-counts"])] {
        let report = suite::run(helper, level).unwrap();
        println!("{level} in a pod: {} attacks in {:?}", report.cases.len(), report.took);
        assert_eq!(report.holes(), [""; 0], "{level}");
        assert_eq!(deviating(&report), stopped, "{level}");
    }
}

fn deviating(report: &Report) -> Vec<String> {
    report.deviations().into_iter().filter_map(|line| Some(line.split_once(':')?.0.to_owned())).collect()
}

/// Where everybody may read it, which is not said of a directory of builds.
fn copy(to: &Path) -> PathBuf {
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs_err::set_permissions(to, mode).unwrap();
    let helper = to.join("drydock-jail");
    fs_err::copy(env!("CARGO_BIN_EXE_drydock-jail"), &helper).unwrap();
    helper
}

/// Puts this thread, and what it starts, where a container of such a pod is. There is no way back.
fn enter_pod() {
    const NOBODY: u32 = 65534;
    for capability in CapabilitySet::all() {
        // EINVAL: newer than the kernel.
        let _unknown = remove_capability_from_bounding_set(capability);
    }
    let (group, user) = (Gid::from_raw(NOBODY), Uid::from_raw(NOBODY));
    set_thread_groups(&[]).unwrap();
    set_thread_res_gid(group, group, group).unwrap();
    set_thread_res_uid(user, user, user).unwrap();
    let none = CapabilitySet::empty();
    set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none }).unwrap();
    set_no_new_privs(true).unwrap();
    runtime_default().unwrap().iter().for_each(|program| seccompiler::apply_filter(program).unwrap());
}

/// What the default profile of containerd and Docker refuses who has no capability (moby, `profiles/seccomp/default.json`).
#[rustfmt::skip]
const REFUSED: &[libc::c_long] = &[
    libc::SYS_unshare, libc::SYS_setns, libc::SYS_mount, libc::SYS_umount2, libc::SYS_pivot_root, libc::SYS_chroot,
    libc::SYS_open_tree, libc::SYS_move_mount, libc::SYS_fsopen, libc::SYS_fsconfig, libc::SYS_fsmount, libc::SYS_fspick,
    libc::SYS_mount_setattr, libc::SYS_bpf, libc::SYS_perf_event_open, libc::SYS_userfaultfd, libc::SYS_add_key,
    libc::SYS_request_key, libc::SYS_keyctl, libc::SYS_io_uring_setup, libc::SYS_io_uring_enter, libc::SYS_io_uring_register,
    libc::SYS_open_by_handle_at, libc::SYS_fanotify_init, libc::SYS_lookup_dcookie, libc::SYS_kexec_load,
    libc::SYS_kexec_file_load, libc::SYS_init_module, libc::SYS_finit_module, libc::SYS_delete_module, libc::SYS_reboot,
    libc::SYS_swapon, libc::SYS_swapoff, libc::SYS_acct, libc::SYS_quotactl, libc::SYS_syslog, libc::SYS_vhangup,
    libc::SYS_settimeofday, libc::SYS_clock_settime, libc::SYS_sethostname, libc::SYS_setdomainname, libc::SYS_move_pages,
    libc::SYS_mbind, libc::SYS_set_mempolicy, libc::SYS_get_mempolicy, libc::SYS_nfsservctl,
];

fn runtime_default() -> io::Result<[BpfProgram; 2]> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = REFUSED.iter().map(|&number| (number, Vec::new())).collect();
    let rule = |argument, op, value| {
        let condition = Condition::new(argument, Len::Dword, op, value).map_err(io::Error::other)?;
        SeccompRule::new(vec![condition]).map_err(io::Error::other)
    };
    // Any of the flags that make a namespace.
    let namespaces = [0x0002_0000_u64, 0x0200_0000, 0x0400_0000, 0x0800_0000, 0x1000_0000, 0x2000_0000, 0x4000_0000];
    let clone = namespaces.map(|flag| rule(0, Op::MaskedEq(flag), flag)).into_iter().collect::<io::Result<_>>()?;
    rules.insert(libc::SYS_clone, clone);
    let families = [libc::AF_ALG, libc::AF_VSOCK].map(|family| rule(0, Op::Eq, u64::from(family.cast_unsigned())));
    rules.insert(libc::SYS_socket, families.into_iter().collect::<io::Result<_>>()?);
    let unknown = BTreeMap::from([(libc::SYS_clone3, Vec::new())]);
    Ok([filter(rules, libc::EPERM)?, filter(unknown, libc::ENOSYS)?])
}

fn filter(rules: BTreeMap<i64, Vec<SeccompRule>>, error: i32) -> io::Result<BpfProgram> {
    let arch = std::env::consts::ARCH.try_into().map_err(io::Error::other)?;
    let refuse = SeccompAction::Errno(error.cast_unsigned());
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, refuse, arch).map_err(io::Error::other)?;
    filter.try_into().map_err(io::Error::other)
}
