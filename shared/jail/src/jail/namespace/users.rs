//! The one user of the namespace: outside it is the worker's, inside it is nobody's administrator.

use std::io;

use rustix::process::{getegid, geteuid};

/// What root is inside: agents refuse to work as root, and rightly.
const PLAIN: u32 = 1000;

/// Whose namespace it is: asked before it is made, because nobody is anybody in there until the map is written.
#[derive(Clone, Copy)]
pub(in crate::jail) struct Owner {
    user: u32,
    group: u32,
}

impl Owner {
    /// Of this process.
    pub(in crate::jail) fn current() -> Self {
        Self { user: geteuid().as_raw(), group: getegid().as_raw() }
    }

    /// Maps the user and group (`user_namespaces(7)`); no other id is to be had.
    pub(super) fn map(self) -> io::Result<()> {
        fs_err::write("/proc/self/uid_map", format!("{} {} 1", inside(self.user), self.user))?;
        // Groups are to be dropped by nobody who could gain by it.
        fs_err::write("/proc/self/setgroups", "deny")?;
        fs_err::write("/proc/self/gid_map", format!("{} {} 1", inside(self.group), self.group))
    }

    /// `passwd` and `group` as the job reads them (passwd(5), group(5)).
    pub(super) fn tables(self, home: &str) -> [(&'static str, String); 2] {
        let (user, group) = (inside(self.user), inside(self.group));
        let nobody = "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n";
        [
            ("etc/passwd", format!("agent:x:{user}:{group}:agent:{home}:/bin/sh\n{nobody}")),
            ("etc/group", format!("agent:x:{group}:\nnogroup:x:65534:\n")),
        ]
    }
}

/// The id that an outer one has inside.
fn inside(id: u32) -> u32 {
    if id == 0 { PLAIN } else { id }
}
