//! One connection from its first byte to its last.

use std::{convert::Infallible, net::IpAddr, pin::pin, sync::Arc, time::Duration};

use axum::{Router, body::Body, extract::Request};
use drydock_runtime::Shutdown;
use hyper::body::{Body as _, Incoming};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto::Builder,
    service::TowerToHyperService,
};
use tokio::{
    net::TcpStream,
    time::{Instant, sleep},
};
use tower::{ServiceExt as _, service_fn};

use super::{
    activity::{Activity, Wait, Watched},
    body::{Answered, Asked, Late},
    client::Client,
    door::Place,
};
use crate::{config::Networks, metrics::ApiMetrics, middleware::without_trailing_slash};

/// How long a client has to hear that an idle connection is to end.
const LINGER: Duration = Duration::from_secs(5);

/// How long a connection may take for what.
#[derive(Clone)]
pub(super) struct Limits {
    pub(super) head: Duration,
    pub(super) body: Duration,
    pub(super) idle: Duration,
    pub(super) proxies: Networks,
}

/// Whoever has connected.
pub(super) struct Guest {
    peer: IpAddr,
    place: Place,
    limits: Limits,
    metrics: ApiMetrics,
}

impl Guest {
    pub(super) fn new(peer: IpAddr, place: Place, limits: Limits, metrics: ApiMetrics) -> Self {
        Self { peer, place, limits, metrics }
    }

    /// Serves requests until one side has enough.
    pub(super) async fn serve(
        self,
        builder: Builder<TokioExecutor>,
        socket: TcpStream,
        router: Router,
        shutdown: Shutdown,
    ) {
        let Self { peer, place, limits, metrics } = self;
        let activity = Arc::new(Activity::new());
        let watched = Watched { socket, activity: Arc::clone(&activity), _place: place };
        let (body_limit, proxies, seen) = (limits.body, limits.proxies.clone(), Arc::clone(&activity));
        let service = service_fn(move |request: Request<Incoming>| {
            let running = seen.begin(request.version());
            let request = prepared(request, peer, &proxies, body_limit);
            let router = router.clone();
            async move {
                let Ok(response) = router.oneshot(without_trailing_slash(request)).await;
                Ok::<_, Infallible>(response.map(|body| Answered { body, _running: running }))
            }
        });
        let served = builder.serve_connection_with_upgrades(TokioIo::new(watched), TowerToHyperService::new(service));
        let mut served = pin!(served);
        let (mut stopping, mut closing) = (false, None);
        loop {
            let looked = look(&activity, &limits, closing);
            let nap = match looked {
                Look::Wait(nap) => nap,
                Look::Close => {
                    cut(&metrics, Wait::Next);
                    closing = Some(Instant::now());
                    served.as_mut().graceful_shutdown();
                    LINGER
                }
                Look::Cut(why) => return why.into_iter().for_each(|why| cut(&metrics, why)),
            };
            tokio::select! {
                // What has come counts before the clock.
                biased;
                ended = served.as_mut() => {
                    if let Err(error) = ended {
                        tracing::debug!(%peer, error, "a connection broke off");
                    }
                    return;
                }
                () = shutdown.triggered(), if !stopping => {
                    stopping = true;
                    served.as_mut().graceful_shutdown();
                }
                () = sleep(nap) => {}
            }
        }
    }
}

/// What becomes of a connection.
#[derive(Debug, PartialEq, Eq)]
enum Look {
    /// Look again after so long.
    Wait(Duration),
    /// It is told to end.
    Close,
    /// It is ended, for what it did not do in time; for no such thing where it was told before.
    Cut(Option<Wait>),
}

/// Limits hold to the length of a head's: a connection is looked at so often.
fn look(activity: &Activity, limits: &Limits, closing: Option<Instant>) -> Look {
    let Some((wait, waited)) = activity.waits() else { return Look::Wait(limits.head) };
    let left = |limit: Duration| limit.checked_sub(waited).filter(|left| !left.is_zero());
    match (wait, closing) {
        (_, Some(since)) if since.elapsed() >= LINGER => Look::Cut(None),
        (_, Some(_)) => Look::Wait(LINGER),
        (Wait::Head, None) => left(limits.head).map_or(Look::Cut(Some(Wait::Head)), Look::Wait),
        (Wait::Next, None) => left(limits.idle).map_or(Look::Close, |left| Look::Wait(left.min(limits.head))),
    }
}

fn cut(metrics: &ApiMetrics, why: Wait) {
    let why = match why {
        Wait::Head => "head",
        Wait::Next => "idle",
    };
    metrics.connections_cut.with_label_values(&[why]).inc();
}

/// The request as the routes take it: with who asks, and a body that is not waited for for ever.
fn prepared(request: Request<Incoming>, peer: IpAddr, proxies: &Networks, limit: Duration) -> Request {
    let client = Client::of(peer, request.headers(), proxies);
    let late = Late::default();
    let (mut parts, body) = request.into_parts();
    let body = if body.is_end_stream() { Body::empty() } else { Body::new(Asked::new(body, limit, late.clone())) };
    parts.extensions.insert(client);
    parts.extensions.insert(late);
    Request::from_parts(parts, body)
}
