//! Files of a version or an attempt: listed, read, archived, changed. `path` is the one resolver every route goes through.

mod archive;
mod change;
mod list;
pub(crate) mod path;
mod read;
mod serve;
mod tree;

pub(crate) use self::{
    archive::*,
    change::*,
    list::*,
    path::Subtree,
    read::*,
    serve::{FileText, MAX_JSON_FILE, content_range},
    tree::{Loaded, load_version},
};
