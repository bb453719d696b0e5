use clap::{CommandFactory as _, Parser as _, error::ErrorKind};

use super::*;

const LEAVES: [&[&str]; 106] = [
    &["batch", "submit"],
    &["batch", "ls"],
    &["batch", "status"],
    &["batch", "wait"],
    &["batch", "results"],
    &["batch", "failures"],
    &["batch", "grep"],
    &["batch", "retry-failed"],
    &["batch", "set"],
    &["batch", "pause"],
    &["batch", "resume"],
    &["batch", "close"],
    &["batch", "cancel"],
    &["project", "create"],
    &["project", "import"],
    &["project", "ls"],
    &["project", "show"],
    &["project", "files"],
    &["project", "cat"],
    &["project", "diff"],
    &["project", "versions"],
    &["project", "set"],
    &["project", "rm"],
    &["project", "restore"],
    &["project", "fork"],
    &["project", "pull"],
    &["project", "push"],
    &["project", "put"],
    &["project", "rm-file"],
    &["diff"],
    &["versions"],
    &["restore"],
    &["fork"],
    &["pull"],
    &["push"],
    &["files"],
    &["submit"],
    &["logs"],
    &["wait"],
    &["job", "submit"],
    &["job", "show"],
    &["job", "ls"],
    &["job", "wait"],
    &["job", "cancel"],
    &["job", "retry"],
    &["job", "logs"],
    &["job", "grep"],
    &["job", "events"],
    &["schedule", "create"],
    &["schedule", "ls"],
    &["schedule", "show"],
    &["schedule", "pause"],
    &["schedule", "resume"],
    &["schedule", "rm"],
    &["session", "start"],
    &["session", "ls"],
    &["session", "show"],
    &["session", "stop"],
    &["workspace", "show"],
    &["workspace", "tokens"],
    &["workspace", "grant"],
    &["workspace", "revoke"],
    &["daemon"],
    &["webhook", "create"],
    &["webhook", "ls"],
    &["webhook", "status"],
    &["webhook", "set"],
    &["webhook", "rm"],
    &["webhook", "rotate"],
    &["webhook", "test"],
    &["webhook", "deliveries"],
    &["webhook", "redeliver"],
    &["login"],
    &["logout"],
    &["whoami"],
    &["context", "ls"],
    &["context", "use"],
    &["context", "show"],
    &["context", "rm"],
    &["key", "create"],
    &["key", "ls"],
    &["key", "revoke"],
    &["audit", "ls"],
    &["audit", "export"],
    &["audit", "verify"],
    &["user", "create"],
    &["user", "ls"],
    &["user", "set"],
    &["tenant", "create"],
    &["tenant", "ls"],
    &["tenant", "set"],
    &["usage"],
    &["admin", "bootstrap"],
    &["admin", "migrate"],
    &["admin", "gc"],
    &["admin", "retention"],
    &["workers", "ls"],
    &["workers", "drain"],
    &["workers", "undrain"],
    &["pools", "ls"],
    &["doctor"],
    &["config", "explain"],
    &["top"],
    &["completion"],
    &["man"],
    &["version"],
];

fn parse(line: &str) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(["drydock"].into_iter().chain(line.split(' ')))
}

#[test]
fn the_command_line_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn every_command_has_help_with_an_example() {
    for leaf in LEAVES {
        let line = ["drydock"].iter().chain(leaf).chain(&["--help"]);
        let help = Cli::try_parse_from(line).unwrap_err();
        assert_eq!(help.kind(), ErrorKind::DisplayHelp, "{leaf:?}");
        let text = help.to_string();
        let example = format!("drydock {}", leaf.join(" "));
        assert!(text.contains("Example") && text.contains(&example), "{text}");
    }
}

#[test]
fn every_command_is_in_the_list_above() {
    let mut found = 0;
    let root = Cli::command();
    for command in root.get_subcommands() {
        let leaves: Vec<_> = command.get_subcommands().map(|leaf| leaf.get_name()).collect();
        found += leaves.len().max(1);
        for name in leaves {
            assert!(LEAVES.contains(&[command.get_name(), name].as_slice()), "{} {name}", command.get_name());
        }
    }
    assert_eq!(found, LEAVES.len());
}

