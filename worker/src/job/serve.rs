//! Run, for a session: its server is started, told of once it takes connections, and held until it is to go. What comes after is as for
//! every job: its files go back, the attempt ends.

use std::{sync::OnceLock, time::Duration};

use drydock_agent::{self as agent, Over, Serve, Served, ServerSpec};
use drydock_database::{DatabaseError, session, wake::Channel};
use drydock_domain::{
    Outcome, Phase,
    agent::{AgentRequest, AgentResult},
};
use drydock_runtime::{Backoff, exit::chain};
use tokio::sync::mpsc;

use super::{
    Attempt,
    error::JobError,
    execute::{BACKLOG, Executed, pump, request},
};
use crate::running::Stop;

pub(super) async fn serve(attempt: &Attempt) -> Result<Executed, JobError> {
    let stage = attempt.enter(Phase::Running).await;
    let (request, start_s) = (request(attempt), attempt.claimed.elapsed().as_secs_f64());
    let client = attempt.context.database.client().await.map_err(JobError::Session)?;
    let plan = session::plan(&client, attempt.job).await.map_err(JobError::Session)?;
    drop(client);
    let server = plan.as_ref().and_then(|plan| attempt.context.agents.server(&plan.server));
    let (Some(plan), Some(server)) = (&plan, server) else {
        // The claim has checked the name; only a configuration that changed meanwhile leads here.
        let over = Over::NotStarted("The session's server is not configured on this worker.".to_owned());
        return Ok(ended(attempt, request, Served { over, last_words: None }, start_s, stage.leave(&attempt.context)));
    };
    let (sender, receiver) = mpsc::channel(BACKLOG);
    let (home, tmp) = (attempt.scratch.home(), attempt.scratch.temp());
    let permit = &attempt.registration.permit;
    let launch = Serve {
        spec: server,
        request: &request,
        attempt: attempt.id,
        workspace: attempt.scratch.workspace(),
        home: &home,
        tmp: &tmp,
        jail: attempt.context.jail.as_ref(),
        bind: attempt.context.config.agents.sessions.session_bind,
        idle: plan.idle_timeout_s.map(|seconds| Duration::from_secs(seconds.unsigned_abs().into())),
        release: permit.release.token(),
        cancel: permit.stop.token(),
        hold: permit.hold.clone(),
        output: sender,
    };
    let refused = OnceLock::new();
    let serving = agent::serve(launch, |port| ready(attempt, server, port, &refused));
    let (served, ()) = tokio::join!(serving, pump(attempt, receiver));
    if let Some(error) = refused.into_inner() {
        return Err(JobError::Ready(error));
    }
    let served = served.map_err(JobError::Agent)?;
    Ok(ended(attempt, request, served, start_s, stage.leave(&attempt.context)))
}

/// Tells where the session is reached, until the database has heard it. `false`: it is not wanted, not ours any more, or it was `refused`
/// by something that is no outage. Whoever asks looks meanwhile for all that ends it.
async fn ready(attempt: &Attempt, server: &ServerSpec, port: u16, refused: &OnceLock<DatabaseError>) -> bool {
    let context = &attempt.context;
    let host = context.config.agents.sessions.advertised_host.as_str();
    let reached = authority(host, port);
    let preview = server.is_preview().then(|| format!("http://{reached}/"));
    let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(2));
    loop {
        let told = async {
            session::ready(&context.database.client().await?, attempt.id, (host, port), preview.as_deref()).await
        };
        match told.await {
            Ok(wanted) => {
                context.waker.wake(Channel::Events);
                if wanted {
                    let line = format!("[worker] Session '{}' takes connections at {reached}", server.name());
                    attempt.log.line(line).await;
                }
                return wanted;
            }
            Err(error) if error.is_unavailable() => {
                tracing::warn!("failed to tell that the session is ready: {}", chain(&error));
            }
            Err(error) => {
                // It is told once.
                let _first = refused.set(error);
                return false;
            }
        }
        tokio::time::sleep(backoff.next_delay()).await;
    }
}

/// Host and port as they stand in a URL.
fn authority(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

fn ended(attempt: &Attempt, request: AgentRequest, served: Served, start_s: f64, seconds: f64) -> Executed {
    let permit = &attempt.registration.permit;
    let (outcome, detail) = match &served.over {
        Over::Released if permit.release.reason() == Some(Stop::Draining) => {
            (Outcome::Succeeded, "the worker stopped".to_owned())
        }
        Over::Released => (Outcome::Succeeded, "the session was released".to_owned()),
        Over::Idle(limit) => (Outcome::Succeeded, format!("nobody was connected for {} s", limit.as_secs())),
        Over::OverLimit(excess) => {
            attempt.context.metrics.was_over_limit(excess.resource);
            (Outcome::Failed, format!("the server was stopped for taking more than it may: {excess}"))
        }
        Over::Ended(ending) if ending.is_success() => (Outcome::Succeeded, format!("the server {ending}")),
        Over::Ended(ending) => (Outcome::Failed, format!("the server {ending}")),
        Over::NotStarted(reason) => (Outcome::Failed, reason.clone()),
        Over::Canceled if permit.stop.reason() == Some(Stop::Canceled) => {
            (Outcome::Canceled, "the session was cancelled".to_owned())
        }
        Over::Canceled => (Outcome::Interrupted, "the worker had to stop it".to_owned()),
    };
    let result = if outcome == Outcome::Failed {
        AgentResult::error(detail.clone(), vec![detail.clone()])
    } else {
        AgentResult::completed(detail.clone())
    };
    Executed {
        outcome,
        detail: Some(detail),
        request,
        result,
        last_message: served.last_words,
        // Of one that never took connections nobody wants to keep what it left half done.
        kept: !matches!(served.over, Over::NotStarted(_)),
        start_s,
        seconds,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_address_has_brackets() {
        assert_eq!(authority("::1", 80), "[::1]:80");
        assert_eq!(authority("worker-1", 80), "worker-1:80");
    }
}
