//! What of the machine a jailed program sees beside its own directories. Everything else is not there, or not to be opened.

/// Programs and libraries: every job reads and executes them.
pub const PROGRAMS: [&str; 7] = ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"];

/// Settings that programs need to find names, certificates, libraries and the time: read. No passwords, keys or tokens are among them.
#[rustfmt::skip]
pub(super) const SETTINGS: [&str; 33] = [
    "/etc/alternatives", "/etc/ca-certificates", "/etc/ca-certificates.conf", "/etc/debian_version", "/etc/fonts", "/etc/gai.conf",
    "/etc/group", "/etc/host.conf", "/etc/hostname", "/etc/hosts", "/etc/java-17-openjdk", "/etc/ld.so.cache", "/etc/ld.so.conf",
    "/etc/ld.so.conf.d", "/etc/locale.alias", "/etc/localtime", "/etc/magic", "/etc/mime.types", "/etc/networks",
    "/etc/nsswitch.conf", "/etc/os-release", "/etc/passwd", "/etc/pki/ca-trust", "/etc/pki/tls/certs", "/etc/profile",
    "/etc/protocols", "/etc/python3", "/etc/python3.11", "/etc/resolv.conf", "/etc/services", "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf", "/etc/timezone",
];

/// What the kernel tells of itself and of processes: read.
pub(super) const KERNEL: [&str; 4] =
    ["/proc", "/sys/devices/system/cpu", "/sys/fs/cgroup", "/sys/kernel/mm/transparent_hugepage"];

/// Devices without state: read and written.
pub(super) const DEVICES: [&str; 6] =
    ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty"];

/// What only this jail sees, where it has a mount namespace of its own.
pub(super) const PRIVATE: [&str; 4] = ["/tmp", "/dev/shm", "/dev/pts", "/dev/ptmx"];
