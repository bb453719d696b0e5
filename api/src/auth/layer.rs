//! The one place where requests are let in.

use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, HeaderValue, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};

use super::{
    bearer::{self, Presented},
    caller::Caller,
    table::{Access, Rule, rule},
};
use crate::{
    error::ApiError,
    state::{App, Shared},
};

const MISSING_KEY: ApiError = ApiError::Unauthorized("Missing API key: send Authorization: Bearer dd_…");
/// Our slip, told as a refusal: nothing is let through by it.
const NO_RULE: ApiError = ApiError::Forbidden(std::borrow::Cow::Borrowed("No rule says who may use this route"));

/// Lets a request pass with its [`Caller`], or refuses it.
pub(crate) async fn authenticate(State(app): State<Shared>, mut request: Request, next: Next) -> Response {
    // Without a route there is nothing to guard: the answer is 404.
    let Some(route) = request.extensions().get::<MatchedPath>() else { return next.run(request).await };
    let access = match rule(request.method(), route.as_str()) {
        Rule::This(access) => access,
        // Answered here: no handler runs by a method that the table does not have.
        Rule::OtherMethods(methods) => return not_allowed(&methods),
        Rule::Missing => return NO_RULE.into_response(),
    };
    if access != Access::Public {
        match admit(&app, request.headers(), access).await {
            Ok(caller) => request.extensions_mut().insert(caller),
            Err(refused) => return refused.into_response(),
        };
    }
    next.run(request).await
}

/// What is presented is judged even where none is asked for: whoever sends one means it.
async fn admit(app: &App, headers: &HeaderMap, access: Access) -> Result<Caller, ApiError> {
    let caller = match bearer::read(headers, app.tokens.are_taken())? {
        Some(Presented::Token(token)) => app.tokens.verify(&token).await?,
        Some(Presented::Key(key)) => {
            let caller = app.keys.verify(&key).await?;
            app.gate.close();
            caller
        }
        None if app.gate.is_open().await? => Caller::ANYONE,
        None => return Err(MISSING_KEY),
    };
    if let Access::Needs(scopes) = access {
        caller.must_hold(scopes)?;
    }
    Ok(caller)
}

fn not_allowed(methods: &[&str]) -> Response {
    let mut response = ApiError::MethodNotAllowed.into_response();
    response.headers_mut().extend(HeaderValue::try_from(methods.join(",")).ok().map(|allow| (header::ALLOW, allow)));
    response
}
