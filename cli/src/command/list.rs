//! Lists: one page as JSON, or as many as are wanted as a table.

use clap::Args;
use drydock_client::{Call, Document, views::List};
use serde::de::DeserializeOwned;

use super::Context;
use crate::{
    CliError, Exit,
    output::{Format, Table},
};

/// Most items of one page (`GET /api/v1/limits`).
const PAGE: usize = 500;

/// How much of a list.
#[derive(Debug, Args)]
pub(super) struct Paging {
    /// How many at most
    #[arg(long, default_value_t = 50, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// Start at the `next_cursor` of an earlier page
    #[arg(long)]
    cursor: Option<String>,
}

/// Fetches pages of `call` and shows them.
pub(super) async fn show<'c, T: DeserializeOwned>(
    context: &Context,
    paging: Paging,
    call: impl Fn() -> Call<'c>,
    mut table: Table,
    row: impl Fn(&T) -> Vec<String>,
) -> Result<Exit, CliError> {
    let mut left = usize::try_from(paging.limit).unwrap_or(usize::MAX);
    let mut cursor = paging.cursor;
    loop {
        let page: Document<List<T>> =
            call().query("limit", left.min(PAGE)).query_opt("cursor", cursor.as_ref()).document().await?;
        match context.output.format() {
            // One document is one page: its next_cursor says how to go on.
            Format::Json | Format::Yaml => return context.output.answer(&page.raw, String::new).map(|()| Exit::Ok),
            Format::Ndjson => context.output.answer(&page.raw, String::new)?,
            Format::Table => {}
        }
        left = left.saturating_sub(page.value.items.len());
        for item in &page.value.items {
            table.row(row(item));
        }
        cursor = page.value.next_cursor;
        if cursor.is_none() || left == 0 || page.value.items.is_empty() {
            break;
        }
    }
    if !context.output.is_structured() {
        context.output.data(table.render().as_bytes())?;
    }
    if let Some(cursor) = cursor {
        context.output.note(&format!("there are more: --limit N, or --cursor {cursor}"));
    }
    Ok(Exit::Ok)
}
