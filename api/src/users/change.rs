//! `PATCH /users/{id}`: a user's name, role, and whether they count. What is not named stays.

use axum::{extract::State, http::HeaderMap, response::Response};
use drydock_database::{
    audit::Changes,
    user::{self, Changed, UserChange, UserRow},
};
use drydock_domain::Role;
use serde_json::Value;

use super::views::UserView;
use crate::{
    audit::changed,
    auth::Caller,
    error::ApiError,
    extract::{Expected, Ids, JsonBody, tagged},
    keys::ROLES,
    state::Shared,
    validate::{Fields, rules},
};

/// How often to look again at a user that others change meanwhile.
const TRIES: u8 = 5;

/// Body of a change, for the document.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "documents the body, which is validated by hand")]
pub(crate) struct UserChangeBody {
    /// 1 to 100 characters.
    name: Option<String>,
    /// `viewer`, `member`, `owner`, `operator` or `admin`; keys of the user have no more than it within seconds.
    role: Option<String>,
    /// The user's keys and tokens are refused within seconds.
    disabled: Option<bool>,
}

/// Change a user
///
/// Nobody gives rights beyond their own: neither by a role nor by enabling a user again that has more. One owner or admin of a tenant
/// stays.
#[utoipa::path(
    patch, path = "/api/v1/users/{id}", tag = "keys",
    params(
        ("id" = uuid::Uuid, Path),
        ("If-Match" = Option<String>, Header, description = "Only while this is its `ETag`"),
    ),
    request_body = UserChangeBody,
    responses(
        (status = 200, body = UserView),
        (status = 403, description = "It would give rights that the caller has not"),
        (status = 404),
        (status = 409, description = "It is the tenant's last owner"),
        (status = 412),
        (status = 422)
    )
)]
pub(crate) async fn change_user(
    State(app): State<Shared>,
    caller: Caller,
    ids: Ids,
    headers: HeaderMap,
    body: JsonBody,
) -> Result<Response, ApiError> {
    let (id, expected) = (ids.user()?, Expected::read(&headers));
    let change = read(body.value)?;
    let client = app.client(caller.tenant).await?;
    let find = async || user::find(&client, caller.tenant, id).await?.ok_or(ApiError::NO_USER);
    for _ in 0..TRIES {
        let row = find().await?;
        if !expected.accepts(row.revision) {
            return Err(stale(row.revision));
        }
        caller.may_give(given(&row, &change).scopes())?;
        // Of the row that was judged, and no other.
        match user::change(&client, caller.tenant, id, row.revision, &change).await? {
            Changed::Done => {
                app.forget_callers();
                let now = find().await?;
                let (revision, before, now) = (now.revision, UserView::from(row), UserView::from(now));
                let changes = Changes::between(&before, &now, &["name", "role", "disabled_at"]);
                return Ok(changed(tagged(revision, now), changes));
            }
            Changed::Stale => {}
            Changed::NoUser => return Err(ApiError::NO_USER),
            Changed::LastOwner => return Err(LAST_OWNER),
        }
    }
    Err(ApiError::Conflict("Others change this user at the same time: send it again".into()))
}

const LAST_OWNER: ApiError = ApiError::Conflict(std::borrow::Cow::Borrowed(
    "This is the last owner of the tenant: make another user an owner first",
));

fn read(body: Value) -> Result<UserChange, ApiError> {
    let mut fields = Fields::body(body)?;
    let change = UserChange {
        name: fields.optional("name", rules::title),
        role: fields.optional("role", rules::one_of(ROLES)),
        disabled: fields.optional("disabled", rules::boolean),
    };
    fields.finish(|| Some(change))
}

/// The role that the change gives: one that is new, or that of a user who counts again. Taking rights away gives nobody any.
fn given(row: &UserRow, change: &UserChange) -> Given {
    let counts_again = row.disabled_at.is_some() && change.disabled == Some(false);
    match change.role {
        Some(role) if role != row.role => Given(Some(role)),
        _ => Given(counts_again.then_some(row.role)),
    }
}

struct Given(Option<Role>);

impl Given {
    fn scopes(&self) -> drydock_domain::Scopes {
        self.0.map(Role::scopes).unwrap_or_default()
    }
}

fn stale(revision: i32) -> ApiError {
    ApiError::PreconditionFailed(format!("The user was changed: look at it, then send If-Match: \"{revision}\"").into())
}
