//! What this binary is.

/// The release, with the commit where the build was told it (`DRYDOCK_COMMIT`).
pub const VERSION: &str = match option_env!("DRYDOCK_COMMIT") {
    Some(commit) => commit,
    None => env!("CARGO_PKG_VERSION"),
};
