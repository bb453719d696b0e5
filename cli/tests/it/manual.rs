//! What is made of the command line: completions that a shell loads, pages that a formatter takes; and where settings came from.

use std::{os::unix::fs::PermissionsExt as _, process::Stdio};

use tokio::process::Command;

use crate::harness::{Drydock, Ended};

async fn run(program: &str, words: &[&str]) -> Ended {
    let mut command = Command::new(program);
    command.args(words).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    Ended::of(command.spawn().unwrap_or_else(|error| panic!("{program} is needed for this test: {error}"))).await
}

#[tokio::test]
async fn bash_completes_commands_flags_and_values() {
    let script = Drydock::new(&["completion", "bash"]).ok().await.text();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("completion.bash");
    fs_err::write(&file, script).unwrap();
    let complete = async |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        let (last, before) = (words.len() - 1, words[words.len() - 2]);
        let asks = format!(
            "source {}; COMP_WORDS=({}); COMP_CWORD={last}; \
             $(complete -p drydock | sed 's/.*-F \\([^ ]*\\).*/\\1/') drydock '{}' '{before}'; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            file.display(),
            words.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" "),
            words[last],
        );
        run("bash", &["--norc", "-c", &asks]).await.exit(0).text().lines().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(complete("drydock proj").await, ["project", "projects"]);
    assert_eq!(complete("drydock project pu").await, ["pull", "push", "put"]);
    assert_eq!(complete("drydock batch wait --tim").await, ["--timeout"]);
    assert_eq!(complete("drydock --output ya").await, ["yaml"]);
}

#[tokio::test]
async fn every_shell_has_a_script() {
    for (shell, words) in [
        ("zsh", "#compdef drydock"),
        ("fish", "complete -c drydock"),
        ("powershell", "Register-ArgumentCompleter"),
        ("elvish", "edit:completion:arg-completer[drydock]"),
    ] {
        let script = Drydock::new(&["completion", shell]).ok().await.text();
        assert!(script.contains(words) && script.contains("rm-file"), "{shell}");
    }
    Drydock::new(&["completion", "tcsh"]).end().await.exit(2).says("powershell");
}

#[tokio::test]
async fn pages_are_what_a_formatter_takes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_str().unwrap();
    Drydock::new(&["man", "--dir", path]).ok().await.says("wrote the pages");
    let page = Drydock::new(&["man"]).ok().await;
    assert_eq!(page.out, fs_err::read(dir.path().join("drydock.1")).unwrap());
    for name in ["drydock", "drydock-project-push", "drydock-batch-submit", "drydock-top", "drydock-man"] {
        let file = dir.path().join(format!("{name}.1"));
        let text = fs_err::read_to_string(&file).unwrap();
        let heads: Vec<&str> = text.lines().filter(|line| line.starts_with(".SH")).collect();
        assert!(
            heads.starts_with(&[".SH NAME", ".SH SYNOPSIS", ".SH DESCRIPTION", ".SH OPTIONS"]),
            "{name}: {heads:?}"
        );
        assert!(text.contains("drydock"), "{name}");
        // Where it is there, groff has the last word.
        if std::path::Path::new("/usr/bin/groff").exists() {
            let told = run("/usr/bin/groff", &["-K", "utf8", "-man", "-Tutf8", "-ww", "-z", file.to_str().unwrap()])
                .await
                .exit(0);
            assert_eq!(told.err, "", "{name}");
        }
    }
}

#[tokio::test]
async fn each_setting_says_where_it_came_from() {
    const KEY: &str = "dd_0011223344556677_00000000000000000000000000000000000000000000000000000000000000aa";
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("contexts.toml");
    let content = format!("current = 'work'\n[contexts.work]\nserver = 'https://work.example.org'\nkey = '{KEY}'\n");
    fs_err::write(&file, content).unwrap();
    fs_err::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let token = dir.path().join("token");
    fs_err::write(&token, KEY.replace("0011", "aa11")).unwrap();
    let (file, token) = (file.to_str().unwrap(), token.to_str().unwrap());
    let explain = async |line: &str, environment: &[(&str, &str)]| {
        let words: Vec<&str> = ["-o", "ndjson", "config", "explain"].into_iter().chain(line.split(' ')).collect();
        let command = environment.iter().fold(Drydock::new(&words), |command, (name, value)| command.env(name, value));
        let ended = command.ok().await;
        assert!(!ended.text().contains("00aa"), "the secret is not shown");
        let found = ended.json();
        (found["value"].as_str().unwrap().to_owned(), found["from"].as_str().unwrap().to_owned())
    };
    let own = [("DRYDOCK_CONFIG", file)];
    let at = format!("context 'work' in {file}");
    let both = [("DRYDOCK_CONFIG", file), ("DRYDOCK_API_URL", "http://env:1")];
    for (line, environment, value, from) in [
        ("server", &[][..], "http://127.0.0.1:8080", "default"),
        ("server", &own[..], "https://work.example.org", at.as_str()),
        ("server", &both[..], "http://env:1", "environment DRYDOCK_API_URL"),
        ("server --server http://flag:1", &both[..], "http://flag:1", "flag --server"),
        ("context", &own[..], "work", &format!("file {file}")),
        ("context", &[][..], "default", "default"),
        ("context --context other", &own[..], "other", "flag --context"),
        ("config", &own[..], file, "environment DRYDOCK_CONFIG"),
        ("key", &own[..], "dd_0011223344556677_…", at.as_str()),
        ("key", &both[..], "none", "context 'work' is for another server, and so is its key"),
        ("key", &[][..], "none", "nowhere"),
        (
            "key",
            &[("DRYDOCK_API_KEY", KEY)][..],
            "dd_0011223344556677_…",
            "environment DRYDOCK_API_KEY or DRYDOCK_API_KEY_FILE",
        ),
        (&format!("key --token-file {token}"), &own[..], "dd_aa11223344556677_…", "flag --token-file"),
        ("output", &[][..], "ndjson", "flag --output"),
        ("colours", &[][..], "no", "the terminal, NO_COLOR and TERM"),
        ("bars --quiet", &[][..], "no", "flag --quiet"),
    ] {
        assert_eq!(explain(line, environment).await, (value.to_owned(), from.to_owned()), "{line} {environment:?}");
    }
    let all = Drydock::new(&["config", "explain"]).env("DRYDOCK_CONFIG", file).ok().await.text();
    assert_eq!(all.lines().count(), 8, "{all}");
    Drydock::new(&["config", "explain", "colour"]).end().await.exit(2).says("colours");
}
