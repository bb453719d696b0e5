//! What a jail is to be: told by the worker as a command line, read by the helper.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use drydock_domain::Isolation;
use thiserror::Error;

/// Everything a jailed program may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// How it is walled in: `landlock-weak`, `landlock` or `namespace`.
    pub level: Isolation,
    /// Where it works: read, write, execute.
    pub workspace: PathBuf,
    /// Its other own directories (home, temporary files): read, write, execute.
    pub write: Vec<PathBuf>,
    /// What it may read and execute beside the system's own programs.
    pub read: Vec<PathBuf>,
    /// Whom it may talk to.
    pub network: Network,
    /// Most files open in one process at once (`RLIMIT_NOFILE`).
    pub open_files: Option<u64>,
    /// Most processes (`RLIMIT_NPROC`); the kernel counts them by user, and not at all for root outside a user namespace.
    pub processes: Option<u64>,
    /// Most bytes of one file (`RLIMIT_FSIZE`).
    pub file_bytes: Option<u64>,
}

/// Whom a jailed program may talk to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Network {
    /// Nobody: only its own processes.
    #[default]
    Closed,
    /// By TCP to these ports of any address, and from anywhere to the ones it listens on.
    Ports {
        /// It may connect to them.
        connect: Vec<u16>,
        /// It may listen on them; 0 stands for whatever port the system gives.
        listen: Vec<u16>,
    },
    /// By TCP to this port alone, where its broker listens and asks for names in its place: no UDP.
    Broker {
        /// Where.
        port: u16,
    },
    /// Everybody.
    Open,
}

