//! A Merkle tree in the shape of RFC 6962, §2.1, with SHA-256, computed in one pass: of the leaves only the
//! roots of whole subtrees are held, and the paths of leaves that are watched.
//!
//! ```text
//! leaf = SHA-256(0x00 ‖ bytes)     node = SHA-256(0x01 ‖ left ‖ right)     no leaves: SHA-256 of nothing
//! ```

use sha2::{Digest as _, Sha256};

/// A hash of the tree.
pub type Hash = [u8; 32];

/// The hash of a leaf.
pub fn leaf(bytes: &[u8]) -> Hash {
    Sha256::new().chain_update([0x00]).chain_update(bytes).finalize().into()
}

/// The hash of two neighbours.
pub fn node(left: &Hash, right: &Hash) -> Hash {
    Sha256::new().chain_update([0x01]).chain_update(left).chain_update(right).finalize().into()
}

/// A tree on its way.
#[derive(Clone, Default, Debug)]
pub struct Tree {
    /// Whole subtrees, each larger than the next.
    peaks: Vec<Peak>,
    paths: Vec<Path>,
    count: u64,
}

#[derive(Clone, Debug)]
struct Peak {
    height: u32,
    hash: Hash,
    /// Which of the paths lead through it.
    watched: Vec<usize>,
}

/// From a leaf to the root: what it is hashed with on its way, the nearest first.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Path {
    /// The leaf's number, from 0.
    pub index: u64,
    /// The other sides.
    pub hashes: Vec<Hash>,
}

impl Tree {
    /// Takes the hash of the next leaf; a watched one gets a path.
    pub fn push(&mut self, hash: Hash, watched: bool) {
        let mut own = Vec::new();
        if watched {
            own.push(self.paths.len());
            self.paths.push(Path { index: self.count, hashes: Vec::new() });
        }
        self.count += 1;
        self.peaks.push(Peak { height: 0, hash, watched: own });
        while let [.., left, right] = self.peaks.as_slice()
            && left.height == right.height
        {
            self.join();
        }
    }

    /// How many leaves it has.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The root, and the paths of the leaves that were watched, in their order.
    pub fn finish(mut self) -> (Hash, Vec<Path>) {
        while self.peaks.len() > 1 {
            self.join();
        }
        let root = self.peaks.pop().map_or_else(|| Sha256::digest([]).into(), |peak| peak.hash);
        (root, self.paths)
    }

    /// Makes one of the last two subtrees.
    fn join(&mut self) {
        let (Some(right), Some(left)) = (self.peaks.pop(), self.peaks.pop()) else { return };
        left.watched.iter().for_each(|&path| self.paths[path].hashes.push(right.hash));
        right.watched.iter().for_each(|&path| self.paths[path].hashes.push(left.hash));
        let mut watched = left.watched;
        watched.extend(right.watched);
        let hash = node(&left.hash, &right.hash);
        self.peaks.push(Peak { height: left.height + 1, hash, watched });
    }
}

/// The root to which a path leads from a leaf of a tree of so many (RFC 9162, §2.1.3.2); `None` where it can
/// be no path of such a tree.
pub fn root_of(hash: Hash, path: &Path, count: u64) -> Option<Hash> {
    let mut own = path.index;
    let mut last = count.checked_sub(1).filter(|last| own <= *last)?;
    let mut hash = hash;
    for other in &path.hashes {
        if last == 0 {
            return None;
        }
        if own & 1 == 1 || own == last {
            hash = node(other, &hash);
            while own & 1 == 0 && own != 0 {
                own >>= 1;
                last >>= 1;
            }
        } else {
            hash = node(&hash, other);
        }
        own >>= 1;
        last >>= 1;
    }
    (last == 0).then_some(hash)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lineage::hex;

    /// RFC 6962, §2.1, as it is written there.
    fn by_the_book(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => Sha256::digest([]).into(),
            [one] => *one,
            _ => {
                let half = leaves.len().next_power_of_two() / 2;
                node(&by_the_book(&leaves[..half]), &by_the_book(&leaves[half..]))
            }
        }
    }

    #[test]
    fn every_tree_has_the_root_of_the_rfc_and_every_path_leads_there() {
        for count in 0..70u64 {
            let leaves: Vec<Hash> = (0..count).map(|n| leaf(&n.to_be_bytes())).collect();
            let mut tree = Tree::default();
            leaves.iter().for_each(|hash| tree.push(*hash, true));
            let (root, paths) = tree.finish();
            assert_eq!(root, by_the_book(&leaves), "{count}");
            for (path, hash) in paths.iter().zip(&leaves) {
                assert_eq!(root_of(*hash, path, count), Some(root), "{count}: {path:?}");
                let elsewhere = Path { index: (path.index + 1) % count.max(2), ..path.clone() };
                assert_ne!(root_of(*hash, &elsewhere, count), Some(root), "{count}: {path:?}");
                let mut longer = path.clone();
                longer.hashes.push(root);
                assert_eq!(root_of(*hash, &longer, count), None);
            }
        }
    }

    /// Of Certificate Transparency's reference implementation.
    #[test]
    fn the_roots_are_those_that_others_compute() {
        let leaves: [&[u8]; 3] = [b"", b"\x00", b"\x10"];
        let mut tree = Tree::default();
        leaves.iter().for_each(|bytes| tree.push(leaf(bytes), false));
        assert_eq!(
            hex(&tree.finish().0),
            "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"
        );
        assert_eq!(
            hex(&Tree::default().finish().0),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
    }
}
