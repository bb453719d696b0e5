//! Every route, on one page. A route is registered together with its description, so the document cannot miss one.

use axum::{Router, middleware, response::IntoResponse as _};
use drydock_runtime::{admin::Readiness, config::ConfigError};
use prometheus::Registry;
use utoipa::{OpenApi as _, openapi::OpenApi};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    aliases, audit, auth, batches, error::ApiError, events, files, jobs, keys, limits, logs, middleware as own,
    openapi, operations::Operations, pools, projects, rate, schedules, sessions, state::Shared, tenants, usage, users,
    versions, webhooks, whoami, workers, workspaces,
};

/// The routes and what they say of themselves.
#[expect(clippy::too_many_lines, reason = "a line a route")]
pub(crate) fn routes() -> (Router<Shared>, OpenApi) {
    let router = OpenApiRouter::with_openapi(Operations::openapi())
        .routes(routes!(projects::create_project, projects::list_projects))
        .routes(routes!(projects::import_project))
        .routes(routes!(projects::show_project, projects::change_project, projects::delete_project))
        .routes(routes!(projects::fork_project))
        .routes(routes!(jobs::submit_job, jobs::list_project_jobs))
        .routes(routes!(jobs::list_jobs))
        .routes(routes!(jobs::show_job))
        .routes(routes!(jobs::cancel_job))
        .routes(routes!(jobs::retry_job))
        .routes(routes!(logs::read_log))
        .routes(routes!(logs::follow_log))
        .routes(routes!(logs::search_log))
        .routes(routes!(events::job_events))
        .routes(routes!(events::all_events))
        .routes(routes!(files::list_files, files::change_files))
        .routes(routes!(files::read_project_file, files::put_file, files::delete_file))
        .routes(routes!(files::archive))
        .routes(routes!(versions::list_versions))
        .routes(routes!(versions::diff_versions))
        .routes(routes!(versions::restore_version))
        .routes(routes!(batches::create_batch, batches::list_batches))
        .routes(routes!(batches::show_batch, batches::change_batch))
        .routes(routes!(batches::submit_lines))
        .routes(routes!(batches::batch_results))
        .routes(routes!(batches::batch_failures))
        .routes(routes!(batches::batch_events))
        .routes(routes!(batches::search_batch))
        .routes(routes!(batches::close_batch))
        .routes(routes!(batches::pause_batch))
        .routes(routes!(batches::resume_batch))
        .routes(routes!(batches::cancel_batch))
        .routes(routes!(batches::retry_failed))
        .routes(routes!(schedules::create_schedule, schedules::list_schedules))
        .routes(routes!(schedules::show_schedule, schedules::change_schedule, schedules::delete_schedule))
        .routes(routes!(sessions::start_session, sessions::list_sessions))
        .routes(routes!(sessions::show_session, sessions::end_session))
        .routes(routes!(audit::list_audit))
        .routes(routes!(audit::export_audit))
        .routes(routes!(webhooks::create_webhook, webhooks::list_webhooks))
        .routes(routes!(webhooks::show_webhook, webhooks::change_webhook, webhooks::delete_webhook))
        .routes(routes!(webhooks::rotate_secret))
        .routes(routes!(webhooks::test_webhook))
        .routes(routes!(webhooks::list_deliveries))
        .routes(routes!(webhooks::redeliver))
        .routes(routes!(usage::read_usage))
        .routes(routes!(usage::read_tenants_usage))
        .routes(routes!(pools::list_pools))
        .routes(routes!(workers::list_workers))
        .routes(routes!(workers::show_worker))
        .routes(routes!(workers::drain_worker, workers::undrain_worker))
        .routes(routes!(limits::limits))
        .routes(routes!(whoami::whoami))
        .routes(routes!(keys::create_key, keys::list_keys))
        .routes(routes!(keys::show_key, keys::revoke_key))
        .routes(routes!(users::create_user, users::list_users))
        .routes(routes!(users::show_user, users::change_user))
        .routes(routes!(tenants::create_tenant, tenants::list_tenants))
        .routes(routes!(tenants::show_tenant, tenants::change_tenant))
        .routes(routes!(workspaces::open_socket))
        .routes(routes!(workspaces::show_workspace))
        .routes(routes!(workspaces::create_token, workspaces::list_tokens))
        .routes(routes!(workspaces::revoke_token))
        .routes(routes!(workspaces::ai_action))
        .merge(aliases::routes())
        .merge(sessions::older_routes())
        .routes(routes!(openapi::openapi_json))
        .routes(routes!(openapi::docs));
    router.split_for_parts()
}

/// Sessions alone, under the names of older clients.
pub(crate) fn session_routes() -> Router<Shared> {
    sessions::root_routes().split_for_parts().0
}

/// The routes with all that surrounds them.
pub(crate) fn service(
    routes: Router<Shared>,
    app: &Shared,
    registry: &Registry,
    readiness: Readiness,
) -> Result<Router, ConfigError> {
    let operations = drydock_runtime::admin::router("api", registry.clone(), readiness, app.shutdown.clone());
    let router = routes
        .with_state(app.clone())
        .merge(operations)
        .fallback(async || ApiError::NO_ROUTE.into_response())
        .method_not_allowed_fallback(async || ApiError::MethodNotAllowed.into_response());
    let router = router
        .layer(middleware::from_fn(own::whole_heads))
        // Inside of authentication, which tells them who asks; what comes too often is not worth a record.
        .layer(middleware::from_fn_with_state(app.clone(), audit::record))
        .layer(middleware::from_fn(own::uncoded))
        .layer(middleware::from_fn_with_state(app.clone(), rate::limit))
        // Inside of CORS: a browser asks without a key whether it may ask with one.
        .layer(middleware::from_fn_with_state(app.clone(), auth::authenticate));
    let router = own::cors(router, &app.config.cors)?;
    let router = router.layer(middleware::from_fn(own::unambiguous));
    Ok(router.layer(middleware::from_fn_with_state(app.clone(), own::observe)))
}
