//! Points at which a test kills this process, to see what its successor makes of what is left. They are free in a build
//! that is no test: nothing of them is compiled.

/// Where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KillPoint {
    /// A data file is full and has no index.
    Filled,
    /// Its index is written and has another name yet.
    Indexed,
    /// An image is written and not mounted.
    ImageWritten,
    /// It is mounted, and nobody knows.
    ImageMounted,
    /// A file is copied, others are not.
    Copying,
    /// A workspace is mounted.
    Mounted,
    /// A change was seen, others were not.
    Scanning,
    /// All objects of a version are stored, and nobody was told.
    Stored,
    /// What is evicted is no longer known, and still on the disk.
    Evicting,
    /// A directory was emptied, others were not.
    Cleaning,
}

/// Goes on, unless a test armed this point.
#[cfg(not(test))]
#[inline(always)]
pub(crate) const fn pass(_: KillPoint) {}

#[cfg(test)]
pub(crate) use self::armed::{REACHED, arm, pass};

#[cfg(test)]
mod armed {
    use std::sync::OnceLock;

    use super::KillPoint;

    /// What is said where the process waits for its end.
    pub(crate) const REACHED: &str = "reached the point: ";

    static ARMED: OnceLock<KillPoint> = OnceLock::new();

    /// From now on, whoever passes `point` says so and waits to be killed.
    pub(crate) fn arm(point: KillPoint) {
        ARMED.set(point).unwrap();
    }

    pub(crate) fn pass(point: KillPoint) {
        if ARMED.get() == Some(&point) {
            println!("{REACHED}{point:?}");
            loop {
                std::thread::park();
            }
        }
    }
}
