//! What `/proc` tells of a process outside, and what it lets be changed.

use std::{
    fs::File,
    io::{self, Read as _, Write as _},
};

use super::super::{Attack, Canaries, Group, Target};

const LIST: &str = "`/proc` is the machine's, and programs need it: it lists processes, shows their command lines, on which Drydock \
                    puts no secret, and how many files they have open";

pub(super) static GROUP: Group = Group {
    title: "`/proc`",
    canaries: Canaries::Process,
    attacks: &[
        Attack::new("read-environment", "reads another process's environment", |on| said(on, "environ")).controlled(),
        Attack::new("read-command-line", "reads another process's command line", |on| said(on, "cmdline"))
            .controlled()
            .residual(LIST),
        Attack::new("read-status", "reads another process's status", |on| said(on, "status"))
            .controlled()
            .residual(LIST),
        Attack::new("list-processes", "finds another process in the list", |on| {
            let pid = on.process()?.pid.to_string();
            on.proc("")?;
            let found = std::fs::read_dir("/proc")?.flatten().any(|entry| entry.file_name() == *pid);
            if found { Ok(()) } else { Err(io::Error::from_raw_os_error(libc::ENOENT)) }
        })
        .controlled()
        .residual(LIST),
        Attack::new("read-map", "reads where another process's memory lies", |on| said(on, "maps")).controlled(),
        Attack::new("read-auxiliary-vector", "reads another process's auxiliary vector", |on| said(on, "auxv"))
            .controlled(),
        Attack::new("read-page-map", "opens another process's page map", |on| {
            File::open(on.proc("pagemap")?).map(drop)
        }),
        Attack::new("read-io-counters", "reads another process's counters of bytes", |on| said(on, "io")),
        Attack::new("read-stack", "reads another process's kernel stack", |on| said(on, "stack")),
        Attack::new("read-system-call", "reads which system call another process is in", |on| said(on, "syscall")),
        Attack::new("list-descriptors", "lists another process's open files", |on| {
            std::fs::read_dir(on.proc("fd")?).map(drop)
        })
        .controlled()
        .residual(LIST),
        Attack::new("reopen-descriptor", "opens another process's open file anew", |on| {
            let descriptor = on.process()?.descriptor;
            File::open(on.proc(&format!("fd/{descriptor}"))?).map(drop)
        })
        .controlled(),
        Attack::new("read-by-process-root", "reads through another process's root", |on| {
            let root = on.proc("root")?;
            File::open(root.join(on.around().join("held").strip_prefix("/").unwrap_or(&root))).map(drop)
        })
        .controlled(),
        Attack::new("read-by-process-directory", "reads through another process's working directory", |on| {
            let here = on.proc("cwd")?;
            std::fs::read_dir(here).map(drop)
        })
        .controlled(),
        Attack::new("read-root-link", "asks where another process's root is", |on| {
            std::fs::read_link(on.proc("root")?).map(drop)
        })
        .controlled(),
        Attack::new("read-program-link", "asks which program another process runs", |on| {
            std::fs::read_link(on.proc("exe")?).map(drop)
        })
        .controlled(),
        Attack::new("read-namespace-link", "asks in which namespaces another process is", |on| {
            std::fs::read_link(on.proc("ns/mnt")?).map(drop)
        })
        .controlled(),
        Attack::new("sacrifice-process", "makes another process the first to be killed for memory", |on| {
            put(on, "oom_score_adj", "1000")
        }),
        Attack::new("clear-references", "resets what the kernel knows of another process's memory", |on| {
            put(on, "clear_refs", "1")
        }),
        Attack::new("set-dump-filter", "changes what another process's core dump holds", |on| {
            put(on, "coredump_filter", "0")
        }),
    ],
};

fn said(on: &Target, name: &str) -> io::Result<()> {
    let mut buffer = [0; 64];
    match File::open(on.proc(name)?)?.read(&mut buffer)? {
        0 => Err(io::Error::from_raw_os_error(libc::ENODATA)),
        _ => Ok(()),
    }
}

fn put(on: &Target, name: &str, value: &str) -> io::Result<()> {
    File::options().write(true).open(on.proc(name)?)?.write_all(value.as_bytes())
}
