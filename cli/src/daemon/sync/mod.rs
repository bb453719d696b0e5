//! A folder and the newest version of its project, kept alike: changes of either come to the other, compared by content, so that
//! nothing is lost and nothing is applied twice, whatever was missed in between.

mod batch;
mod before;
mod decide;
mod down;
mod error;
mod folder;
mod ignored;
mod index;
mod keep;
mod place;
mod plan;
mod round;
mod scan;
mod send;
mod up;
mod watch;

pub(crate) use self::{
    before::Before,
    folder::{Folder, Look, RETRY, Snapshot},
    keep::keep,
};

#[cfg(test)]
mod tests;
