//! Servers of sessions: how their port is known, when they are over, and that nothing of them is left.

use std::{
    net::Ipv4Addr,
    time::{Duration, Instant},
};

use drydock_agent::{self as agent, AgentOutput, Agents, AgentsConfig, Ending, Over, Resource, Serve, Served};
use drydock_domain::AttemptId;
use fs_err as fs;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::mpsc,
};
use tokio_util::sync::CancellationToken;

use crate::agent_harness::{Scratch, config, lives};

/// Listens on the port that is its first argument, and answers each connection with the name of its folder.
const LISTEN: &str = "use IO::Socket::INET; $| = 1; \
    my $s = IO::Socket::INET->new(LocalAddr => q(127.0.0.1), LocalPort => shift // 0, Listen => 5, ReuseAddr => 1) or die $!;";
const ANSWER: &str = "while (my $c = $s->accept) { my $l = <$c>; print $c qq(hello $l); close $c }";

/// One server `s` with this table.
fn server(table: &str) -> Agents {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), format!("[session.s]\n{table}\n")).unwrap();
    Agents::load_with(&AgentsConfig { file: Some(file.path().to_owned()), ..config() }, &|_| None).unwrap()
}

/// The same of a Perl program.
fn perl(script: &str, arguments: &str, rest: &str) -> Agents {
    server(&format!("argv = ['perl', '-e', {script:?}, {arguments}]\n{rest}"))
}

/// What a session's server came to, and the files it was run on.
struct Ran {
    scratch: Scratch,
    served: Served,
    lines: Vec<String>,
}

/// A running server, as its test sees it.
struct Session {
    scratch: Scratch,
    release: CancellationToken,
    idle: Option<Duration>,
    /// Nobody ever hears that it is ready.
    telling: bool,
}

impl Session {
    fn new() -> Self {
        Self { scratch: Scratch::new(), release: CancellationToken::new(), idle: None, telling: false }
    }

    /// Runs the server; `during` is told the port once it is ready, and its end releases it.
    async fn run<F: Future<Output = ()>>(self, agents: &Agents, during: impl FnOnce(u16) -> F) -> Ran {
        let (sender, mut receiver) = mpsc::channel(64);
        let (tell, told) = tokio::sync::oneshot::channel();
        let spec = agents.server("s").unwrap_or_else(|| panic!("{:?}", agents.unavailable_servers()));
        let (workspace, root) = (self.scratch.workspace(), self.scratch.root().to_owned());
        let (home, tmp) = (root.join("home"), root.join("tmp"));
        let launch = Serve {
            spec,
            request: &self.scratch.request,
            attempt: AttemptId::generate(),
            workspace: &workspace,
            home: &home,
            tmp: &tmp,
            jail: self.scratch.jail.as_ref(),
            bind: Ipv4Addr::LOCALHOST.into(),
            idle: self.idle,
            release: self.release.clone(),
            cancel: self.scratch.cancel.clone(),
            hold: self.scratch.hold.clone(),
            output: sender,
        };
        let collect = async {
            let mut lines = Vec::new();
            while let Some(output) = receiver.recv().await {
                if let AgentOutput::Line(line) = output {
                    lines.push(String::from_utf8_lossy(&line).into_owned());
                }
            }
            lines
        };
        let acting = async {
            if let Ok(port) = told.await {
                during(port).await;
                self.release.cancel();
            }
            std::future::pending::<()>().await;
        };
        let telling = self.telling;
        let serving = agent::serve(launch, |port| async move {
            let told = tell.send(port).is_ok();
            if telling { std::future::pending().await } else { told }
        });
        let served = async {
            // The test's own part ends with the server.
            tokio::select! {
                served = async { tokio::join!(serving, collect) } => served,
                () = acting => unreachable!("it waits for the server"),
            }
        };
        let (served, lines) = served.await;
        let left: Vec<_> = fs::read_dir(&tmp).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert!(left.is_empty(), "the port file is left: {left:?}");
        Ran { served: served.unwrap(), lines, scratch: self.scratch }
    }
}

