//! `drydock-jail`: runs one program walled in. One thread, no runtime: it forks.

use std::{ffi::OsString, process::ExitCode};

const HELP: &str = "\
drydock-jail: runs one program walled in

Usage: drydock-jail run OPTIONS -- PROGRAM NAME [ARGUMENT]...

The worker starts it for every agent, command and session; by hand it shows what a program may do in there:

  drydock-jail run --level landlock --workspace /tmp/w --network closed -- /bin/sh sh -c 'id; ls /; cat /etc/shadow'

Options:
  --level LEVEL        landlock-weak, landlock or namespace
  --workspace DIR      the program's directory: it may do anything below it
  --write DIR          another one like that; may be repeated
  --read PATH          it may read and execute what is there; may be repeated
  --network HOW        closed, ports or open
  --connect PORT       after '--network ports': a TCP port it may connect to; may be repeated
  --listen PORT        after '--network ports': a TCP port it may listen on; may be repeated
  --open-files N       most files open in one process
  --processes N        most processes of this user (none of it counts for root, but in a namespace)
  --file-bytes N       most bytes of one file

Ends as the program does; with 125 if the jail could not be made, in which case nothing was run.
";

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    let command = args.next();
    match command.as_ref().and_then(|command| command.to_str()) {
        Some("run") => run(args),
        Some("probe") => drydock_jail::attack::inside(args),
        Some("--help" | "-h" | "help") => print(&mut std::io::stdout(), HELP, ExitCode::SUCCESS),
        Some("--version" | "-V") => {
            let (version, filter) = (env!("CARGO_PKG_VERSION"), drydock_jail::FILTER_VERSION);
            let says = format!("drydock-jail {version}, seccomp filter {filter}\n");
            print(&mut std::io::stdout(), &says, ExitCode::SUCCESS)
        }
        _ => print(&mut std::io::stderr(), HELP, ExitCode::from(2)),
    }
}

fn run(args: impl Iterator<Item = OsString>) -> ExitCode {
    match drydock_jail::Policy::from_args(args) {
        Ok((policy, program)) => drydock_jail::run(&policy, &program),
        Err(error) => {
            let says = format!("drydock-jail: {error}; see drydock-jail --help\n");
            print(&mut std::io::stderr(), &says, ExitCode::from(2))
        }
    }
}

fn print(out: &mut dyn std::io::Write, text: &str, code: ExitCode) -> ExitCode {
    // Whoever does not listen is told by the code alone.
    let _gone = out.write_all(text.as_bytes());
    code
}
