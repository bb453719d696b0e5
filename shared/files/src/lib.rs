#![doc = include_str!("../README.md")]

mod directory;
mod error;
mod file;
mod kind;
mod remove;
mod resolve;
mod root;

pub use self::{
    directory::{Directories, OWNER_ALL, entries, names, open_child, open_directory, stat},
    error::FileError,
    file::{OpenFile, open_file},
    kind::Kind,
    remove::{Leftovers, remove_tree, remove_tree_noting},
    root::{Links, Opened, Root},
};
