//! Which programs the command lines of jobs may name: a pool's choice, by the setting of its workers.
//!
//! It is for whoever wants few, known commands in a pool. It is no wall: what a listed program starts is that program's doing (`env`, `find
//! -exec`, `git` with its helpers, any interpreter), and agents start what they like. Walls are `drydock-jail`'s.

use std::collections::BTreeSet;

/// The programs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Commands {
    /// All that are there.
    Any,
    /// These: names, which are looked for on the worker's `PATH`, and absolute paths. A shell is one like any other.
    These(BTreeSet<String>),
}

impl Commands {
    /// Reads the setting.
    ///
    /// # Errors
    /// It names nothing, or a program that each job would find elsewhere.
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        if text.trim() == "any" {
            return Ok(Self::Any);
        }
        let names: BTreeSet<String> =
            text.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect();
        if names.is_empty() {
            return Err(
                "names no program: write any, or programs separated by commas like git,make,/opt/tools/lint".to_owned()
            );
        }
        if names.contains("any") {
            return Err("'any' stands for every program: write it alone, or leave it out".to_owned());
        }
        match names.iter().find(|name| name.contains('/') && !name.starts_with('/')) {
            Some(name) => Err(format!(
                "'{name}' is a relative path, which lies in the job's own files; use a name or an absolute path"
            )),
            None => Ok(Self::These(names)),
        }
    }

    /// Why the command line is not run, if it is not.
    pub(crate) fn refusal(&self, argv: &[String]) -> Option<String> {
        let (Self::These(allowed), Some(program)) = (self, argv.first()) else { return None };
        if allowed.contains(program) {
            return None;
        }
        let allowed = allowed.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        Some(format!(
            "command '{program}' not allowed in this pool, which runs {allowed} (DRYDOCK_COMMANDS of its workers)"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(setting: &str, program: &str) -> bool {
        Commands::read(setting).unwrap().refusal(&[program.to_owned(), "git".to_owned()]).is_some()
    }

    #[test]
    fn only_what_is_written_is_run() {
        for program in ["git", "sh", "./git", "/tmp/git"] {
            assert!(!refused("any", program), "{program}");
        }
        let setting = "git, make,/opt/tools/lint";
        for program in ["git", "make", "/opt/tools/lint"] {
            assert!(!refused(setting, program), "{program}");
        }
        for program in
            ["sh", "./git", "/tmp/git", "/usr/bin/git", "lint", "GIT", "git ", "", "any", "/opt/tools/../tools/lint"]
        {
            assert!(refused(setting, program), "{program}");
        }
    }

    #[test]
    fn a_wrong_list_says_what_to_write() {
        for (setting, told) in [
            ("", "names no program"),
            (" , ", "names no program"),
            ("git,any", "write it alone"),
            ("bin/git", "'bin/git' is a relative path"),
            ("./git", "'./git' is a relative path"),
        ] {
            let said = Commands::read(setting).unwrap_err();
            assert!(said.contains(told), "{setting}: {said}");
        }
    }
}