async fn ask(port: u16) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    stream.write_all(b"you\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

async fn is_refused(port: u16) {
    let refused = TcpStream::connect(("127.0.0.1", port)).await.unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
}

#[tokio::test]
async fn a_port_is_read_from_a_file_or_heard_or_given_and_nobody_listens_after_the_release() {
    let file =
        format!("{LISTEN} open F, q(>), $ENV{{F}} // $ARGV[0]; print F $s->sockport, qq(\\n); close F; {ANSWER}");
    let file = perl(&file.replace("shift // 0", "0"), "'{port_file}'", "port = 'file'");
    let printed =
        format!("{LISTEN} print qq(noise\\n), q(running on http://127.0.0.1:), $s->sockport, qq(/mcp\\n); {ANSWER}");
    let printed = perl(&printed, "'0'", "port = 'printed'\npattern = 'running on http://[^:]+:(\\d+)'");
    let given = perl(&format!("{LISTEN} {ANSWER}"), "'{port}'", "port = 'given'\nports = '21000-21999'");
    for agents in [file, printed, given] {
        let mut reached = 0;
        let ran = Session::new()
            .run(&agents, async |port| {
                assert_eq!(ask(port).await, "hello you\n");
                reached = port;
            })
            .await;
        assert_eq!(ran.served.over, Over::Released, "{:?}", ran.lines);
        is_refused(reached).await;
    }
}

/// Red when the start has no limit, and when what was started outlives it.
#[tokio::test]
async fn a_server_that_never_tells_its_port_is_killed_in_time_with_all_it_started() {
    let script = "sleep 300 & echo $! > \"$HOME/pid\"; echo $$ >> \"$HOME/pid\"; echo 'warming up'; wait";
    let agents =
        server(&format!("argv = ['sh', '-c', {script:?}, '{{port_file}}']\nport = 'file'\nstart_timeout = '1s'"));
    let begun = Instant::now();
    let ran = Session::new().run(&agents, async |_| panic!("it was never ready")).await;
    let reason = "Server process failed to report its port in time.".to_owned();
    assert_eq!((ran.served.over, ran.served.last_words.as_deref()), (Over::NotStarted(reason), Some("warming up")));
    assert!(
        begun.elapsed() >= Duration::from_secs(1) && begun.elapsed() < Duration::from_secs(5),
        "{:?}",
        begun.elapsed()
    );
    let pids = fs::read_to_string(ran.scratch.root().join("home/pid")).unwrap();
    assert_eq!(pids.lines().filter(|pid| lives(pid)).count(), 0, "{pids}");
}

#[tokio::test]
async fn a_server_that_ends_before_it_is_ready_says_how() {
    let agents = server("argv = ['sh', '-c', 'echo no such thing >&2; exit 3', '{port_file}']\nport = 'file'");
    let ran = Session::new().run(&agents, async |_| panic!("it was never ready")).await;
    let reason = "Server process exited with code 3 before it took connections.".to_owned();
    assert_eq!((ran.served.over, ran.served.last_words.as_deref()), (Over::NotStarted(reason), Some("no such thing")));
}

#[tokio::test]
async fn a_server_that_ends_by_itself_is_over() {
    // The first connection is the worker's own, which looks whether it is taken.
    let script = format!("{LISTEN} print q(port ), $s->sockport, qq(\\n); $s->accept; $s->accept; exit 7");
    let agents = perl(&script, "'0'", "port = 'printed'\npattern = 'port (\\d+)'");
    let ran = Session::new()
        .run(&agents, async |port| {
            let _connection = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            std::future::pending::<()>().await;
        })
        .await;
    assert_eq!(ran.served.over, Over::Ended(Ending::Exited(7)), "{:?}", ran.lines);
}

/// Red when connections are not looked at, and when time without any does not end it.
#[tokio::test]
async fn a_server_that_nobody_is_connected_to_ends_and_one_that_is_used_does_not() {
    let script =
        format!("{LISTEN} print q(port ), $s->sockport, qq(\\n); my @c; while (my $c = $s->accept) {{ push @c, $c }}");
    let agents = perl(&script, "'0'", "port = 'printed'\npattern = 'port (\\d+)'");
    let idle = Duration::from_secs(1);
    let session = Session { idle: Some(idle), ..Session::new() };
    let begun = Instant::now();
    let ran = session.run(&agents, async |port| {
        let connection = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        tokio::time::sleep(3 * idle).await;
        drop(connection);
        tokio::time::sleep(10 * idle).await;
    });
    let ran = ran.await;
    assert_eq!(ran.served.over, Over::Idle(idle), "{:?}", ran.lines);
    assert!(begun.elapsed() >= 4 * idle, "it was used for three seconds: {:?}", begun.elapsed());
}

/// Red when the parent hears SIGTERM with its children or before them.
#[tokio::test]
async fn children_end_before_their_parent() {
    let script = "echo() { printf '%s\\n' \"$1\" >> order; }; \
        (trap 'sleep 0.05; echo child; exit' TERM; while :; do sleep 0.01; done) & \
        trap 'echo parent; exit' TERM; \
        perl -e 'exec @ARGV' true; exec 3>&1; \
        perl -MIO::Socket::INET -e '$| = 1; my $s = IO::Socket::INET->new(LocalAddr => q(127.0.0.1), Listen => 5); \
          print q(port ), $s->sockport, qq(\\n); $SIG{TERM} = sub { open F, q(>>), q(order); print F qq(server\\n); close F; exit }; \
          while (1) { my $c = $s->accept; }' & \
        while :; do sleep 0.01; done";
    let agents = server(&format!("argv = ['sh', '-c', {script:?}]\nport = 'printed'\npattern = 'port (\\d+)'"));
    let begun = std::cell::Cell::new(Instant::now());
    let ran = Session::new().run(&agents, async |_| begun.set(Instant::now())).await;
    assert_eq!(ran.served.over, Over::Released, "{:?}", ran.lines);
    assert!(begun.get().elapsed() < Duration::from_secs(1), "took {:?}", begun.get().elapsed());
    let order = fs::read_to_string(ran.scratch.file("order")).unwrap();
    let mut order: Vec<&str> = order.lines().collect();
    assert_eq!(order.pop(), Some("parent"), "{order:?}");
    order.sort_unstable();
    assert_eq!(order, ["child", "server"]);
}

#[tokio::test]
async fn a_server_deaf_to_sigterm_and_its_daemon_are_killed_all_the_same() {
    let script = format!(
        "{LISTEN} $SIG{{TERM}} = q(IGNORE); if (!fork) {{ exec q(setsid sh -c 'trap \"\" TERM HUP; echo $$ > \"$HOME/pid\"; while :; do sleep 1; done') }} \
         print q(port ), $s->sockport, qq(\\n); {ANSWER}"
    );
    let agents = perl(&script, "'0'", "port = 'printed'\npattern = 'port (\\d+)'");
    let session = Session::new();
    let pid = session.scratch.root().join("home/pid");
    let ran = session
        .run(&agents, async |_| {
            while !pid.exists() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
    assert_eq!(ran.served.over, Over::Released, "{:?}", ran.lines);
    assert!(!lives(&fs::read_to_string(ran.scratch.root().join("home/pid")).unwrap()));
}

#[tokio::test]
async fn a_server_that_takes_more_than_it_may_is_killed_at_once() {
    let script = format!("{LISTEN} $SIG{{TERM}} = q(IGNORE); print q(port ), $s->sockport, qq(\\n); LIMIT; {ANSWER}");
    let fills = "print qq(line\\n) for 1 .. 1000; sleep 300";
    for (before, after) in [(fills, ""), ("", fills)] {
        let script = script.replace("LIMIT", before).replace("print $c", &format!("{after}; print $c"));
        let way = "port = 'printed'\npattern = 'port (\\d+)'\nlimits = { output_lines = 500 }";
        let agents = perl(&script, "'0'", way);
        let session = Session::new();
        let begun = Instant::now();
        let asks = async |port| {
            let mut asking = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.unwrap();
            // It is killed before it answers.
            drop(asking.write_all(b"x\n").await);
            std::future::pending().await
        };
        let ran = session.run(&agents, asks).await;
        let Over::OverLimit(excess) = &ran.served.over else { panic!("{:?}: {:?}", ran.served, ran.lines) };
        assert_eq!((excess.resource, excess.limit), (Resource::OutputLines, 500));
        assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    }
}

/// Red when a request that is over before the next look is not seen: nobody is ever connected when one is taken.
#[tokio::test]
async fn a_server_that_is_asked_shortly_now_and_then_is_used() {
    let script = format!("{LISTEN} print q(port ), $s->sockport, qq(\\n); {ANSWER}");
    let agents = perl(&script, "'0'", "port = 'printed'\npattern = 'port (\\d+)'");
    let idle = Duration::from_secs(1);
    let begun = Instant::now();
    let ran = Session { idle: Some(idle), ..Session::new() }.run(&agents, async |port| {
        for _ in 0..20 {
            tokio::time::sleep(idle / 5).await;
            assert_eq!(ask(port).await, "hello you\n");
        }
        std::future::pending::<()>().await;
    });
    let ran = ran.await;
    assert_eq!(ran.served.over, Over::Idle(idle), "{:?}", ran.lines);
    assert!(begun.elapsed() >= 5 * idle, "it was used for four seconds: {:?}", begun.elapsed());
}

/// Red when somebody else's port is taken for the server's.
#[tokio::test]
async fn a_port_that_somebody_else_listens_on_is_not_the_servers() {
    let other = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let script = format!("echo port {}; exec sleep 300", other.local_addr().unwrap().port());
    let table = "port = 'printed'\npattern = 'port (\\d+)'\nstart_timeout = '1s'";
    let agents = server(&format!("argv = ['sh', '-c', {script:?}]\n{table}"));
    let ran = Session::new().run(&agents, async |_| panic!("it listens on nothing")).await;
    let reason = "Server process failed to report its port in time.".to_owned();
    assert_eq!(ran.served.over, Over::NotStarted(reason), "{:?}", ran.lines);
}

/// Red when its end, a release or a cancel waits until it is told that the server is ready.
#[tokio::test]
async fn a_server_whose_readiness_cannot_be_told_ends_all_the_same() {
    let script = format!("{LISTEN} print q(port ), $s->sockport, qq(\\n); $s->accept; $s->accept; exit 7");
    let agents = perl(&script, "'0'", "port = 'printed'\npattern = 'port (\\d+)'");
    let ended = Session { telling: true, ..Session::new() }.run(&agents, async |port| {
        drop(TcpStream::connect(("127.0.0.1", port)).await.unwrap());
        std::future::pending::<()>().await;
    });
    assert_eq!(ended.await.served.over, Over::Ended(Ending::Exited(7)));
    let released = Session { telling: true, ..Session::new() }.run(&agents, async |_| {});
    assert_eq!(released.await.served.over, Over::Released);
    let session = Session { telling: true, ..Session::new() };
    let cancel = session.scratch.cancel.clone();
    let cancelled = session.run(&agents, async |_| {
        cancel.cancel();
        std::future::pending::<()>().await;
    });
    assert_eq!(cancelled.await.served.over, Over::Canceled);
}
