//! The one place where requests are let in.

use axum::{
    extract::FromRequestParts as _,
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, HeaderValue, header, request::Parts},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use drydock_domain::{
    ApiKey, ProjectId,
    daemon::{TOKEN_HEADER, WORKSPACE_HEADER},
};

use super::{
    bearer::{self, Presented},
    caller::{Actor, Caller},
    pages,
    table::{Access, Rule, is_a_daemons, rule},
};
use crate::{
    error::ApiError,
    extract::Ids,
    serve::Client,
    state::{App, Shared},
};

const MISSING_KEY: ApiError = ApiError::Unauthorized("Missing API key: send Authorization: Bearer dd_…");
const NOT_A_KEY: ApiError = ApiError::Forbidden(std::borrow::Cow::Borrowed(
    "This is a daemon's token: it opens the files and the socket of its workspace, and nothing else",
));
const BAD_TOKEN: &str =
    "Unknown workspace or token: send x-workspace-id, and x-daemon-token as POST /workspaces/{id}/tokens gave it";
/// Our slip, told as a refusal: nothing is let through by it.
const NO_RULE: ApiError = ApiError::Forbidden(std::borrow::Cow::Borrowed("No rule says who may use this route"));

/// Lets a request pass with its [`Caller`], or refuses it.
pub(crate) async fn authenticate(State(app): State<Shared>, request: Request, next: Next) -> Response {
    // Without a route there is nothing to guard: the answer is 404.
    let Some(route) = request.extensions().get::<MatchedPath>() else { return next.run(request).await };
    let route = route.clone();
    let access = match rule(request.method(), route.as_str()) {
        Rule::This(access) => access,
        // Answered here: no handler runs by a method that the table does not have.
        Rule::OtherMethods(methods) => return not_allowed(&methods),
        Rule::Missing => return NO_RULE.into_response(),
    };
    if access == Access::Public {
        return next.run(request).await;
    }
    let (mut parts, body) = request.into_parts();
    let client = parts.extensions.get::<Client>().copied();
    let admitted = match access {
        Access::Daemon => daemon(&app, &parts.headers, client).await,
        access => admit(&app, &mut parts, route.as_str(), access).await,
    };
    let mut response = match admitted {
        Ok(caller) => {
            parts.extensions.insert(caller);
            next.run(Request::from_parts(parts, body)).await
        }
        Err(refused) => struck(&app, client, refused).into_response(),
    };
    // Whatever a cache makes of it, it is nobody else's.
    response.headers_mut().append(header::VARY, HeaderValue::from_static("authorization"));
    response
}

/// A refusal of what is nobody's, as the client's next one of many: how it is told after too many of them says nothing of keys.
fn struck(app: &App, client: Option<Client>, refused: ApiError) -> ApiError {
    let (ApiError::Stranger(_), Some(client), Some(strikes)) = (&refused, client, &app.strikes) else { return refused };
    let Err(limited) = strikes.count(client.ip) else { return refused };
    app.metrics.bad_keys_limited.inc();
    limited
}

/// Whether the client has presented too many keys that are nobody's.
fn is_suspect(app: &App, client: Option<Client>) -> bool {
    client.zip(app.strikes.as_ref()).is_some_and(|(client, strikes)| strikes.are_many(client.ip))
}

/// What is presented is judged even where none is asked for: whoever sends one means it.
async fn admit(app: &App, parts: &mut Parts, route: &str, access: Access) -> Result<Caller, ApiError> {
    let client = parts.extensions.get::<Client>().copied();
    let caller = match bearer::read(&parts.headers, app.tokens.are_taken())? {
        Some(Presented::Token(token)) => app.tokens.verify(&token).await?,
        Some(Presented::Key(key)) => {
            let caller = app.keys.verify(&key, || is_suspect(app, client)).await?;
            match caller.actor {
                Actor::Daemon { project, .. } => of_its_project(parts, route, project).await?,
                _ => app.gate.close(),
            }
            caller
        }
        None if app.gate.is_open().await? => {
            pages::not_of_a_page(&app.config, parts)?;
            Caller::ANYONE
        }
        None => return Err(MISSING_KEY),
    };
    if let Access::Needs(scopes) = access {
        caller.must_hold(scopes)?;
    }
    Ok(caller)
}

/// Refuses what a daemon's token is not for.
async fn of_its_project(parts: &mut Parts, route: &str, project: ProjectId) -> Result<(), ApiError> {
    let Ok(ids) = Ids::from_request_parts(parts, &()).await;
    if !is_a_daemons(&parts.method, route) {
        return Err(NOT_A_KEY);
    }
    // As for anybody else's project.
    if ids.project()? == project { Ok(()) } else { Err(ApiError::NO_PROJECT) }
}

/// The daemon that holds the workspace which the request names. What is wrong is told in one way, so that nothing can be learned of
/// workspaces from outside; and nobody gets in without a token, whether or not keys exist.
async fn daemon(app: &App, headers: &HeaderMap, client: Option<Client>) -> Result<Caller, ApiError> {
    pages::allowed_origin(&app.config, headers)?;
    let only = |name| {
        let mut given = headers.get_all(name).iter();
        given.next().filter(|_| given.next().is_none()).and_then(|value| value.to_str().ok())
    };
    let workspace: Option<ProjectId> = only(WORKSPACE_HEADER).and_then(|id| id.parse().ok());
    let token: Option<ApiKey> = only(TOKEN_HEADER).and_then(|text| text.parse().ok());
    let (Some(workspace), Some(token)) = (workspace, token) else { return Err(ApiError::Stranger(BAD_TOKEN)) };
    let caller = app.keys.verify(&token, || is_suspect(app, client)).await.map_err(|error| match error {
        ApiError::Unauthorized(_) => ApiError::Unauthorized(BAD_TOKEN),
        ApiError::Stranger(_) => ApiError::Stranger(BAD_TOKEN),
        other => other,
    })?;
    match caller.actor {
        Actor::Daemon { project, .. } if project == workspace => Ok(caller),
        _ => Err(ApiError::Stranger(BAD_TOKEN)),
    }
}

fn not_allowed(methods: &[&str]) -> Response {
    let mut response = ApiError::MethodNotAllowed.into_response();
    response.headers_mut().extend(HeaderValue::try_from(methods.join(",")).ok().map(|allow| (header::ALLOW, allow)));
    response
}
