//! The columns that manifests and deltas are made of: one zstd frame around packs, blocks and entries.
//!
//! Owns their bytes, which FORMATS.md describes, and refuses what a hostile or damaged body could say of one field.
//! What the fields must say together is the business of whoever reads the whole.

mod read;
mod write;

pub(crate) use self::{
    read::{Body, RESERVE_MAX},
    write::compress,
};

/// Things that are numbered on from those of a base.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Numbered<'a, T> {
    pub(crate) base: &'a [T],
    pub(crate) new: &'a [T],
}

impl<'a, T> Numbered<'a, T> {
    pub(crate) fn get(&self, number: u32) -> Option<&'a T> {
        let number = number as usize;
        self.base.get(number).or_else(|| self.new.get(number.checked_sub(self.base.len())?))
    }
}
