//! `Places`: where each piece of content lies, by its hash. One entry a file of every version on this node, so it is kept small:
//! 21 bytes of which 12 stand for the hash.
//!
//! Twelve bytes of a *keyed* hash of the content's: whoever writes contents does not know the keys, which are made at start, so
//! nobody can make two contents meet, and of a million by chance two do so once in 10^16 nodes.

use std::{
    collections::{HashMap, HashSet, hash_map::RandomState},
    hash::{BuildHasher as _, BuildHasherDefault, Hash, Hasher},
};

use drydock_domain::Digest;

/// Parts of the map, each of which grows alone: what is there twice while a map grows is a small part then.
const SHARDS: usize = 64;

/// Where a piece lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Number of its data file.
    pub(super) file: u32,
    pub(super) block: u32,
}

/// Stands for a digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Fingerprint([u32; 3]);

/// A fingerprint is as good as any hash of it.
#[derive(Debug, Default)]
struct AsItIs(u64);

#[derive(Debug)]
pub(super) struct Places {
    keys: [RandomState; 2],
    shards: Vec<HashMap<Fingerprint, Place, BuildHasherDefault<AsItIs>>>,
}

impl Default for Places {
    fn default() -> Self {
        Self {
            keys: [RandomState::new(), RandomState::new()],
            shards: (0..SHARDS).map(|_| HashMap::default()).collect(),
        }
    }
}

impl Places {
    /// Where the content with this hash lies, if it does.
    pub(super) fn get(&self, digest: &Digest) -> Option<Place> {
        let fingerprint = self.fingerprint(digest);
        self.shards[fingerprint.shard()].get(&fingerprint).copied()
    }

    /// From now on it lies there.
    pub(super) fn insert(&mut self, digest: &Digest, place: Place) {
        let fingerprint = self.fingerprint(digest);
        self.shards[fingerprint.shard()].insert(fingerprint, place);
    }

    /// Forgets what lies in these data files.
    pub(super) fn remove(&mut self, files: &HashSet<u32>) {
        for shard in &mut self.shards {
            shard.retain(|_, place| !files.contains(&place.file));
            shard.shrink_to(shard.len() * 2);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.shards.iter().all(HashMap::is_empty)
    }

    fn fingerprint(&self, digest: &Digest) -> Fingerprint {
        let [one, other] = self.keys.each_ref().map(|key| {
            let mut hasher = key.build_hasher();
            hasher.write(digest.as_bytes());
            hasher.finish()
        });
        Fingerprint([one as u32, (one >> 32) as u32, other as u32])
    }
}

impl Fingerprint {
    // By bits that the map does not go by.
    const fn shard(self) -> usize {
        self.0[2] as usize % SHARDS
    }
}

impl Hash for Fingerprint {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(u64::from(self.0[0]) | u64::from(self.0[1]) << 32);
    }
}

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("fingerprints are numbers");
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_in_a_data_file_is_forgotten_with_it() {
        let mut places = Places::default();
        let digests: Vec<Digest> = (0..1000_u32).map(|at| Digest::of(&at.to_le_bytes())).collect();
        for (digest, block) in digests.iter().zip(0..) {
            places.insert(digest, Place { file: block % 2, block });
        }
        assert_eq!(places.get(&digests[7]), Some(Place { file: 1, block: 7 }));
        places.remove(&HashSet::from([1]));
        assert_eq!(places.get(&digests[7]), None);
        assert_eq!(places.get(&digests[8]), Some(Place { file: 0, block: 8 }));
        assert!(!places.is_empty());
        places.remove(&HashSet::from([0]));
        assert!(places.is_empty());
    }

    #[test]
    fn an_entry_takes_21_bytes() {
        assert_eq!(size_of::<(Fingerprint, Place)>() + 1, 21);
    }
}
