//! What one attack is aimed at: a canary outside, or for its control a thing of the same shape inside.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    io,
    os::unix::ffi::{OsStrExt as _, OsStringExt as _},
    path::{Path, PathBuf},
};

use rustix::process::Pid;

/// What the side outside tells the side inside, as `key=value` on its command line.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts(BTreeMap<OsString, OsString>);

impl Facts {
    pub(super) fn put(&mut self, key: &str, value: impl Into<OsString>) {
        self.0.insert(key.into(), value.into());
    }

    pub(super) fn read(args: impl Iterator<Item = OsString>) -> Self {
        let pairs = args.filter_map(|arg| {
            let equals = arg.as_bytes().iter().position(|byte| *byte == b'=')?;
            let (key, value) = arg.as_bytes().split_at(equals);
            Some((OsString::from_vec(key.to_vec()), OsString::from_vec(value[1..].to_vec())))
        });
        Self(pairs.collect())
    }

    pub(super) fn to_args(&self) -> impl Iterator<Item = OsString> {
        self.0.iter().map(|(key, value)| [key.as_os_str(), OsStr::new("="), value].into_iter().collect())
    }

    pub(super) fn text(&self, key: &str) -> io::Result<&OsStr> {
        self.0.get(OsStr::new(key)).map(OsString::as_os_str).ok_or_else(|| io::Error::other(format!("no {key}=")))
    }

    pub(super) fn number<N: std::str::FromStr>(&self, key: &str) -> io::Result<N> {
        let number = self.text(key)?.to_str().and_then(|text| text.parse().ok());
        number.ok_or_else(|| io::Error::other(format!("{key}= is no number")))
    }

    pub(super) fn numbers(&self, key: &str) -> io::Result<Vec<i32>> {
        let text = self.text(key)?.to_str().unwrap_or_default();
        Ok(text.split(',').filter_map(|number| number.parse().ok()).collect())
    }
}

/// On which side of the wall a thing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Outside,
    Inside,
}

impl Side {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Outside => "outside",
            Self::Inside => "inside",
        }
    }
}

/// A sleeping process, to be read, stopped or killed.
#[derive(Clone, Debug)]
pub(super) struct Process {
    pub(super) pid: i32,
    /// Where its memory says [`super::canary::SECRET`].
    pub(super) address: u64,
    /// Its descriptor of a file that only it has open.
    pub(super) descriptor: i32,
    /// Ends its command line, if it is the one outside: another namespace has other processes by the same number.
    pub(super) token: Option<String>,
}

/// What one attack is aimed at, and from where.
#[derive(Debug)]
pub struct Target {
    pub(super) facts: Facts,
    pub(super) side: Side,
    pub(super) attack: &'static str,
    pub(super) process: Option<Process>,
}

impl Target {
    /// What is on the target's side: the canaries of all attacks.
    pub(super) fn around(&self) -> PathBuf {
        side_directory(Path::new(self.facts.text("base").unwrap_or_default()), self.side)
    }

    /// A name that begins with the attack's, so that whatever bears it is that attack's doing.
    pub(super) fn named(&self, name: &str) -> PathBuf {
        self.around().join(format!("{}.{name}", self.attack))
    }

    /// This attack's own canary.
    pub(super) fn file(&self) -> PathBuf {
        self.named("file")
    }

    /// Shared by those who do not change it.
    pub(super) fn folder(&self) -> PathBuf {
        self.around().join("folder")
    }

    /// A path where this attack may write whatever it likes.
    pub(super) fn mine(&self, name: &str) -> PathBuf {
        let work = side_directory(Path::new(self.facts.text("base").unwrap_or_default()), Side::Inside).join("work");
        work.join(format!("{}.{}.{name}", self.attack, self.side.as_str()))
    }

    /// A new file of its own.
    pub(super) fn own_file(&self) -> io::Result<PathBuf> {
        let path = self.mine("file");
        std::fs::File::create(&path)?;
        Ok(path)
    }

    pub(super) fn process(&self) -> io::Result<&Process> {
        self.process.as_ref().ok_or_else(|| io::Error::other("no canary process"))
    }

    /// The canary process, for a call that takes its number.
    pub(super) fn pid(&self) -> io::Result<Pid> {
        self.number_of(self.process()?.pid)
    }

    /// `pid` outside. In another namespace the number means another process, which must not be hit.
    pub(super) fn number_of(&self, pid: i32) -> io::Result<Pid> {
        const NOBODY: i32 = 1 << 21;
        let elsewhere = self.side == Side::Outside && self.facts.text("pids-of")? != namespace_of_pids();
        let pid = if elsewhere { pid + NOBODY } else { pid };
        Pid::from_raw(pid).ok_or_else(|| io::Error::from_raw_os_error(libc::ESRCH))
    }

    /// A file of the canary process in `/proc`.
    pub(super) fn proc(&self, name: &str) -> io::Result<PathBuf> {
        let process = self.process()?;
        let directory = PathBuf::from(format!("/proc/{}", process.pid));
        if let Some(token) = &process.token {
            let line = std::fs::File::open(directory.join("cmdline")).and_then(io::read_to_string);
            if line.is_ok_and(|line| !line.trim_end_matches('\0').ends_with(token)) {
                return Err(io::Error::from_raw_os_error(libc::ENOENT));
            }
        }
        Ok(directory.join(name))
    }
}

/// Everything of one side.
pub(super) fn side_directory(base: &Path, side: Side) -> PathBuf {
    base.join(side.as_str())
}

/// Tells namespaces of processes apart.
pub(super) fn namespace_of_pids() -> OsString {
    std::fs::read_link("/proc/self/ns/pid").map(PathBuf::into_os_string).unwrap_or_default()
}

/// Tells directories apart that have the same path.
pub(super) fn identity(path: &Path) -> io::Result<OsString> {
    use std::os::unix::fs::MetadataExt as _;
    let found = std::fs::metadata(path)?;
    Ok(format!("{}:{}", found.dev(), found.ino()).into())
}
