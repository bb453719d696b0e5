//! Tokens as clients see them.

use drydock_database::usage::UsedTokens;
use drydock_domain::agent::Tokens;
use serde::Serialize;

/// Tokens that agents say they used.
#[derive(Clone, Copy, Serialize, utoipa::ToSchema)]
pub(crate) struct TokensView {
    /// Read by the model.
    #[schema(minimum = 0)]
    input: i64,
    /// Of these, those that a cache had.
    #[schema(minimum = 0)]
    cached_input: i64,
    /// Written by the model.
    #[schema(minimum = 0)]
    output: i64,
}

impl From<UsedTokens> for TokensView {
    fn from(tokens: UsedTokens) -> Self {
        let UsedTokens { input, cached_input, output } = tokens;
        Self { input, cached_input, output }
    }
}

impl From<Tokens> for TokensView {
    fn from(tokens: Tokens) -> Self {
        let signed = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        Self { input: signed(tokens.input), cached_input: signed(tokens.cached_input), output: signed(tokens.output) }
    }
}

impl TokensView {
    /// All of them; none where nobody said any.
    pub(super) fn sum(of: impl IntoIterator<Item = Option<Tokens>>) -> Option<Self> {
        of.into_iter().flatten().map(Self::from).reduce(|a, b| Self {
            input: a.input.saturating_add(b.input),
            cached_input: a.cached_input.saturating_add(b.cached_input),
            output: a.output.saturating_add(b.output),
        })
    }
}
