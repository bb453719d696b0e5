//! Agents with a broker: at each level that has walls, and without any, where the same works and nothing enforces it.

use std::{ffi::OsString, net::Ipv4Addr, sync::Arc};

use drydock_agent::{Agents, AgentsConfig, Ending};
use drydock_domain::Isolation;
use drydock_egress::{Egress, Names};
use drydock_testing::scripted_model::ScriptedModel;
use fs_err as fs;
use tokio::net::TcpListener;

use crate::agent_harness::{Ran, Scratch, config, jail_at};

const LEVELS: [Isolation; 3] = [Isolation::None, Isolation::Landlock, Isolation::Namespace];
const KEY: &str = "sk-real-key-of-the-worker-91b2";

/// A server's name that leads to loopback, and one that leads nowhere allowed.
fn egress() -> Egress {
    let list = [("allowed.example", Ipv4Addr::LOCALHOST), ("other.example", Ipv4Addr::LOCALHOST)];
    let list = list.map(|(name, address)| (name.to_owned(), vec![address.into()]));
    Egress::default().with_names(Names::List(list.into()))
}

fn scratch(level: Isolation) -> Scratch {
    let jail = (level != Isolation::None).then(|| jail_at(level));
    Scratch { jail, egress: egress(), ..Scratch::new() }
}

fn agents(script: &str, fields: &str) -> Agents {
    let text = format!("[[agent]]\nname = 'sh'\nargv = ['/bin/sh', '-c', {script:?}]\nprotocol = 'exit'\n{fields}\n");
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), text).unwrap();
    let value = |name: &str| (name == "MODEL_KEY").then(|| OsString::from(KEY));
    Agents::load_with(&AgentsConfig { file: Some(file.path().to_owned()), ..config() }, &value).unwrap()
}

async fn run(level: Isolation, script: &str, fields: &str) -> Ran {
    scratch(level).run(&agents(script, fields), "sh", None).await
}

fn domains(port: u16) -> String {
    format!("network = {{ domains = [{{ domain = 'allowed.example:{port}', private = true }}] }}")
}

/// Python's own HTTP client takes the proxy from the environment, as most do.
const GET: &str = "python3 - \"$1\" <<'END'\nimport sys, urllib.request\ntry:\n  print('got', urllib.request.urlopen(sys.argv[1], timeout=20).status)\n\
    except urllib.error.HTTPError as error: print('answered', error.code)\nexcept Exception as error: print('failed', type(error).__name__)\nEND";

#[tokio::test]
async fn an_agent_reaches_the_named_host_and_no_other() {
    let model = ScriptedModel::start(Vec::new()).await.unwrap();
    let port = model.address().port();
    for level in LEVELS {
        let script = format!(
            "get() {{ {GET}\n}}; get http://allowed.example:{port}/x; get http://other.example:{port}/x; get http://allowed.example:1/x"
        );
        let ran = run(level, &script, &domains(port)).await;
        assert_eq!(ran.exit.ending, Ending::Exited(0), "{level}: {:#?}", ran.text());
        let answered: Vec<_> = ran
            .text()
            .into_iter()
            .filter(|line| line.starts_with("got") || line.starts_with("answered") || line.starts_with("failed"))
            .collect();
        // The model knows no such path, and says so.
        assert_eq!(answered, ["answered 404", "answered 403", "answered 403"], "{level}: {:#?}", ran.text());
        let said = |start: &str| ran.text().iter().any(|line| line.starts_with(start));
        assert!(
            said(&format!("[egress] GET http://allowed.example:{port}/x: allowed, answered 404, ")),
            "{:#?}",
            ran.text()
        );
        assert!(said(&format!("[egress] GET http://other.example:{port}/x: refused, not among")), "{:#?}", ran.text());
    }
    assert_eq!(model.requests().len(), LEVELS.len());
}

