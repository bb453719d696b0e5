//! Finding an agent's program before any job needs it, so that an agent that cannot run is not advertised.

use std::{
    env,
    ffi::{OsStr, OsString},
    io,
    os::unix::{ffi::OsStrExt as _, fs::PermissionsExt as _},
    path::{Path, PathBuf},
};

use rustix::io::Errno;

/// Search path of an agent when the worker itself has none.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Names of programs that come with the worker and are searched beside it first.
const OWN_PREFIX: &str = "drydock-";

/// The worker's `PATH` without empty and relative entries: an agent runs in a workspace, where those would find its files.
pub(super) fn search_path() -> OsString {
    let path = env::var_os("PATH").unwrap_or_else(|| DEFAULT_PATH.into());
    let absolute = env::split_paths(&path).filter(|entry| entry.is_absolute());
    env::join_paths(absolute).unwrap_or_else(|_| DEFAULT_PATH.into())
}

/// The program's absolute path, or why there is none.
pub(super) fn find(program: &str, path: &OsStr) -> Result<PathBuf, String> {
    if program.contains('/') {
        let program = Path::new(program);
        return if is_program(program) {
            Ok(program.to_owned())
        } else {
            Err(format!("'{}' is not an executable file", program.display()))
        };
    }
    let beside = if program.starts_with(OWN_PREFIX) { own_directories() } else { Vec::new() };
    let mut found = beside.into_iter().chain(env::split_paths(path)).map(|directory| directory.join(program));
    found.find(|candidate| is_program(candidate)).ok_or_else(|| format!("'{program}' was not found on PATH"))
}

/// The path by which a command line's first word is started: the word itself, or where `path` has it.
///
/// # Errors
/// No directory of `path` has such a program.
pub(super) fn locate(word: &OsStr, path: &OsStr) -> io::Result<PathBuf> {
    if word.as_bytes().contains(&b'/') {
        return Ok(word.into());
    }
    let mut found = env::split_paths(path).map(|directory| directory.join(word));
    let missing = || Errno::NOENT.into();
    found.find(|candidate| !word.is_empty() && is_program(candidate)).ok_or_else(missing)
}

/// Where the worker's own program is, and one level up: test programs live in a folder below the real ones.
pub fn own_directories() -> Vec<PathBuf> {
    let own = env::current_exe().unwrap_or_default();
    own.ancestors().skip(1).take(2).map(Path::to_owned).collect()
}

fn is_program(path: &Path) -> bool {
    fs_err::metadata(path).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_on_the_path_and_by_absolute_path() {
        let found = find("sh", OsStr::new("/nowhere:/bin:/usr/bin")).unwrap();
        assert!(found.is_absolute());
        assert_eq!(find(found.to_str().unwrap(), OsStr::new("")).unwrap(), found);
    }

    #[test]
    fn only_words_without_a_slash_are_looked_for() {
        assert_eq!(locate(OsStr::new("./sh"), OsStr::new("/bin")).unwrap(), Path::new("./sh"));
        assert_eq!(locate(OsStr::new("sh"), OsStr::new("/nowhere:/bin")).unwrap(), Path::new("/bin/sh"));
        for word in ["", ".", "..", "no-such"] {
            assert_eq!(locate(OsStr::new(word), OsStr::new("/bin")).unwrap_err().kind(), io::ErrorKind::NotFound);
        }
    }

    #[test]
    fn says_what_is_missing() {
        assert_eq!(find("no-such", OsStr::new("/bin")).unwrap_err(), "'no-such' was not found on PATH");
        assert_eq!(find("/etc/passwd", OsStr::new("")).unwrap_err(), "'/etc/passwd' is not an executable file");
        assert_eq!(find("/bin", OsStr::new("")).unwrap_err(), "'/bin' is not an executable file");
    }
}
