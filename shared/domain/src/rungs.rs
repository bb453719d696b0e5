//! The ways a node can make workspaces, by name, and what an operator can do where one is refused.
//!
//! Owns the remedies. A refusal is known by its text alone, which ends with the kernel's error number: that is what is read.

/// All of them, the best first.
pub const RUNGS: [&str; 4] = ["erofs", "overlay", "reflink", "copy"];

const MAY_NOT_MOUNT: &str = "let the worker mount: run it as root or with CAP_SYS_ADMIN; in a container also with a seccomp and an \
    AppArmor profile that allow it";
const NO_EROFS: &str = "load the module (modprobe erofs), or use a kernel with CONFIG_EROFS_FS";
const NO_OVERLAY: &str = "load the module (modprobe overlay), or use a kernel with CONFIG_OVERLAY_FS";
const OLD_KERNEL: &str =
    "use Linux 6.12 or newer with CONFIG_EROFS_FS_BACKED_BY_FILE, and put the cache on ext4, XFS or Btrfs";
const ON_OVERLAY: &str = "put DRYDOCK_SCRATCH_DIR on a disk of its own (a volume, not a container's root, which is an overlay \
    itself), on ext4, XFS or Btrfs";
const NO_INTERFACE: &str =
    "use Linux 5.2 or newer, and a seccomp profile that allows fsopen, fsconfig, fsmount and move_mount";
const NO_REFLINK: &str = "put scratch and cache on XFS (made with reflink=1) or Btrfs";
const TWO_DISKS: &str = "put DRYDOCK_CACHE_DIR and DRYDOCK_SCRATCH_DIR on one file system";
const FULL: &str = "free space on the disks of scratch and cache; for mounts, look at fs.mount-max";
const UNKNOWN: &str = "look at the reason; until then the next way is taken, which is as correct and slower";

/// Those that would be better than `used`.
pub fn better_than(used: &str) -> impl Iterator<Item = &'static str> {
    let at = RUNGS.iter().position(|rung| *rung == used).unwrap_or_default();
    RUNGS.into_iter().take(at)
}

/// What to do where `rung` is refused with these words.
pub fn remedy(rung: &str, reason: &str) -> &'static str {
    // Linux numbers, as errno(3) has them.
    match (rung, error_number(reason)) {
        (_, Some(28 | 122)) => FULL,
        ("reflink", Some(18)) => TWO_DISKS,
        ("reflink", Some(22 | 25 | 95)) => NO_REFLINK,
        ("erofs" | "overlay", Some(1 | 13)) => MAY_NOT_MOUNT,
        ("erofs" | "overlay", Some(38)) => NO_INTERFACE,
        ("erofs", Some(19)) => NO_EROFS,
        ("overlay", Some(19)) => NO_OVERLAY,
        // An image is no block device to kernels that want one. The overlay over it may be what is refused.
        ("erofs", Some(15 | 22 | 95)) if !reason.contains("mount overlay") => OLD_KERNEL,
        ("erofs" | "overlay", Some(22 | 95)) => ON_OVERLAY,
        _ => UNKNOWN,
    }
}

/// The last `(os error N)` in a text.
fn error_number(text: &str) -> Option<i32> {
    let (_, number) = text.rsplit_once("(os error ")?;
    number.split_once(')')?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_have_remedies() {
        let cases = [
            ("erofs", "cannot mount erofs: Operation not permitted (os error 1)", MAY_NOT_MOUNT),
            ("erofs", "cannot mount erofs: No such device (os error 19)", NO_EROFS),
            ("erofs", "cannot mount erofs: Block device required (os error 15)", OLD_KERNEL),
            ("erofs", "cannot mount overlay: filesystem not supported: Invalid argument (os error 22)", ON_OVERLAY),
            ("overlay", "cannot mount overlay: Invalid argument (os error 22)", ON_OVERLAY),
            ("overlay", "cannot mount overlay: No such device (os error 19)", NO_OVERLAY),
            ("overlay", "cannot mount overlay: Function not implemented (os error 38)", NO_INTERFACE),
            ("reflink", "the trial failed: Operation not supported (os error 95)", NO_REFLINK),
            ("reflink", "the trial failed: Invalid cross-device link (os error 18)", TWO_DISKS),
            ("overlay", "the trial failed: No space left on device (os error 28)", FULL),
            ("overlay", "the moon is full", UNKNOWN),
        ];
        for (rung, reason, expected) in cases {
            assert_eq!(remedy(rung, reason), expected, "{rung}: {reason}");
        }
    }

    #[test]
    fn better_ones_come_before() {
        assert_eq!(better_than("reflink").collect::<Vec<_>>(), ["erofs", "overlay"]);
        assert_eq!(better_than("erofs").count(), 0);
        assert_eq!(better_than("unknown").count(), 0);
    }
}