/// What the walls are for: past the broker there is no way, to no port, and not by UDP.
#[tokio::test]
async fn past_its_broker_an_agent_reaches_nothing() {
    let listener = Arc::new(TcpListener::bind("127.0.0.1:0").await.unwrap());
    let port = listener.local_addr().unwrap().port();
    let script = format!(
        "python3 - <<'END'\nimport os, socket, urllib.parse\n\
         def attempt(name, what):\n  try: what(); print(name, 'worked')\n  except OSError as error: print(name, 'failed', error.errno)\n\
         own = urllib.parse.urlparse(os.environ['HTTPS_PROXY']).port\n\
         attempt('broker', lambda: socket.create_connection(('127.0.0.1', own), 5))\n\
         attempt('port', lambda: socket.create_connection(('127.0.0.1', {port}), 5))\n\
         attempt('udp', lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', {port})))\n\
         attempt('udp6', lambda: socket.socket(socket.AF_INET6, socket.SOCK_DGRAM).sendto(b'x', ('::1', {port})))\n\
         attempt('listen', lambda: socket.create_server(('127.0.0.1', 0)))\nEND"
    );
    for level in [Isolation::Landlock, Isolation::Namespace] {
        let ran = run(level, &script, &domains(port)).await;
        let tried: Vec<_> =
            ran.text().into_iter().filter(|line| line.contains(" worked") || line.contains(" failed")).collect();
        assert_eq!(tried.len(), 5, "{level}: {:#?}", ran.text());
        assert_eq!(tried[0], "broker worked", "{level}: {tried:?}");
        assert!(tried[1..].iter().all(|line| line.contains(" failed")), "{level}: {tried:?}");
    }
    // The control: without walls each of them works.
    let ran = run(Isolation::None, &script, &domains(port)).await;
    for name in ["broker", "port", "udp", "listen"] {
        assert!(ran.said(&format!("{name} worked")), "{:#?}", ran.text());
    }
}

#[tokio::test]
async fn a_secret_with_a_broker_is_in_no_environment_and_the_server_gets_it() {
    let model = ScriptedModel::start(Vec::new()).await.unwrap();
    let fields = format!(
        "secrets = 'broker'\n[[agent.endpoint]]\nsecret = 'MODEL_KEY'\nurl = '{}'\nvariable = 'MODEL_URL'\nheader = 'x-api-key'",
        model.base_url()
    );
    let script = "env; tr '\\0' '\\n' < /proc/self/environ; python3 - <<'END'\nimport os, urllib.request\n\
        request = urllib.request.Request(os.environ['MODEL_URL'] + '/x?q=1', headers={'x-api-key': os.environ['MODEL_KEY']})\n\
        try: urllib.request.urlopen(request, timeout=20)\nexcept urllib.error.HTTPError as error: print('answered', error.code)\nEND";
    for level in LEVELS {
        let ran = run(level, script, &fields).await;
        assert!(ran.said("answered 404") && ran.said("MODEL_KEY=present"), "{level}: {:#?}", ran.text());
        // Not even as what was taken out: what stood there was the placeholder, which is taken out as well.
        assert!(ran.said("MODEL_KEY=[REDACTED]"), "{level}: {:#?}", ran.text());
        assert!(!ran.text().iter().any(|line| line.contains(KEY) || line.contains("drydock-")), "{:#?}", ran.text());
        let asked = model.requests();
        let asked = asked.last().unwrap();
        assert_eq!((asked.path.as_str(), asked.header("x-api-key")), ("/v1/x?q=1", Some(KEY)), "{level}");
    }
}

/// The log shows it nowhere, whoever says it.
#[tokio::test]
async fn the_real_key_is_taken_out_of_what_a_server_echoes() {
    let fields = "secrets = 'broker'\n[[agent.endpoint]]\nsecret = 'MODEL_KEY'\nurl = 'http://127.0.0.1:1/'\nvariable = 'MODEL_URL'";
    let ran = run(Isolation::None, &format!("echo 'it said {KEY}'"), fields).await;
    assert!(ran.said("it said [REDACTED]"), "{:#?}", ran.text());
}
