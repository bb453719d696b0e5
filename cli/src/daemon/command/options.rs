//! Options by which an allowed program would run others, write where no argument says so, or follow links out of the folder.
//!
//! This keeps honest callers to what was allowed; it is no wall. What the folder itself holds (scripts of `package.json`, hooks of
//! `.git`, whatever `node` and `python` are given) runs with the daemon's own rights.

/// Actions of find(1) that run or write something, and what makes it follow links.
const FIND: [&str; 12] = [
    "-exec",
    "-execdir",
    "-ok",
    "-okdir",
    "-delete",
    "-fprint",
    "-fprint0",
    "-fprintf",
    "-fls",
    "-L",
    "-follow",
    "-files0-from",
];
/// Options of git(1) before its command that name programs or settings.
const GIT_GLOBAL: [&str; 3] = ["-c", "--config-env", "--exec-path"];
/// Those of its commands that name programs.
const GIT: [&str; 7] =
    ["--upload-pack", "--receive-pack", "--exec", "--open-files-in-pager", "--extcmd", "--ext-diff", "--config"];
/// Options of git(1) before its command that take the next word.
const GIT_TAKES: [&str; 5] = ["-C", "--git-dir", "--work-tree", "--namespace", "--super-prefix"];
/// Git commands that run what they are given.
const GIT_RUNS: [&str; 4] = ["filter-branch", "difftool", "mergetool", "daemon"];
/// Options of node(1) by which it takes code from the command line.
const NODE_CODE: [&str; 4] = ["-e", "--eval", "-p", "--print"];

/// The word of `argv` that is not let through, if there is one.
pub(crate) fn forbidden(argv: &[String]) -> Option<&str> {
    let (name, rest) = argv.split_first()?;
    let mut rest_words = rest.iter().map(String::as_str);
    match name.as_str() {
        "find" => rest_words.find(|word| FIND.contains(word)),
        // As -r, but it follows links.
        "grep" => rest_words
            .take_while(|word| *word != "--")
            .find(|word| *word == "--dereference-recursive" || is_short_with(word, 'R')),
        "git" => git(rest),
        _ => None,
    }
}

fn is_short_with(word: &str, letter: char) -> bool {
    word.strip_prefix('-').is_some_and(|letters| {
        // What follows a letter that takes a value is the value.
        let own = letters.split(['e', 'f', 'm', 'A', 'B', 'C', 'd', 'D']).next().unwrap_or_default();
        !letters.starts_with('-') && own.contains(letter)
    })
}

fn git(words: &[String]) -> Option<&str> {
    let named = |word: &str, names: &[&str]| names.iter().any(|name| is_option(word, name));
    let mut words = words.iter().map(String::as_str);
    let command = loop {
        let word = words.next()?;
        if named(word, &GIT_GLOBAL) {
            return Some(word);
        }
        if GIT_TAKES.contains(&word) {
            words.next();
        } else if !word.starts_with('-') {
            break word;
        }
    };
    if GIT_RUNS.contains(&command) {
        return Some(command);
    }
    let runs = |word: &str| match command {
        "grep" => word.starts_with("-O"),
        "rebase" => word.starts_with("-x"),
        "clone" | "init" => word.starts_with("-c") || word.starts_with("-u"),
        "bisect" => word == "run",
        "submodule" => word == "foreach",
        _ => false,
    };
    words.take_while(|word| *word != "--").find(|word| named(word, &GIT) || runs(word))
}

/// `--name`, or `--name=value`.
fn is_option(word: &str, name: &str) -> bool {
    word.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
}

/// Whether `argv` is a snippet of JavaScript or TypeScript on the command line.
pub(crate) fn is_snippet(argv: &[String]) -> bool {
    let of_node = argv.first().is_some_and(|name| name == "node");
    of_node
        && argv.iter().any(|word| NODE_CODE.iter().any(|name| is_option(word, name)) || is_option(word, "--input-type"))
}

/// Which words of `argv` are code, and name no paths.
pub(crate) fn code(argv: &[String]) -> Vec<usize> {
    let names: &[&str] = match argv.first().map(String::as_str) {
        Some("node") => &NODE_CODE,
        Some("python") => &["-c"],
        _ => return Vec::new(),
    };
    let mut words = Vec::new();
    for (at, word) in argv.iter().enumerate().skip(1) {
        if names.contains(&word.as_str()) {
            words.push(at + 1);
        } else if names.iter().any(|name| is_option(word, name)) {
            words.push(at);
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn argv(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn options_that_run_others_are_named() {
        for (line, word) in [
            ("find . -exec rm {} ;", "-exec"),
            ("find . -name x -delete", "-delete"),
            ("find . -fprintf f %p", "-fprintf"),
            ("find -L .", "-L"),
            ("git -c core.pager=x log", "-c"),
            ("git --exec-path=/tmp status", "--exec-path=/tmp"),
            ("git -C sub --config-env=a=b log", "--config-env=a=b"),
            ("git clone --upload-pack=x y", "--upload-pack=x"),
            ("git clone -ccore.sshCommand=x y", "-ccore.sshCommand=x"),
            ("git grep -Ovi x", "-Ovi"),
            ("git rebase -x make", "-x"),
            ("git rebase --exec=make", "--exec=make"),
            ("git submodule foreach ls", "foreach"),
            ("grep -nR x .", "-nR"),
        ] {
            assert_eq!(forbidden(&argv(line)), Some(word), "{line}");
        }
        for line in [
            "find . -name *.rs -newer a",
            "git commit -c HEAD",
            "git -C sub log -p",
            "git log -- -O",
            "grep -rn x .",
            "grep -eR x",
            "ls -R",
            "git diff --stat",
            "npm run build",
        ] {
            assert_eq!(forbidden(&argv(line)), None, "{line}");
        }
    }

    #[test]
    fn code_is_told_from_paths() {
        assert_eq!(code(&argv("node -e 1/2 a")), [2]);
        assert_eq!(code(&argv("node --eval=1/2 a")), [1]);
        assert_eq!(code(&argv("python -c x")), [2]);
        assert!(code(&argv("cat -e /etc")).is_empty());
        assert!(is_snippet(&argv("node --input-type=module -")) && is_snippet(&argv("node -p 1")));
        assert!(!is_snippet(&argv("node a.js")) && !is_snippet(&argv("python -c 1")));
    }
}
