//! Which commands are carried out, and as which program.

use std::path::Path;

use super::{
    options::{code, forbidden, is_snippet},
    paths::Inside,
};

/// Programs that may be run where nothing else is said.
pub const DEFAULT: [&str; 12] =
    ["ls", "pwd", "echo", "cat", "grep", "find", "git", "npm", "pnpm", "yarn", "node", "python"];

/// The programs that may be run.
#[derive(Clone, Debug)]
pub(crate) struct Policy {
    allowed: Vec<String>,
}

/// A command that may be run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Allowed {
    /// The program and its arguments.
    pub(crate) line: Vec<String>,
    /// Whether it is a snippet of code.
    pub(crate) is_snippet: bool,
}

/// Why a command is not run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    /// There is nothing to run.
    #[error("the job has no command line: give it an argv")]
    Empty,
    /// It is not on the list.
    #[error("command '{0}' not allowed")]
    Program(String),
    /// It reaches out.
    #[error("path '{0}' is outside the workspace")]
    Path(String),
    /// It would run or write what no argument shows.
    #[error("option '{option}' of '{program}' not allowed")]
    Option {
        /// Of which program.
        program: String,
        /// Which.
        option: String,
    },
}

impl Policy {
    /// These programs, or the default ones where there are none.
    pub(crate) fn new(allowed: &[String]) -> Self {
        let default = || DEFAULT.map(str::to_owned).to_vec();
        Self { allowed: if allowed.is_empty() { default() } else { allowed.to_vec() } }
    }

    /// What to run for `argv`.
    ///
    /// # Errors
    /// It must not be run.
    pub(crate) fn check(&self, argv: &[String], inside: &Inside) -> Result<Allowed, Refused> {
        let name = argv.first().filter(|name| !name.is_empty()).ok_or(Refused::Empty)?;
        let mut line = argv.to_vec();
        if !self.allowed.contains(name) {
            let runner = script(name, inside)?.ok_or_else(|| Refused::Program(name.clone()))?;
            // Never an option of the runner.
            if name.starts_with('-') {
                line[0] = format!("./{name}");
            }
            line.insert(0, runner.to_owned());
        }
        if let Some(option) = forbidden(&line) {
            return Err(Refused::Option { program: line[0].clone(), option: option.to_owned() });
        }
        let code = code(&line);
        let mut words = line.iter().enumerate().skip(1).filter(|(at, _)| !code.contains(at));
        if let Some(path) = words.find_map(|(_, word)| inside.breach(word)) {
            return Err(Refused::Path(path));
        }
        Ok(Allowed { is_snippet: is_snippet(&line), line })
    }
}

/// What runs a script of the folder; `None` where it is none.
fn script(name: &str, inside: &Inside) -> Result<Option<&'static str>, Refused> {
    let runner = match Path::new(name).extension().and_then(|extension| extension.to_str()) {
        Some("js" | "ts") => "node",
        Some("py") => "python",
        Some("sh") => "sh",
        _ => return Ok(None),
    };
    // A name without a slash would be looked for on PATH, were it a program.
    let is_there = fs_err::metadata(inside.root().join(name)).is_ok_and(|meta| meta.is_file());
    if !is_there {
        return Ok(None);
    }
    if inside.holds(name) { Ok(Some(runner)) } else { Err(Refused::Path(name.to_owned())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(allow: &[&str], line: &[&str]) -> Result<Vec<String>, String> {
        let dir = tempfile::tempdir().unwrap();
        let root = fs_err::canonicalize(dir.path()).unwrap().join("dir");
        fs_err::create_dir_all(root.join("tools")).unwrap();
        for script in ["tools/a.sh", "b.ts", "c.py", "d.rb", "-c.sh"] {
            fs_err::write(root.join(script), "").unwrap();
        }
        fs_err::write(root.parent().unwrap().join("outside.sh"), "").unwrap();
        let inside = Inside::new(root, "/nowhere".into());
        let allow: Vec<String> = allow.iter().map(|&name| name.to_owned()).collect();
        let argv: Vec<String> = line.iter().map(|&word| word.to_owned()).collect();
        Policy::new(&allow).check(&argv, &inside).map(|allowed| allowed.line).map_err(|refused| refused.to_string())
    }

    #[test]
    fn only_what_is_listed_is_run() {
        for name in DEFAULT {
            assert!(check(&[], &[name]).is_ok(), "{name}");
        }
        for name in ["rm", "sh", "/bin/ls", "./ls", "d.rb", "gone.sh", "LS"] {
            assert_eq!(check(&[], &[name]).unwrap_err(), format!("command '{name}' not allowed"));
        }
        assert_eq!(check(&["make"], &["ls"]).unwrap_err(), "command 'ls' not allowed");
        assert!(check(&["make"], &["make", "all"]).is_ok());
        assert!(check(&[], &[""]).is_err() && check(&[], &[]).is_err());
    }

    #[test]
    fn scripts_of_the_folder_have_their_runner() {
        assert_eq!(check(&[], &["tools/a.sh", "x"]).unwrap(), ["sh", "tools/a.sh", "x"]);
        assert_eq!(check(&[], &["./b.ts"]).unwrap(), ["node", "./b.ts"]);
        assert_eq!(check(&[], &["c.py"]).unwrap(), ["python", "c.py"]);
        assert_eq!(check(&[], &["-c.sh"]).unwrap(), ["sh", "./-c.sh"]);
        assert_eq!(check(&[], &["../outside.sh"]).unwrap_err(), "path '../outside.sh' is outside the workspace");
    }

    #[test]
    fn arguments_stay_inside() {
        assert_eq!(check(&[], &["cat", "/etc/passwd"]).unwrap_err(), "path '/etc/passwd' is outside the workspace");
        assert_eq!(
            check(&[], &["grep", "--file=/etc/passwd", "x"]).unwrap_err(),
            "path '/etc/passwd' is outside the workspace"
        );
        assert!(check(&[], &["node", "-e", "console.log(/x/.test('../..'), 1/2)"]).is_ok(), "that is code");
        assert!(check(&[], &["node", "-e", "1", "../x"]).is_err());
        assert_eq!(check(&[], &["find", ".", "-delete"]).unwrap_err(), "option '-delete' of 'find' not allowed");
    }
}
