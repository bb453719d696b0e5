//! What a new project may say, whether in a body or in the query string of an import.

use drydock_database::project::NewProject;
use drydock_domain::{Instruction, Isolation, ProjectId, TenantId};
use serde_json::{Value, json};

use crate::{
    agents::Offer,
    error::ApiError,
    jobs::{DEFAULT_ISOLATION, ISOLATIONS},
    state::App,
    validate::{Fields, rules},
};

/// A project as asked for.
#[derive(Debug)]
pub(super) struct ProjectRequest {
    pub(super) instruction: Instruction,
    agent: Option<String>,
    pool: Option<String>,
    labels: Value,
    min_isolation: Isolation,
}

impl ProjectRequest {
    /// Takes the fields. `offer` is what is known of the agent named or, where none is, of the default.
    pub(super) fn take(
        fields: &mut Fields,
        offer: &Offer,
        default_agent: &str,
        labels: impl FnOnce(&mut Fields) -> Option<Value>,
    ) -> Option<Self> {
        let instruction = fields.required("instruction", rules::instruction(Instruction::for_project));
        let mut named = false;
        let agent = fields.optional("agent", |value| {
            named = true;
            let name = rules::name(value)?;
            offer.fault(&name).map_or(Ok(name), Err)
        });
        if let Some(fault) = offer.fault_of_default(default_agent).filter(|_| !named) {
            fields.refuse("agent", fault);
        }
        let pool = fields.optional("pool", rules::name);
        let labels = labels(fields);
        let min_isolation = fields.optional("min_isolation", rules::one_of(ISOLATIONS));
        Some(Self {
            instruction: instruction?,
            agent,
            pool,
            labels: labels.unwrap_or_else(|| json!({})),
            min_isolation: min_isolation.unwrap_or(DEFAULT_ISOLATION),
        })
    }

    /// The row to write.
    pub(super) fn into_new(self, app: &App, tenant: TenantId) -> NewProject {
        NewProject {
            id: ProjectId::generate(),
            tenant,
            instruction: self.instruction.as_str().to_owned(),
            agent: self.agent.unwrap_or_else(|| app.config.default_agent.clone()),
            pool: self.pool.unwrap_or_else(|| app.config.default_pool.clone()),
            labels: self.labels,
            min_isolation: self.min_isolation,
        }
    }
}

/// Looks up the agent that `named` gives, else the default one. What cannot be a name is not looked up.
pub(super) async fn offer(app: &App, named: Option<&Value>) -> Result<Offer, ApiError> {
    let named = named.filter(|value| !value.is_null());
    let name = match named.map(rules::name) {
        Some(Ok(name)) => name,
        Some(Err(_)) => return Ok(Offer::Known),
        None => app.config.default_agent.clone(),
    };
    Ok(app.agents.look_up(&app.database, &name).await?)
}
