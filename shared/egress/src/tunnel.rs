//! `CONNECT`: bytes of the agent and of the other side, whatever they are.

use std::sync::Arc;

use hyper::{Request, body::Incoming};
use hyper_util::rt::TokioIo;
use tokio::io::copy_bidirectional;

use crate::{domain::Asked, refusal::Refusal, upstream, visit::Visit};

/// Connects; what the agent sends after the answer goes through.
pub(crate) async fn open(
    visit: &Arc<Visit>,
    asked: &Asked,
    request: Request<Incoming>,
    target: &str,
) -> Result<(), Refusal> {
    let way = &visit.way;
    let mut stream = upstream::to_domain(way, asked).await?;
    way.audit.begin();
    let (visit, target) = (visit.clone(), target.to_owned());
    let carrying = async move {
        let here = &visit.way;
        let traffic = stream.traffic();
        let carry = async {
            // One that is not taken up has carried nothing, and one that breaks off is over.
            if let Ok(agent) = hyper::upgrade::on(request).await {
                let _broken = copy_bidirectional(&mut TokioIo::new(agent), &mut stream).await;
            }
        };
        tokio::select! {
            () = carry => {}
            () = traffic.is_idle_for(here.egress.bounds.idle) => {}
            () = here.over.cancelled() => {}
        }
        here.audit.end(&target, None, &traffic).await;
    };
    way.spawn("egress-tunnel", carrying);
    Ok(())
}
