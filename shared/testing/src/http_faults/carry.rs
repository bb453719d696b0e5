//! One connection, request by request.

use std::{
    io,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncWriteExt as _, BufReader},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
};

use super::{HttpFault, Plan, lock, message::Head};

const SLOW_DOWN: &str = "<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>";
const NO_SUCH_KEY: &str = "<Error><Code>NoSuchKey</Code><Message>The specified key does not exist.</Message></Error>";

type Half = (BufReader<OwnedReadHalf>, OwnedWriteHalf);

pub(super) async fn carry(client: TcpStream, server: String, plan: Arc<Mutex<Plan>>) {
    if let Ok(server) = TcpStream::connect(server).await {
        // Whichever side ends it, both are dropped.
        let _ended = all(halves(client), halves(server), &plan).await;
    }
}

fn halves(stream: TcpStream) -> Half {
    let _hint = stream.set_nodelay(true);
    let (read, write) = stream.into_split();
    (BufReader::new(read), write)
}

async fn all(mut client: Half, mut server: Half, plan: &Mutex<Plan>) -> io::Result<()> {
    while let Some(request) = Head::read(&mut client.0).await? {
        let target = request.words().nth(1).unwrap_or_default().split('?').next().unwrap_or_default().to_owned();
        let fault = lock(plan).next(&target);
        let _until_answered = UnderWay(plan);
        if let Some((status, text)) = refusal(fault) {
            lock(plan).spoiled += 1;
            return refuse(&request, client, status, text).await;
        }
        server.1.write_all(&request.bytes()).await?;
        if request.header("expect").is_some() {
            let go_on = Head::read(&mut server.0).await?.ok_or(io::ErrorKind::UnexpectedEof)?;
            client.1.write_all(&go_on.bytes()).await?;
            if go_on.status() != 100 {
                return Ok(());
            }
        }
        server.1.write_all(&request.body(&mut client.0).await?).await?;
        let answer = Head::read(&mut server.0).await?.ok_or(io::ErrorKind::UnexpectedEof)?;
        let has_body = request.words().next() != Some("HEAD") && !matches!(answer.status(), 204 | 304);
        let body = if has_body { answer.body(&mut server.0).await? } else { Vec::new() };
        let Some(spoiled) = fault.and_then(|fault| spoil(fault, &request, &answer, &body)) else {
            client.1.write_all(&[answer.bytes(), body].concat()).await?;
            continue;
        };
        lock(plan).spoiled += 1;
        client.1.write_all(&spoiled).await?;
        if fault == Some(HttpFault::Reset) {
            return reset(client);
        }
    }
    Ok(())
}

/// A request that is not answered.
struct UnderWay<'p>(&'p Mutex<Plan>);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        lock(self.0).under_way -= 1;
    }
}

fn refusal(fault: Option<HttpFault>) -> Option<(&'static str, &'static str)> {
    match fault? {
        HttpFault::SlowDown => Some(("503 Slow Down", SLOW_DOWN)),
        HttpFault::NotFound => Some(("404 Not Found", NO_SUCH_KEY)),
        _ => None,
    }
}

/// Answers without asking the server, and ends the connection.
async fn refuse(request: &Head, mut client: Half, status: &str, text: &str) -> io::Result<()> {
    if request.header("expect").is_none() {
        request.body(&mut client.0).await?;
    }
    let text = if request.words().next() == Some("HEAD") { "" } else { text };
    let head = format!("HTTP/1.1 {status}\r\nContent-Type: application/xml\r\nConnection: close");
    let answer = format!("{head}\r\nContent-Length: {}\r\n\r\n{text}", text.len());
    client.1.write_all(answer.as_bytes()).await?;
    client.1.shutdown().await
}

/// The bytes of a spoiled answer, where this one can be spoiled so.
fn spoil(fault: HttpFault, request: &Head, answer: &Head, body: &[u8]) -> Option<Vec<u8>> {
    let with = |head: &Head, body: &[u8]| Some([head.bytes(), body.to_vec()].concat());
    let mut head = answer.clone();
    match fault {
        HttpFault::Reset if body.is_empty() => Some(Vec::new()),
        HttpFault::Reset => with(&head, &body[..body.len() / 2]),
        HttpFault::Short if !body.is_empty() => {
            head.set("Content-Length", &(body.len() / 2).to_string());
            with(&head, &body[..body.len() / 2])
        }
        HttpFault::Whole => {
            let start = request.header("range")?.strip_prefix("bytes=")?.split_once('-')?.0.parse().ok()?;
            let whole = [&vec![0; start], body, b"and more"].concat();
            head.lines[0] = "HTTP/1.1 200 OK".to_owned();
            head.remove("content-range");
            head.set("Content-Length", &whole.len().to_string());
            with(&head, &whole)
        }
        HttpFault::Damaged => {
            let mut body = body.to_vec();
            *body.last_mut()? ^= 1;
            with(&head, &body)
        }
        _ => None,
    }
}

/// Dropped without lingering, a socket tells its peer of a reset.
fn reset((read, write): Half) -> io::Result<()> {
    let stream = read.into_inner().reunite(write).map_err(io::Error::other)?;
    stream.set_zero_linger()
}
