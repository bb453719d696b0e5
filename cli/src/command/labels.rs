//! `--label name=value`, repeated.

use std::collections::BTreeMap;

use clap::Args;

/// Labels to set.
#[derive(Debug, Default, Args)]
pub(super) struct Labels {
    /// A label; repeat for several
    #[arg(long = "label", value_name = "NAME=VALUE", value_parser = pair)]
    label: Vec<(String, String)>,
}

impl Labels {
    /// As the API's object; none where none was given.
    pub(super) fn object(self) -> Option<BTreeMap<String, String>> {
        if self.label.is_empty() { None } else { Some(self.label.into_iter().collect()) }
    }

    /// As they are written in a query.
    pub(super) fn pairs(&self) -> impl Iterator<Item = String> {
        self.label.iter().map(|(name, value)| format!("{name}={value}"))
    }
}

pub(super) fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("a label is written NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}