#[test]
#[expect(clippy::too_many_lines, reason = "two lists of lines")]
fn the_forms_in_use_parse() {
    for line in [
        "--json project create --wait 60s --instruction Print",
        "project create Print --agent dummy",
        "project create -i Print --wait",
        "project cat ID a/b --version 2",
        "project diff ID 1 2 --json",
        "job wait A B --timeout 5s -s http://h",
        "job submit P -i x --timeout 5s --wait",
        "job logs J -f",
        "admin migrate --stamp",
        "projects ls",
        "job retry J --wait 5m",
        "diff P 1 2 --stat --path src",
        "restore P 3 --if-newest 7",
        "fork P --version 0 -i Another --label a=b",
        "pull P dir --version 3 --force",
        "schedule create P --cron @daily --name n -- make",
        "schedules ls P",
        "login --context c --token-file -",
        "key create ci --role member --scope jobs:read --scope jobs:write --expires 90d",
        "keys list",
        "user create Ada --email ada@example.org --role member",
        "users list",
        "user set U --role owner --enable",
        "tenant create acme --key-name ada",
        "tenants ls",
        "tenant set T --weight 3 --disable --timeout 5s",
        "context list",
        "admin bootstrap --tenant t --name n --again",
        "batch submit jobs.ndjson --canary 3 --max-failure-rate 10% --label a=b --wait --timeout 1h",
        "batch submit - --batch B --open",
        "batch show B",
        "audit ls --action job. --since 2025-11-21T00:00:00Z",
        "audit verify - --after 3 --hash 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    ] {
        assert!(parse(line).is_ok(), "{line}");
    }
    for line in [
        "",
        "project create",
        "project create Print -i Print",
        "job wait",
        "job submit P",
        "admin migrate --check --stamp",
        "project import .",
        "schedule create P --name n -i x",
        "schedule create P --name n --cron @daily",
        "project create Print --wait soon",
        "diff P 1 2 --stat --name-only",
        "restore P",
        "pull P",
        "batch submit",
        "batch submit f --batch B --name n",
        "batch submit f --max-failure-rate 10",
        "batch submit f --check --wait",
        "job submit P -i x --api-key secret",
        "login dd_secret",
        "key create ci",
        "key create ci --role king",
        "key revoke",
        "user create Ada --role member",
        "user set U",
        "user set U --enable --disable",
        "tenant set T",
        "tenant set T --weight many",
    ] {
        assert_eq!(parse(line).unwrap_err().exit_code(), 2, "{line}");
    }
}

#[test]
fn the_forms_of_webhooks_parse() {
    for (line, passes) in [
        ("webhook create n https://h --event job.error --event job.cancelled --project P", true),
        ("webhooks list", true),
        ("webhook show W", true),
        ("webhook set W --resume", true),
        ("webhook redeliver W D --timeout 5s", true),
        ("webhook create n", false),
        ("webhook set W", false),
        ("webhook set W --pause --resume", false),
        ("webhook set W --event job.error --all-events", false),
        ("webhook redeliver W", false),
    ] {
        assert_eq!(parse(line).is_ok(), passes, "{line}");
    }
}

#[test]
fn the_forms_of_sessions_parse() {
    for (line, passes) in [
        ("session start P preview --read-only --idle-timeout 60 --timeout 5m", true),
        ("sessions ls P --ended --limit 3", true),
        ("session rm A B", true),
        ("session start P", false),
        ("session start P s --idle-timeout 0", false),
        ("session stop", false),
    ] {
        assert_eq!(parse(line).is_ok(), passes, "{line}");
    }
}

#[test]
fn the_forms_of_daemons_parse() {
    for (line, passes) in [
        ("daemon --project P --dir .", true),
        ("daemon -p P -d . --allow git --allow make --output-limit 1MiB --command-timeout 2m --insecure", true),
        ("-o ndjson daemon -p P -d . --daemon-token-file f --state-dir s --token-file k", true),
        ("daemon --project P", false),
        ("daemon --dir .", false),
        ("daemon -p P -d . --command-timeout 0s", false),
    ] {
        assert_eq!(parse(line).is_ok(), passes, "{line}");
    }
}

#[test]
fn the_nearest_timeout_counts() {
    let timeout = |line: &str| {
        let cli = parse(line).unwrap();
        cli.command.timeout().or(cli.timeout).map(|time| time.as_secs())
    };
    assert_eq!(timeout("--timeout 5s job wait J"), Some(5));
    assert_eq!(timeout("--timeout 5s job wait J --timeout 7s"), Some(7));
    assert_eq!(timeout("--timeout 5s job submit P -i x --timeout 7s"), Some(5), "that one is the job's");
    assert_eq!(timeout("job submit P -i x --timeout 7s"), None);
}
