//! The last steps before the program: each takes something away, the filter last, and then what is left is looked at once more.

use std::{ffi::OsString, fs::File, io, io::Write as _, os::unix::process::CommandExt as _, process::Command};

use rustix::process::setsid;

use super::{domain, filter, namespace, privileges, sys};
use crate::{Policy, Started};

/// What is told once the walls are up, before the program is executed.
pub(super) const WALLED_IN: &str = "walled-in ";

/// Becomes the program. Returns only why it did not.
pub(super) fn become_program(policy: &Policy, program: &[OsString], mut tell: &File) -> Started {
    if let Err(error) = enclose(policy) {
        return Started::Refused(error.to_string());
    }
    let [path, name, arguments @ ..] = program else {
        return Started::Refused("no program was named".to_owned());
    };
    if let Err(error) = write!(tell, "{WALLED_IN}") {
        return Started::Refused(error.to_string());
    }
    let error = Command::new(path).arg0(name).args(arguments).exec();
    Started::Unstartable(sys::errno(&error))
}

fn enclose(policy: &Policy) -> io::Result<()> {
    let say = |what| move |error: io::Error| io::Error::other(format!("{what}: {error}"));
    sys::end_with_parent().map_err(say("end with the supervisor"))?;
    setsid().map_err(|error| say("new session")(error.into()))?;
    std::env::set_current_dir(&policy.workspace).map_err(say("enter the workspace"))?;
    privileges::limit(policy).map_err(say("limits"))?;
    privileges::drop_all().map_err(say("privileges"))?;
    domain::enclose_job(policy).map_err(say("Landlock"))?;
    sys::set_blocked(&[]);
    filter::apply(&policy.network, namespace::has_own_network(policy)).map_err(say("seccomp"))?;
    check(policy)
}

/// What was done is what is so. A jail that is not as it should be runs nothing.
fn check(policy: &Policy) -> io::Result<()> {
    privileges::check()?;
    if sys::seccomp_mode()? != libc::c_long::from(libc::SECCOMP_MODE_FILTER) {
        return Err(io::Error::other("no seccomp filter is on"));
    }
    if policy.level != drydock_domain::Isolation::Namespace && std::fs::read_dir("/").is_ok() {
        return Err(io::Error::other("Landlock is on, but the root directory can be listed"));
    }
    Ok(())
}
