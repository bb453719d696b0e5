//! `GET /batches/{id}/events`: how a batch stands, each time that changes, until it is over. A frame says all there is to know, so
//! that nothing is lost by coming late or again.

use axum::{extract::State, http::HeaderMap, response::Response};
use drydock_domain::{BatchId, TenantId};

use super::{show::PACE, show::view, views::BatchView};
use crate::{
    auth::Caller,
    error::ApiError,
    extract::{Ids, Query},
    state::Shared,
    stream::{self, Closed, Format, Frame, Outlet, StreamLine},
};

/// Progress of a batch
#[utoipa::path(
    get, path = "/api/v1/batches/{id}/events", tag = "batches",
    params(("id" = uuid::Uuid, Path)),
    responses((status = 200, description = "`progress` with the whole batch, now and at each change, four times a second at most; then `end`. NDJSON by `Accept`", content((BatchView = "text/event-stream"), (StreamLine = "application/x-ndjson"))), (status = 404), (status = 422))
)]
pub(crate) async fn batch_events(
    State(app): State<Shared>,
    caller: Caller,
    ids: Ids,
    headers: HeaderMap,
    query: Query,
) -> Result<Response, ApiError> {
    let id = ids.batch()?;
    query.fields().finish(|| Some(()))?;
    view(&app, caller.tenant, id).await?;
    let source = app.clone();
    stream::open(&app, caller, Format::wanted(&headers), move |outlet| follow(source, caller.tenant, outlet, id))
}

async fn follow(app: Shared, tenant: TenantId, mut outlet: Outlet, id: BatchId) {
    let mut watch = app.feed.watch();
    let mut told = None;
    loop {
        let view = match view(&app, tenant, id).await {
            Ok(view) => view,
            // The client comes back, perhaps to a replica that can read.
            Err(error) => return tracing::warn!(batch = %id, "failed to read a batch's progress: {error:?}"),
        };
        let over = view.status.is_final();
        let data = serde_json::to_value(&view).unwrap_or_default();
        if told.as_ref() != Some(&data) && tell(&mut outlet, &data, over).await.is_err() || over {
            return;
        }
        told = Some(data);
        let news = async {
            tokio::join!(watch.news(None), tokio::time::sleep(PACE));
        };
        if outlet.wait(news).await.is_err() {
            return;
        }
    }
}

async fn tell(outlet: &mut Outlet, data: &serde_json::Value, over: bool) -> Result<(), Closed> {
    let id = data["updated_at"].as_str().unwrap_or_default().to_owned();
    outlet.send(&Frame::Event { id, name: "progress".to_owned(), data: data.clone() }).await?;
    if over { outlet.send(&Frame::End(data.clone())).await } else { Ok(()) }
}
