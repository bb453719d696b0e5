//! How programs are walled in on this node, and what one of them may do.

use std::path::{Path, PathBuf};

use drydock_domain::Isolation;
use drydock_jail::{Network, PROGRAMS, Policy};

/// The walls of this node's programs.
#[derive(Clone, Debug)]
pub struct Jail {
    /// The `drydock-jail` program.
    pub helper: PathBuf,
    /// The level it gives: `landlock-weak`, `landlock` or `namespace`.
    pub level: Isolation,
    /// What programs may read and execute beside the system's own.
    pub read: Vec<PathBuf>,
    /// Whether they may talk to everybody, whatever they themselves ask for.
    pub open_network: bool,
    /// Most files open in one of their processes.
    pub open_files: Option<u64>,
    /// Most processes of the worker's user, in a namespace of one job.
    pub processes: Option<u64>,
    /// Most bytes of one of their files.
    pub file_bytes: Option<u64>,
}

/// Where a program is and works.
pub(crate) struct Places<'a> {
    /// What an operator's entry names; none where the job itself does, which gives it no right to that.
    pub(crate) program: Option<&'a Path>,
    pub(crate) workspace: &'a Path,
    pub(crate) home: &'a Path,
    pub(crate) tmp: &'a Path,
}

/// A jail for one program.
#[derive(Clone, Debug)]
pub(crate) struct Walls {
    pub(crate) helper: PathBuf,
    pub(crate) policy: Policy,
}

impl Jail {
    pub(crate) fn walls(&self, places: &Places<'_>, network: &Network) -> Walls {
        let mut read = self.read.clone();
        let is_system = |program: &Path| PROGRAMS.iter().any(|system| program.starts_with(system));
        // One that is not there fails when it is executed, and by its own fault.
        let program = places.program.filter(|program| !is_system(program) && program.exists());
        read.extend(program.map(Path::to_owned));
        let policy = Policy {
            level: self.level,
            workspace: places.workspace.to_owned(),
            write: vec![places.home.to_owned(), places.tmp.to_owned()],
            read,
            network: if self.open_network { Network::Open } else { network.clone() },
            open_files: self.open_files,
            processes: self.processes,
            file_bytes: self.file_bytes,
        };
        Walls { helper: self.helper.clone(), policy }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_may_read_itself_and_no_more_of_where_it_lies() {
        let jail = Jail {
            helper: "/jail".into(),
            level: Isolation::Landlock,
            read: vec!["/opt/node".into()],
            open_network: false,
            open_files: None,
            processes: None,
            file_bytes: None,
        };
        let read = |program: Option<&str>| {
            let [workspace, home, tmp] = ["/s/w", "/s/h", "/s/t"].map(Path::new);
            let program = program.map(Path::new);
            jail.walls(&Places { program, workspace, home, tmp }, &Network::Closed).policy.read
        };
        let ours = |more: &[&str]| ["/opt/node"].iter().chain(more).map(PathBuf::from).collect::<Vec<_>>();
        assert_eq!(read(Some("/proc/self/exe")), ours(&["/proc/self/exe"]));
        for covered in [Some("/usr/bin/git"), Some("/bin/sh"), Some("/no/such"), None] {
            assert_eq!(read(covered), ours(&[]), "{covered:?}");
        }
    }
}
