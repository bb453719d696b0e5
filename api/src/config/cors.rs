//! Settings of cross-origin requests. Their names are without prefix on purpose: other tools of the same stack share them.

use drydock_runtime::config::ConfigError;

use super::List;

/// Who may call from a browser, and how.
#[derive(Clone, Debug, clap::Args)]
pub struct CorsConfig {
    /// Origins that may call, comma-separated or a JSON list
    #[arg(long, env = "ALLOW_ORIGINS", default_value = "http://localhost:3000,http://127.0.0.1:3000")]
    pub allow_origins: List,
    /// Methods they may use
    #[arg(long, env = "ALLOW_METHODS", default_value = "GET,POST,PUT,PATCH,DELETE,OPTIONS")]
    pub allow_methods: List,
    /// Headers they may send
    #[arg(long, env = "ALLOW_HEADERS", default_value = "Authorization,Content-Type,If-Match,Idempotency-Key")]
    pub allow_headers: List,
    /// Whether they may send cookies and the like
    #[arg(long, env = "ALLOW_CREDENTIALS", default_value = "False", value_parser = flag)]
    pub allow_credentials: Flag,
}

/// Yes or no, in any of the usual spellings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flag(pub bool);

pub(super) fn flag(text: &str) -> Result<Flag, String> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Ok(Flag(true)),
        "false" | "0" | "no" | "off" | "" => Ok(Flag(false)),
        other => Err(format!("'{other}' is neither true nor false")),
    }
}

impl CorsConfig {
    /// Refuses what browsers refuse and what would open the API to every page: `*` with credentials (Fetch standard,
    /// "CORS protocol and credentials").
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let lists = [
            ("ALLOW_ORIGINS", &self.allow_origins),
            ("ALLOW_METHODS", &self.allow_methods),
            ("ALLOW_HEADERS", &self.allow_headers),
        ];
        for (name, list) in lists {
            if self.allow_credentials.0 && list.has_wildcard() {
                let reason = "'*' cannot go with ALLOW_CREDENTIALS=true: list what you mean".to_owned();
                return Err(ConfigError::Invalid { name, reason });
            }
        }
        Ok(())
    }
}
