//! `drydock admin bootstrap`: the first key, which nobody can ask the API for.

use clap::Args;
use drydock_database::{
    Database, DatabaseConfig,
    api_key::{self, Bootstrapped},
};
use drydock_domain::{ApiKey, ApiKeyId, Role};
use secrecy::ExposeSecret as _;
use serde_json::json;

use super::super::Context;
use crate::{CliError, Exit};

#[derive(Debug, Args)]
#[command(
    after_help = "Writes the key, once: nobody can show it again. It may do everything in its tenant and in the fleet, and makes lesser
ones (`drydock key create`). From then on every request needs a key.

Examples:
  drydock admin bootstrap | drydock login --token-file -
  drydock admin bootstrap --again --name rescue     # when all keys are lost"
)]
pub(in crate::command) struct BootstrapArgs {
    /// The tenant's name
    #[arg(long, value_name = "NAME", default_value = "default")]
    tenant: String,
    /// What the key is called
    #[arg(long, value_name = "NAME", default_value = "admin")]
    name: String,
    /// Make one although there are keys
    #[arg(long)]
    again: bool,
}

pub(super) async fn run(context: &Context, args: BootstrapArgs) -> Result<Exit, CliError> {
    let BootstrapArgs { tenant, name, again } = args;
    let database = Database::new(&DatabaseConfig::default(), &drydock_database::config::url()?)?;
    database.check().await?;
    let (id, key) = (ApiKeyId::generate(), ApiKey::generate());
    let kept = (id, key.prefix(), key.hash());
    let output = &context.output;
    match api_key::bootstrap(&database.client().await?, kept, &tenant, &name, again).await? {
        Bootstrapped::Made => {
            let text = key.text();
            let view =
                json!({"id": id, "name": name, "tenant": tenant, "role": Role::Admin, "key": text.expose_secret()});
            output.note(&format!(
                "made key {id} of tenant '{tenant}'; it is shown this once, and every request needs a key now"
            ));
            output.answer(view.to_string().as_bytes(), || text.expose_secret().to_owned())?;
            Ok(Exit::Ok)
        }
        Bootstrapped::KeysExist => {
            output.warn(
                "error: there are keys already, revoked and expired ones included: make more with `drydock key create`, or, when none \
                 can be used any more, run this with --again",
            );
            Ok(Exit::Conflict)
        }
        Bootstrapped::NoTenant => {
            output.warn(&format!("error: there is no tenant '{tenant}'"));
            Ok(Exit::NotFound)
        }
    }
}
