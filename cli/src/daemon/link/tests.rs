//! Against a server on loopback that does what each test says.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use drydock_client::Client;
use drydock_domain::{
    AttemptId, JobId, JobType, Outcome, ProjectId,
    daemon::{DaemonJob, FromDaemon, PROTOCOL, close},
};
use drydock_runtime::tasks;
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::{
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_tungstenite::{
    WebSocketStream, accept_async,
    tungstenite::{Message, protocol::CloseFrame},
};
use uuid::Uuid;

use super::*;
use crate::daemon::spool::Spool;

const PATIENCE: Duration = Duration::from_secs(20);

struct Fleet {
    listener: TcpListener,
}

struct Peer(WebSocketStream<TcpStream>);

impl Fleet {
    async fn new() -> Self {
        Self { listener: TcpListener::bind("127.0.0.1:0").await.unwrap() }
    }

    fn address(&self) -> Address {
        let client = Client::new(&format!("http://{}", self.listener.local_addr().unwrap()), None).unwrap();
        Address::new(&client, ProjectId::generate(), "token".into(), false).unwrap()
    }

    /// The next connection, welcomed; and the hello.
    async fn welcome(&self) -> (Peer, FromDaemon) {
        let (stream, _) = timeout(PATIENCE, self.listener.accept()).await.unwrap().unwrap();
        let mut peer = Peer(accept_async(stream).await.unwrap());
        let hello = peer.hears().await;
        peer.says(ToDaemon::Welcome { connection: Uuid::now_v7(), head: 3 }).await;
        (peer, hello)
    }
}

impl Peer {
    async fn hears(&mut self) -> FromDaemon {
        loop {
            match timeout(PATIENCE, self.0.next()).await.unwrap().unwrap().unwrap() {
                Message::Text(text) => return serde_json::from_str(&text).unwrap(),
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    async fn says(&mut self, frame: ToDaemon) {
        self.0.send(Message::text(serde_json::to_string(&frame).unwrap())).await.unwrap();
    }

    async fn closes(mut self, code: u16) {
        let frame = CloseFrame { code: code.into(), reason: "so it is".into() };
        self.0.close(Some(frame)).await.unwrap();
        // Until the other side has heard it.
        while let Some(Ok(_)) = self.0.next().await {}
    }
}

/// What was heard, kept.
#[derive(Default)]
struct Ears {
    spool: Option<Arc<Spool>>,
    heard: Mutex<Vec<ToDaemon>>,
}

impl Speaker for Ears {
    fn hello(&self) -> FromDaemon {
        let running = self.spool.as_ref().map(|spool| spool.in_hand()).unwrap_or_default();
        let instance = Uuid::nil();
        FromDaemon::Hello { protocol: PROTOCOL, instance, build: "b".to_owned(), agents: Vec::new(), running }
    }

    fn heartbeat(&self) -> FromDaemon {
        FromDaemon::Heartbeat { syncing: true, phases: Vec::new() }
    }

    fn hears(&self, said: ToDaemon) {
        self.heard.lock().unwrap().push(said);
    }
}

fn job() -> DaemonJob {
    DaemonJob {
        attempt: AttemptId::generate(),
        job: JobId::generate(),
        project: ProjectId::generate(),
        number: 1,
        job_type: JobType::Edit,
        instruction: "do".to_owned(),
        argv: None,
        agent: "dummy".to_owned(),
        labels: BTreeMap::new(),
        timeout_s: None,
        silence_timeout_s: None,
        read_only: false,
    }
}

/// A daemon's side with nothing in hand but what the spool has.
struct Side {
    stop: Stop,
    ended: tokio::task::JoinHandle<Ending>,
}

impl Side {
    fn begin(fleet: &Fleet, spool: Arc<Spool>, rhythm: Rhythm) -> Self {
        let (address, stop) = (fleet.address(), Stop::default());
        let told = stop.clone();
        let ended = tasks::spawn("daemon", async move {
            let events = Events::new(Arc::default());
            let ears = Ears { spool: Some(Arc::clone(&spool)), ..Ears::default() };
            Link { address, speaker: &ears, spool: &spool, events: &events, rhythm, stop: told }.run().await
        });
        Self { stop, ended }
    }

    async fn ending(self) -> Ending {
        timeout(PATIENCE, self.ended).await.unwrap().unwrap()
    }
}

fn spool() -> (tempfile::TempDir, Arc<Spool>) {
    let dir = tempfile::tempdir().unwrap();
    let spool = Arc::new(Spool::open(dir.path().to_owned()).unwrap());
    (dir, spool)
}

fn slow() -> Rhythm {
    Rhythm::default()
}

#[tokio::test]
async fn a_daemon_that_lost_its_connection_is_back_at_once() {
    let (fleet, (_dir, spool)) = (Fleet::new().await, spool());
    let side = Side::begin(&fleet, spool, slow());
    let (peer, hello) = fleet.welcome().await;
    assert!(matches!(hello, FromDaemon::Hello { protocol: PROTOCOL, .. }));
    let lost = Instant::now();
    // As a killed server leaves it: no close, no goodbye.
    drop(peer);
    let (peer, _) = fleet.welcome().await;
    let took = lost.elapsed();
    assert!(took < Duration::from_millis(100), "{took:?}");
    let lost = Instant::now();
    peer.closes(1012).await;
    let _again = fleet.welcome().await;
    assert!(lost.elapsed() < Duration::from_millis(100), "{:?}", lost.elapsed());
    side.stop.now.cancel();
    assert_eq!(side.ending().await, Ending::Stopped);
}

#[tokio::test]
async fn a_server_that_stays_away_is_asked_more_and_more_rarely() {
    let fleet = Fleet::new().await;
    let (_dir, spool) = spool();
    let side = Side::begin(&fleet, spool, slow());
    let (peer, _) = fleet.welcome().await;
    drop(peer);
    let mut tries = Vec::new();
    // Whoever connects is not welcomed: a try that failed.
    for _ in 0..3 {
        let (stream, _) = timeout(PATIENCE, fleet.listener.accept()).await.unwrap().unwrap();
        tries.push(Instant::now());
        drop(stream);
    }
    let (first, second) = (tries[1] - tries[0], tries[2] - tries[1]);
    assert!(first >= Duration::from_millis(450) && first < Duration::from_secs(4), "{first:?}");
    assert!(second >= Duration::from_millis(950) && second < Duration::from_secs(6), "{second:?}");
    side.stop.now.cancel();
    assert_eq!(side.ending().await, Ending::Stopped);
}

#[tokio::test]
async fn both_sides_say_that_they_are_there_and_who_is_silent_is_gone() {
    let (fleet, (_dir, spool)) = (Fleet::new().await, spool());
    let rhythm = Rhythm { heartbeat: Duration::from_millis(100), silence: Duration::from_millis(1500) };
    let side = Side::begin(&fleet, spool, rhythm);
    let (mut peer, _) = fleet.welcome().await;
    for _ in 0..20 {
        assert!(matches!(peer.hears().await, FromDaemon::Heartbeat { syncing: true, .. }));
        peer.says(ToDaemon::Heartbeat { head: 4 }).await;
    }
    // Silent from here on, with the connection open.
    let began = Instant::now();
    let _again = fleet.welcome().await;
    assert!(began.elapsed() >= Duration::from_millis(1300), "{:?}", began.elapsed());
    drop(peer);
    side.stop.now.cancel();
    assert_eq!(side.ending().await, Ending::Stopped);
}

#[tokio::test]
async fn some_closes_are_final() {
    for (code, expected) in [
        (close::REVOKED, Final::Revoked("so it is".to_owned())),
        (close::REPLACED, Final::Replaced("so it is".to_owned())),
        (close::NO_PROJECT, Final::NoProject("so it is".to_owned())),
        (close::ISOLATION, Final::Isolation("so it is".to_owned())),
        (close::PROTOCOL, Final::Protocol("so it is".to_owned())),
    ] {
        let (fleet, (_dir, spool)) = (Fleet::new().await, spool());
        let side = Side::begin(&fleet, spool, slow());
        let (peer, _) = fleet.welcome().await;
        peer.closes(code).await;
        assert_eq!(side.ending().await, Ending::Final(expected));
    }
}

#[tokio::test]
async fn what_was_not_acknowledged_comes_again_after_a_restart_and_nothing_else() {
    let (fleet, (dir, first)) = (Fleet::new().await, spool());
    let job = job();
    let id = job.attempt;
    first.begin(&job).unwrap();
    for text in ["one\n", "two\n", "three\n"] {
        first.log(id, text).unwrap();
    }
    first.result(id, job.job, Outcome::Succeeded, Some(4), serde_json::json!({})).unwrap();
    let side = Side::begin(&fleet, Arc::clone(&first), slow());
    let (mut peer, hello) = fleet.welcome().await;
    assert!(matches!(hello, FromDaemon::Hello { running, .. } if running == [id]));
    for expected in 0..3 {
        assert!(matches!(peer.hears().await, FromDaemon::Log { seq, .. } if seq == expected));
    }
    peer.says(ToDaemon::Logged { attempt: id, seq: 0 }).await;
    peer.says(ToDaemon::Logged { attempt: id, seq: 1 }).await;
    timeout(PATIENCE, async {
        while first.next(&Default::default(), 9).len() > 1 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .unwrap();
    // The daemon is killed, and starts again on what is on disk.
    side.ended.abort();
    drop((peer, first));
    let second = Arc::new(Spool::open(dir.path().to_owned()).unwrap());
    let side = Side::begin(&fleet, Arc::clone(&second), slow());
    let (mut peer, _) = fleet.welcome().await;
    let FromDaemon::Log { seq, offset, text, .. } = peer.hears().await else { panic!("a log") };
    assert_eq!((seq, offset, text.as_str()), (2, 8, "three\n"));
    peer.says(ToDaemon::Logged { attempt: id, seq: 2 }).await;
    assert!(matches!(peer.hears().await, FromDaemon::Result { version: Some(4), .. }), "once its log is known");
    // An answer that is lost with the connection: told once more.
    drop(peer);
    let (mut peer, _) = fleet.welcome().await;
    assert!(matches!(peer.hears().await, FromDaemon::Result { .. }));
    peer.says(ToDaemon::Done { attempt: id }).await;
    side.stop.soon.cancel();
    assert!(matches!(peer.hears().await, FromDaemon::Bye), "nothing but a goodbye");
    assert_eq!(side.ending().await, Ending::Stopped);
    assert!(second.in_hand().is_empty());
}

#[tokio::test]
async fn who_has_something_to_tell_does_not_say_goodbye() {
    let (fleet, (_dir, spool)) = (Fleet::new().await, spool());
    let job = job();
    spool.begin(&job).unwrap();
    let rhythm = Rhythm { heartbeat: Duration::from_millis(50), ..slow() };
    let side = Side::begin(&fleet, Arc::clone(&spool), rhythm);
    let (mut peer, _) = fleet.welcome().await;
    assert!(matches!(peer.hears().await, FromDaemon::Heartbeat { .. }));
    side.stop.soon.cancel();
    side.stop.now.cancel();
    let last = loop {
        match timeout(PATIENCE, peer.0.next()).await.unwrap() {
            Some(Ok(Message::Text(text))) if text.contains("heartbeat") => {}
            other => break other,
        }
    };
    assert!(matches!(last, Some(Ok(Message::Close(_)))), "{last:?}");
    assert_eq!(side.ending().await, Ending::Stopped);
}