/// A command line that is no policy.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum PolicyError {
    /// There is no such option.
    #[error("no option '{0}'")]
    Unknown(String),
    /// The option's value is missing or wrong.
    #[error("{option}: {reason}")]
    Value {
        /// The option.
        option: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// It has to be there.
    #[error("{0} is missing")]
    Missing(&'static str),
}

const LEVEL: &str = "--level";
const WORKSPACE: &str = "--workspace";
const WRITE: &str = "--write";
const READ: &str = "--read";
const NETWORK: &str = "--network";
const BROKER: &str = "--broker";
const CONNECT: &str = "--connect";
const LISTEN: &str = "--listen";
const OPEN_FILES: &str = "--open-files";
const PROCESSES: &str = "--processes";
const FILE_BYTES: &str = "--file-bytes";
const END: &str = "--";

impl Policy {
    /// As arguments, up to and with the `--` before the program.
    pub fn to_args(&self) -> Vec<OsString> {
        let mut args: Vec<OsString> = Vec::new();
        let mut put = |option: &str, value: &OsStr| args.extend([option.into(), value.to_owned()]);
        put(LEVEL, self.level.as_str().as_ref());
        put(WORKSPACE, self.workspace.as_os_str());
        self.write.iter().for_each(|path| put(WRITE, path.as_os_str()));
        self.read.iter().for_each(|path| put(READ, path.as_os_str()));
        match &self.network {
            Network::Closed => put(NETWORK, "closed".as_ref()),
            Network::Open => put(NETWORK, "open".as_ref()),
            Network::Broker { port } => {
                put(NETWORK, "broker".as_ref());
                put(BROKER, port.to_string().as_ref());
            }
            Network::Ports { connect, listen } => {
                put(NETWORK, "ports".as_ref());
                connect.iter().for_each(|port| put(CONNECT, port.to_string().as_ref()));
                listen.iter().for_each(|port| put(LISTEN, port.to_string().as_ref()));
            }
        }
        let limits = [(OPEN_FILES, self.open_files), (PROCESSES, self.processes), (FILE_BYTES, self.file_bytes)];
        for (option, limit) in limits {
            if let Some(limit) = limit {
                put(option, limit.to_string().as_ref());
            }
        }
        args.push(END.into());
        args
    }

    /// Reads arguments up to `--`; answers what is behind it as well.
    ///
    /// # Errors
    /// Something is missing, unknown or wrong.
    pub fn from_args(args: impl IntoIterator<Item = OsString>) -> Result<(Self, Vec<OsString>), PolicyError> {
        let (mut args, mut read) = (args.into_iter(), Reading::default());
        loop {
            let Some(option) = args.next() else { return Err(PolicyError::Missing(END)) };
            if option == END {
                return Ok((read.finish()?, args.collect()));
            }
            read.take(&option, args.next())?;
        }
    }
}

/// A policy that is half read.
#[derive(Default)]
struct Reading {
    level: Option<Isolation>,
    workspace: Option<PathBuf>,
    write: Vec<PathBuf>,
    read: Vec<PathBuf>,
    network: Option<Network>,
    open_files: Option<u64>,
    processes: Option<u64>,
    file_bytes: Option<u64>,
}

impl Reading {
    fn take(&mut self, option: &OsStr, value: Option<OsString>) -> Result<(), PolicyError> {
        match option.to_str().unwrap_or_default() {
            LEVEL => self.level = Some(level(value)?),
            WORKSPACE => self.workspace = Some(directory(WORKSPACE, value)?),
            WRITE => self.write.push(directory(WRITE, value)?),
            READ => self.read.push(directory(READ, value)?),
            NETWORK => self.network = Some(network(value)?),
            BROKER => self.network = Some(self.broker(number(BROKER, value)?)?),
            CONNECT => self.ports(CONNECT)?.0.push(number(CONNECT, value)?),
            LISTEN => self.ports(LISTEN)?.1.push(number(LISTEN, value)?),
            OPEN_FILES => self.open_files = Some(number(OPEN_FILES, value)?),
            PROCESSES => self.processes = Some(number(PROCESSES, value)?),
            FILE_BYTES => self.file_bytes = Some(number(FILE_BYTES, value)?),
            _ => return Err(PolicyError::Unknown(option.to_string_lossy().into_owned())),
        }
        Ok(())
    }

    fn broker(&self, port: u16) -> Result<Network, PolicyError> {
        match self.network {
            Some(Network::Broker { .. }) => Ok(Network::Broker { port }),
            _ => Err(wrong(BROKER, "comes after '--network broker'")),
        }
    }

    fn ports(&mut self, option: &'static str) -> Result<(&mut Vec<u16>, &mut Vec<u16>), PolicyError> {
        match &mut self.network {
            Some(Network::Ports { connect, listen }) => Ok((connect, listen)),
            _ => Err(wrong(option, "comes after '--network ports'")),
        }
    }

    fn finish(self) -> Result<Policy, PolicyError> {
        if self.network == Some(Network::Broker { port: 0 }) {
            return Err(PolicyError::Missing(BROKER));
        }
        Ok(Policy {
            level: self.level.ok_or(PolicyError::Missing(LEVEL))?,
            workspace: self.workspace.ok_or(PolicyError::Missing(WORKSPACE))?,
            write: self.write,
            read: self.read,
            network: self.network.ok_or(PolicyError::Missing(NETWORK))?,
            open_files: self.open_files,
            processes: self.processes,
            file_bytes: self.file_bytes,
        })
    }
}

fn wrong(option: &'static str, reason: impl Into<String>) -> PolicyError {
    PolicyError::Value { option, reason: reason.into() }
}

fn text(option: &'static str, value: Option<OsString>) -> Result<String, PolicyError> {
    let value = value.ok_or_else(|| wrong(option, "its value is missing"))?;
    value.into_string().map_err(|_| wrong(option, "its value is no text"))
}

fn level(value: Option<OsString>) -> Result<Isolation, PolicyError> {
    let level: Isolation = text(LEVEL, value)?.parse().map_err(|error| wrong(LEVEL, format!("{error}")))?;
    match level {
        Isolation::LandlockWeak | Isolation::Landlock | Isolation::Namespace => Ok(level),
        Isolation::None | Isolation::UserKernel | Isolation::Vm => Err(wrong(LEVEL, "this helper does not make it")),
    }
}

fn network(value: Option<OsString>) -> Result<Network, PolicyError> {
    match text(NETWORK, value)?.as_str() {
        "closed" => Ok(Network::Closed),
        "open" => Ok(Network::Open),
        "broker" => Ok(Network::Broker { port: 0 }),
        "ports" => Ok(Network::Ports { connect: Vec::new(), listen: Vec::new() }),
        other => Err(wrong(NETWORK, format!("'{other}' is not closed, ports, broker or open"))),
    }
}

/// An absolute path without `..`: what it means depends on nobody's working directory.
fn directory(option: &'static str, value: Option<OsString>) -> Result<PathBuf, PolicyError> {
    let value = value.ok_or_else(|| wrong(option, "its value is missing"))?;
    let climbs = value.as_bytes().split(|byte| *byte == b'/').any(|part| part == b"..");
    if !Path::new(&value).is_absolute() || climbs {
        return Err(wrong(option, format!("'{}' is not an absolute path without '..'", value.to_string_lossy())));
    }
    Ok(value.into())
}

fn number<N: std::str::FromStr>(option: &'static str, value: Option<OsString>) -> Result<N, PolicyError> {
    let value = text(option, value)?;
    value.parse().map_err(|_| wrong(option, format!("'{value}' is not a number that fits")))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn path() -> impl Strategy<Value = PathBuf> {
        proptest::collection::vec(1..=255_u8, 0..12).prop_filter_map("no way up", |bytes| {
            let path = PathBuf::from(OsStr::from_bytes(&[b"/", bytes.as_slice()].concat()));
            directory(READ, Some(path.clone().into())).is_ok().then_some(path)
        })
    }

    fn network() -> impl Strategy<Value = Network> {
        let ports = || proptest::collection::vec(any::<u16>(), 0..3);
        prop_oneof![
            Just(Network::Closed),
            Just(Network::Open),
            (1..=u16::MAX).prop_map(|port| Network::Broker { port }),
            (ports(), ports()).prop_map(|(connect, listen)| Network::Ports { connect, listen }),
        ]
    }

    prop_compose! {
        fn policy()(
            level in prop_oneof![Just(Isolation::LandlockWeak), Just(Isolation::Landlock), Just(Isolation::Namespace)],
            workspace in path(),
            write in proptest::collection::vec(path(), 0..3),
            read in proptest::collection::vec(path(), 0..3),
            network in network(),
            (open_files, processes, file_bytes) in any::<(Option<u64>, Option<u64>, Option<u64>)>(),
        ) -> Policy {
            Policy { level, workspace, write, read, network, open_files, processes, file_bytes }
        }
    }

    proptest! {
        #[test]
        fn what_is_told_is_what_is_read(policy in policy(), program in proptest::collection::vec(".*", 0..3)) {
            let program: Vec<OsString> = program.into_iter().map(OsString::from).collect();
            let args = policy.to_args().into_iter().chain(program.clone());
            prop_assert_eq!(Policy::from_args(args), Ok((policy, program)));
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let read = |line: &str| Policy::from_args(line.split(' ').map(OsString::from)).unwrap_err().to_string();
        for (line, says) in [
            ("--level landlock", "-- is missing"),
            ("--level landlock --network closed --", "--workspace is missing"),
            ("--level vm --", "--level: this helper does not make it"),
            ("--level none --", "--level: this helper does not make it"),
            ("--jail yes --", "no option '--jail'"),
            ("--workspace w --", "--workspace: 'w' is not an absolute path without '..'"),
            ("--write /a/../b --", "--write: '/a/../b' is not an absolute path without '..'"),
            ("--network lan --", "--network: 'lan' is not closed, ports, broker or open"),
            ("--level landlock --workspace /w --network broker --", "--broker is missing"),
            ("--broker 80 --", "--broker: comes after '--network broker'"),
            ("--connect 80 --", "--connect: comes after '--network ports'"),
            ("--network ports --connect 65536 --", "--connect: '65536' is not a number that fits"),
            ("--processes", "--processes: its value is missing"),
        ] {
            assert_eq!(read(line), says, "{line}");
        }
    }
}
