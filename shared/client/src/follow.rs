//! Following a stream to its end: what breaks is taken up again after the last event that came, on whichever replica answers.

use std::{ops::ControlFlow, time::Duration};

use drydock_runtime::Backoff;
use reqwest::header;
use tokio::time::{Instant, sleep};

use super::{
    Call, Client, ClientError,
    sse::{Event, Parser},
};

/// The server sends something at least every 15 s.
const SILENCE: Duration = Duration::from_secs(45);
/// A stream that stood for so long has sent heartbeats: it does not just open and break off.
const ALIVE: Duration = Duration::from_secs(20);
/// How long the server may be away, or send nothing new over streams that break off at once, before following is given up.
const PATIENCE: Duration = Duration::from_secs(120);

impl Client {
    /// Gives `take` every event of a stream until it breaks off or the stream says `end`, which is given too.
    ///
    /// # Errors
    /// The stream is refused, or the server stays away; or what `take` fails with.
    pub async fn follow<E: From<ClientError>>(
        &self,
        open: impl for<'c> Fn(&'c Self) -> Call<'c>,
        mut take: impl FnMut(&Event) -> Result<ControlFlow<()>, E>,
    ) -> Result<(), E> {
        let client = self.clone().with_patience(Duration::ZERO);
        let mut last = None;
        let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(2));
        let mut good = Instant::now();
        loop {
            let (before, opened) = (last.clone(), Instant::now());
            let mut heard = opened;
            let error = match client.follow_once(&open, &mut last, &mut heard, &mut take).await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(error)) => return Err(error),
                Err(error) => error,
            };
            if !error.is_transient() {
                return Err(error.into());
            }
            // A job may say nothing for long.
            if before != last || heard.duration_since(opened) >= ALIVE {
                good = heard;
                backoff.reset();
            } else if good.elapsed() > PATIENCE {
                return Err(error.into());
            }
            if backoff.tries() == 1 {
                (self.notice)(&format!("{error}; taking it up again"));
            }
            sleep(Duration::from_millis(50) + backoff.next_delay()).await;
        }
    }

    /// One connection. The outer error is the connection's, the inner one `take`'s.
    async fn follow_once<E>(
        &self,
        open: &impl for<'c> Fn(&'c Self) -> Call<'c>,
        last: &mut Option<String>,
        heard: &mut Instant,
        take: &mut impl FnMut(&Event) -> Result<ControlFlow<()>, E>,
    ) -> Result<Result<(), E>, ClientError> {
        let mut call = open(self).header(header::ACCEPT, "text/event-stream");
        if let Some(id) = last {
            call = call.header(header::HeaderName::from_static("last-event-id"), id);
        }
        let mut response = call.send().await?;
        let ended = || ClientError::Stream { server: self.server.clone() };
        let mut parser = Parser::default();
        while let Some(part) = self.chunk(&mut response, SILENCE).await? {
            *heard = Instant::now();
            for event in parser.feed(&part).map_err(|_| ended())? {
                match take(&event) {
                    Ok(ControlFlow::Continue(())) => {}
                    Ok(ControlFlow::Break(())) => return Ok(Ok(())),
                    Err(error) => return Ok(Err(error)),
                }
                if event.name == "end" {
                    return Ok(Ok(()));
                }
                if event.id.is_some() {
                    last.clone_from(&event.id);
                }
            }
        }
        Err(ended())
    }
}
