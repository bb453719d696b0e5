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
const NODE_CODE: [&str; 5] = ["-e", "--eval", "-p", "-pe", "--print"];

/// The word of `argv` that is not let through, if there is one.
pub(crate) fn forbidden(argv: &[String]) -> Option<&str> {
    let (name, rest) = argv.split_first()?;
    let mut rest_words = rest.iter().map(String::as_str);
    match name.as_str() {
        "find" => rest_words.find(|word| FIND.contains(word)),
        // As -r, but it follows links.
        "grep" => rest_words
            .take_while(|word| *word != "--")
            .find(|word| is_short_for(word, "--dereference-recursive") || is_short_with(word, 'R')),
        "ls" => rest_words
            .take_while(|word| *word != "--")
            .find(|word| word.starts_with("--de") || is_cluster_with(word, 'L') || is_cluster_with(word, 'H')),
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

/// Whether a letter is among those of a single dash. What follows one that takes a value is taken for letters too: better once too often.
fn is_cluster_with(word: &str, letter: char) -> bool {
    word.strip_prefix('-').is_some_and(|letters| !letters.starts_with('-') && letters.contains(letter))
}

/// `--name` cut short, as `getopt_long(3)` and git take it, with a value or without.
fn is_short_for(word: &str, name: &str) -> bool {
    let head = word.split('=').next().unwrap_or_default();
    head.starts_with("--") && head.len() > 3 && name.starts_with(head)
}

fn git(words: &[String]) -> Option<&str> {
    let named = |word: &str, names: &[&str]| names.iter().any(|name| is_option(word, name) || is_short_for(word, name));
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
        "grep" => is_cluster_with(word, 'O'),
        "rebase" => is_cluster_with(word, 'x'),
        "clone" | "init" => is_cluster_with(word, 'c') || is_cluster_with(word, 'u'),
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
    let (code, own) = code_and_options(argv);
    of_node && (!code.is_empty() || own.iter().any(|word| is_option(word, "--input-type")))
}

/// Which words of `argv` are code, and name no paths.
pub(crate) fn code(argv: &[String]) -> Vec<usize> {
    code_and_options(argv).0
}

/// Only among the options of the program itself: what follows a script's name is the script's.
fn code_and_options(argv: &[String]) -> (Vec<usize>, Vec<&str>) {
    let names: &[&str] = match argv.first().map(String::as_str) {
        Some("node") => &NODE_CODE,
        Some("python") => &["-c"],
        _ => &[],
    };
    let (mut code, mut options) = (Vec::new(), Vec::new());
    let mut words = argv.iter().enumerate().skip(1);
    while let Some((at, word)) = words.next() {
        if !word.starts_with('-') {
            break;
        }
        options.push(word.as_str());
        if names.contains(&word.as_str()) {
            code.push(at + 1);
            words.next();
        } else if names.iter().any(|name| is_option(word, name)) {
            code.push(at);
        }
    }
    (code, options)
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
            ("grep --deref x .", "--deref"),
            ("ls -LR .", "-LR"),
            ("ls --dereference .", "--dereference"),
            ("git grep -nOsh x", "-nOsh"),
            ("git grep --open-files-in=sh x", "--open-files-in=sh"),
            ("git clone --upload-p=x y", "--upload-p=x"),
            ("git rebase -ix make", "-ix"),
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
        assert!(code(&argv("python tool.py -c /etc")).is_empty() && code(&argv("node a.js -e /etc")).is_empty());
        assert_eq!(code(&argv("node --no-warnings -pe 1")), [3]);
        assert!(is_snippet(&argv("node -pe 1")) && !is_snippet(&argv("node a.js -e 1")));
        assert!(is_snippet(&argv("node --input-type=module -")) && is_snippet(&argv("node -p 1")));
        assert!(!is_snippet(&argv("node a.js")) && !is_snippet(&argv("python -c 1")));
    }
}
