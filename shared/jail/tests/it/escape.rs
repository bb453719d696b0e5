//! Every attack at every level, and what has to come of it.

use std::{collections::BTreeSet, path::Path};

use drydock_domain::Isolation;
use drydock_jail::Network;
use drydock_jail::attack::{Expected, Report, attacks, suite};

/// Attacks on what the machine of these tests may lack, so that they fail there without a jail too.
const ABSENT: &[(&str, &str)] = &[
    ("trigger-sysrq", "the kernel has no such keys"),
    ("read-kernel-memory", "the kernel has no such file"),
    ("crypto-socket", "the kernel has no such sockets"),
    ("key-socket", "the kernel has no such sockets"),
    ("remote-memory-socket", "the kernel has no such sockets"),
    ("bluetooth-socket", "the kernel has no such sockets"),
    ("bus-socket", "the kernel has no such sockets"),
    ("cluster-socket", "the kernel has no such sockets"),
    ("kexec", "the kernel loads no other"),
    ("kexec-by-file", "the kernel loads no other"),
    ("load-module", "the kernel has no modules"),
    ("load-module-by-file", "the kernel has no modules"),
    ("unload-module", "the kernel has no modules"),
    ("reach-ports", "the kernel gives nobody ports"),
    ("reach-some-ports", "the kernel gives nobody ports"),
    ("x32-call", "the kernel has no x32"),
    ("open-memory", "the kernel has no such device"),
    ("open-kernel-memory", "the kernel has no such device"),
    ("open-ports", "the kernel has no such device"),
    ("open-disk", "root here may not open its disk"),
    ("set-event-helper", "the kernel calls no such program"),
];

pub(crate) fn run(level: Isolation) -> Report {
    suite::run(Path::new(env!("CARGO_BIN_EXE_drydock-jail")), level).unwrap()
}

pub(crate) fn run_with_ports(level: Isolation) -> Report {
    suite::run_with_ports(Path::new(env!("CARGO_BIN_EXE_drydock-jail")), level).unwrap()
}

fn check(report: &Report) {
    let level = report.level;
    println!("{level}: {} attacks in {:?}", report.cases.len(), report.took);
    let absent = |line: &String| {
        level == Isolation::None && ABSENT.iter().any(|(name, _)| line.starts_with(&format!("{name}: stopped ")))
    };
    let deviations: Vec<String> = report.deviations().into_iter().filter(|line| !absent(line)).collect();
    assert!(deviations.is_empty(), "{level}:\n{}", deviations.join("\n"));
}

#[test]
fn every_attack_ends_as_the_table_says_without_a_jail() {
    check(&run(Isolation::None));
}

#[test]
fn every_attack_ends_as_the_table_says_at_landlock_weak() {
    check(&run(Isolation::LandlockWeak));
}

#[test]
fn every_attack_ends_as_the_table_says_at_landlock() {
    check(&run(Isolation::Landlock));
}

#[test]
fn every_attack_ends_as_the_table_says_at_namespace() {
    check(&run(Isolation::Namespace));
}

#[test]
fn every_attack_ends_as_the_table_says_with_open_ports_at_landlock_weak() {
    check(&run_with_ports(Isolation::LandlockWeak));
}

#[test]
fn every_attack_ends_as_the_table_says_with_open_ports_at_landlock() {
    check(&run_with_ports(Isolation::Landlock));
}

#[test]
fn every_attack_ends_as_the_table_says_with_open_ports_at_namespace() {
    check(&run_with_ports(Isolation::Namespace));
}

/// What says that it makes a jail and runs the program without one.
const PRETENDER: &str = r#"#!/bin/sh
if [ "$1" = run ]; then
    while [ "$1" != -- ]; do shift; done
    shift 3
fi
exec HELPER "$@"
"#;

#[test]
fn a_jail_that_is_none_is_full_of_holes() {
    let directory = tempfile::tempdir().unwrap();
    let pretender = directory.path().join("drydock-jail");
    fs_err::write(&pretender, PRETENDER.replace("HELPER", env!("CARGO_BIN_EXE_drydock-jail"))).unwrap();
    fs_err::set_permissions(&pretender, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let holes = suite::run(&pretender, Isolation::Namespace).unwrap().holes();
    for attack in attacks().filter(|attack| attack.expected(Isolation::Namespace, &Network::Closed) == Expected::Denied)
    {
        let is_absent = ABSENT.iter().any(|(name, _)| *name == attack.name);
        let is_told = holes.iter().any(|hole| hole.starts_with(&format!("{}: not stopped: ", attack.name)));
        assert!(is_absent || is_told, "{} is not among {holes:#?}", attack.name);
    }
}

#[test]
fn every_attack_has_a_name_of_its_own_and_works_without_a_jail() {
    let mut names = BTreeSet::new();
    for attack in attacks() {
        let is_kebab = attack
            .name
            .split('-')
            .all(|word| !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit()));
        assert!(is_kebab && names.insert(attack.name), "{}", attack.name);
        assert!(matches!(attack.expected(Isolation::None, &Network::Closed), Expected::Allowed(_)), "{}", attack.name);
    }
    assert!(names.len() >= 120, "{}", names.len());
    assert!(ABSENT.iter().all(|(name, _)| names.contains(name)), "of {ABSENT:?} some is no attack");
}
