//! Digests of rows and records, and sums of them that do not depend on order.
//!
//! Owns the keyed hash with its domains, and the accumulator. What bytes mean is `wce`'s business.
//!
//! ```text
//! project key ──(domain, name)──▶ DigestKey ──(bytes)──▶ Digest ──add/remove──▶ Sum (n, bytes, Σ mod p)
//!               once per table                per row
//! ```

use crate::wce;
use std::fmt;

/// 32 bytes of keyed BLAKE3.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Digest(pub [u8; 32]);

/// What a digest speaks of: equal bytes in two domains have unrelated digests.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Domain {
    /// The bytes of a record as read.
    Source,
    /// The typed values of a record, in their canonical encoding.
    Input,
    /// A target row, in its canonical encoding: as produced, and as read back.
    Output,
    /// A leaf of the lineage: what became of a record.
    Lineage,
}

/// The key for one domain and one table or source: derive it once, then each row is one hash.
#[derive(Clone)]
pub struct DigestKey([u8; 32]);

/// A digest of bytes that arrive in pieces.
#[derive(Clone, Debug)]
pub struct DigestStream {
    hasher: blake3::Hasher,
    bytes: u64,
}

/// An account of digests: how many, how many bytes they stand for, and Σ mod 2²⁵⁶ − 189.
///
/// Sums form a group: they add in any order and grouping, and what was added can be removed. The
/// prime modulus keeps equal rows visible in any multiplicity (mod 2^k, 2^j equal rows lose j
/// bits; XOR loses pairs). Counts wrap at 2⁶⁴, so removing what was never added shows as an
/// absurd count, never as a match.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Sum {
    n: u64,
    bytes: u64,
    value: Residue,
}

impl Domain {
    /// The tag that enters the key.
    pub fn tag(self) -> &'static str {
        match self {
            Self::Source => "wb1/src",
            Self::Input => "wb1/in",
            Self::Output => "wb1/out",
            Self::Lineage => "wb1/lin",
        }
    }
}

impl DigestKey {
    /// The key for `name` (a table, a source) in `domain`, under the project's key:
    /// keyed BLAKE3 of the two texts in WCE-1, so no two pairs share a key.
    pub fn derive(project_key: &[u8; 32], domain: Domain, name: &str) -> Self {
        let mut pair = Vec::with_capacity(name.len() + 16);
        wce::text(&mut pair, domain.tag());
        wce::text(&mut pair, name);
        Self(*blake3::keyed_hash(project_key, &pair).as_bytes())
    }

    /// The digest of one row's or record's bytes.
    #[inline]
    pub fn digest(&self, bytes: &[u8]) -> Digest {
        Digest(*blake3::keyed_hash(&self.0, bytes).as_bytes())
    }

    /// Begins the digest of bytes that arrive in pieces; equal to [`digest`](Self::digest) of
    /// all of them.
    pub fn stream(&self) -> DigestStream {
        DigestStream { hasher: blake3::Hasher::new_keyed(&self.0), bytes: 0 }
    }
}

/// Says nothing of the key.
impl fmt::Debug for DigestKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DigestKey(..)")
    }
}

impl DigestStream {
    /// Takes the next piece.
    pub fn update(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
        self.bytes += bytes.len() as u64;
    }

    /// Bytes taken so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The digest of everything taken so far.
    pub fn finish(&self) -> Digest {
        Digest(*self.hasher.finalize().as_bytes())
    }
}

impl Digest {
    /// The first 16 bytes, for the undo journal: still beyond accidents (2⁻¹²⁸ a pair).
    pub fn truncated(&self) -> [u8; 16] {
        *self.0.first_chunk().expect("32 bytes hold 16")
    }

    /// 64 lower-case hexadecimal digits.
    pub fn to_hex(&self) -> String {
        self.to_string()
    }

    /// Reads 64 hexadecimal digits.
    pub fn from_hex(text: &str) -> Option<Self> {
        let digits = text.as_bytes();
        if digits.len() != 64 {
            return None;
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let high = char::from(pair[0]).to_digit(16)?;
            let low = char::from(pair[1]).to_digit(16)?;
            *byte = (high * 16 + low) as u8;
        }
        Some(Self(bytes))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

impl AsRef<[u8]> for Digest {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Sum {
    /// How many digests.
    pub fn n(&self) -> u64 {
        self.n
    }

    /// How many bytes they stand for.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Σ mod 2²⁵⁶ − 189, big-endian.
    pub fn value(&self) -> [u8; 32] {
        self.value.to_be_bytes()
    }

    /// Counts one digest of `bytes` bytes.
    #[inline]
    pub fn add(&mut self, digest: &Digest, bytes: u64) {
        self.merge(&Self::of(digest, bytes));
    }

    /// Takes one digest of `bytes` bytes away.
    #[inline]
    pub fn remove(&mut self, digest: &Digest, bytes: u64) {
        self.subtract(&Self::of(digest, bytes));
    }

    /// Adds another sum.
    #[inline]
    pub fn merge(&mut self, other: &Self) {
        self.n = self.n.wrapping_add(other.n);
        self.bytes = self.bytes.wrapping_add(other.bytes);
        self.value = self.value.plus(other.value);
    }

    /// Takes another sum away: the inverse of [`merge`](Self::merge).
    #[inline]
    pub fn subtract(&mut self, other: &Self) {
        self.n = self.n.wrapping_sub(other.n);
        self.bytes = self.bytes.wrapping_sub(other.bytes);
        self.value = self.value.minus(other.value);
    }

    fn of(digest: &Digest, bytes: u64) -> Self {
        Self { n: 1, bytes, value: Residue::of(&digest.0) }
    }

    /// Count, bytes and value, each big-endian: 8 + 8 + 32 bytes.
    pub fn to_bytes(&self) -> [u8; 48] {
        let mut all = [0; 48];
        all[..8].copy_from_slice(&self.n.to_be_bytes());
        all[8..16].copy_from_slice(&self.bytes.to_be_bytes());
        all[16..].copy_from_slice(&self.value());
        all
    }

    /// The inverse of [`to_bytes`](Self::to_bytes); `None` where the value is no residue.
    pub fn from_bytes(all: &[u8; 48]) -> Option<Self> {
        let (n, rest) = all.split_first_chunk()?;
        let (bytes, value) = rest.split_first_chunk()?;
        Self::from_parts(u64::from_be_bytes(*n), u64::from_be_bytes(*bytes), value.first_chunk()?)
    }

    /// From columns of a ledger; `None` where `value` is not below 2²⁵⁶ − 189.
    pub fn from_parts(n: u64, bytes: u64, value: &[u8; 32]) -> Option<Self> {
        let residue = Residue::of(value);
        (residue.to_be_bytes() == *value).then_some(Self { n, bytes, value: residue })
    }
}

/// `2 rows, 330 bytes, 00…`: count, bytes and the value in hexadecimal.
impl fmt::Display for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = |count: u64| if count == 1 { "" } else { "s" };
        let (n, bytes) = (self.n, self.bytes);
        write!(f, "{n} row{}, {bytes} byte{}, ", plural(n), plural(bytes))?;
        Digest(self.value()).fmt(f)
    }
}

impl fmt::Debug for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sum({self})")
    }
}

/// An integer mod p = 2²⁵⁶ − 189, the largest prime below 2²⁵⁶; least limb first.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
struct Residue([u64; 4]);

/// 2²⁵⁶ − p.
const GAP: u64 = 189;

impl Residue {
    fn of(bytes: &[u8; 32]) -> Self {
        let mut limbs = [0; 4];
        for (limb, chunk) in limbs.iter_mut().rev().zip(bytes.chunks_exact(8)) {
            *limb = u64::from_be_bytes(*chunk.first_chunk().expect("chunks of 8 bytes"));
        }
        Self(limbs).reduced(false)
    }

    fn to_be_bytes(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for (chunk, limb) in bytes.chunks_exact_mut(8).zip(self.0.iter().rev()) {
            chunk.copy_from_slice(&limb.to_be_bytes());
        }
        bytes
    }

    #[inline]
    fn plus(self, other: Self) -> Self {
        let (sum, carry) = add_limbs(self.0, other.0);
        Self(sum).reduced(carry)
    }

    #[inline]
    fn minus(self, other: Self) -> Self {
        let (difference, borrow) = subtract_limbs(self.0, other.0);
        if !borrow {
            return Self(difference);
        }
        // Wrapped by 2^256 = p + GAP: GAP too much.
        Self(subtract_limbs(difference, [GAP, 0, 0, 0]).0)
    }

    /// Brings a number below 2p, its 257th bit in `carry`, below p.
    #[inline]
    fn reduced(self, carry: bool) -> Self {
        // x >= p exactly where x + GAP passes 2^256, and what remains is then x − p.
        let (less, passed) = add_limbs(self.0, [GAP, 0, 0, 0]);
        if carry || passed { Self(less) } else { self }
    }
}

#[inline]
fn add_limbs(left: [u64; 4], right: [u64; 4]) -> ([u64; 4], bool) {
    let mut sum = [0; 4];
    let mut carry = false;
    for index in 0..4 {
        let (partial, first) = left[index].overflowing_add(right[index]);
        let (total, second) = partial.overflowing_add(u64::from(carry));
        sum[index] = total;
        carry = first || second;
    }
    (sum, carry)
}

#[inline]
fn subtract_limbs(left: [u64; 4], right: [u64; 4]) -> ([u64; 4], bool) {
    let mut difference = [0; 4];
    let mut borrow = false;
    for index in 0..4 {
        let (partial, first) = left[index].overflowing_sub(right[index]);
        let (total, second) = partial.overflowing_sub(u64::from(borrow));
        difference[index] = total;
        borrow = first || second;
    }
    (difference, borrow)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// p itself, big-endian.
    fn modulus(offset: i64) -> [u8; 32] {
        let mut bytes = [0xFF; 32];
        bytes[31] = (256 - 189 + offset) as u8;
        bytes
    }

    fn rows() -> impl Strategy<Value = Vec<(Digest, u64)>> {
        let edge = prop::sample::select(vec![
            [0; 32],
            [0xFF; 32],
            modulus(0),
            modulus(-1),
            modulus(1),
            [0x80; 32],
        ]);
        let bytes = prop_oneof![any::<[u8; 32]>(), edge];
        prop::collection::vec((bytes.prop_map(Digest), 0u64..10_000), 0..20)
    }

    fn sum(rows: &[(Digest, u64)]) -> Sum {
        let mut sum = Sum::default();
        for (digest, bytes) in rows {
            sum.add(digest, *bytes);
        }
        sum
    }

    #[test]
    fn domains_and_names_separate() {
        let project = [7; 32];
        let digest =
            |domain, name| DigestKey::derive(&project, domain, name).digest(b"the same bytes");
        let all = [
            digest(Domain::Source, "t"),
            digest(Domain::Input, "t"),
            digest(Domain::Output, "t"),
            digest(Domain::Lineage, "t"),
            digest(Domain::Output, "u"),
            digest(Domain::Output, ""),
            DigestKey::derive(&[8; 32], Domain::Output, "t").digest(b"the same bytes"),
        ];
        for (index, left) in all.iter().enumerate() {
            assert!(all[index + 1..].iter().all(|right| left != right));
        }
    }

    #[test]
    fn the_key_never_prints() {
        let key = DigestKey::derive(&[7; 32], Domain::Output, "t");
        assert_eq!(format!("{key:?}"), "DigestKey(..)");
    }

    #[test]
    fn sixty_five_thousand_equal_rows_do_not_vanish() {
        let mut left = Sum::default();
        let mut right = Sum::default();
        let (x, y) = (Digest([1; 32]), Digest([0x80; 32]));
        for _ in 0..65_536 {
            left.add(&x, 1);
            right.add(&y, 1);
        }
        assert_ne!(left, right);
        assert_ne!(left.value(), [0; 32]);
        assert_ne!(right.value(), [0; 32]);
        // A difference in the topmost bit only: 2^16 of them are 0 mod 2^256.
        let mut third = Sum::default();
        let mut z = [0x80; 32];
        z[0] ^= 0x80;
        for _ in 0..65_536 {
            third.add(&Digest(z), 1);
        }
        assert_ne!(right, third);
    }

    #[test]
    fn the_modulus_is_zero_and_its_neighbours_are_not() {
        let value = |bytes| sum(&[(Digest(bytes), 0)]).value();
        assert_eq!(value(modulus(0)), [0; 32]);
        assert_eq!(value(modulus(1))[31], 1);
        assert_eq!(value(modulus(-1)), modulus(-1));
        assert_eq!(Sum::from_parts(1, 0, &modulus(0)), None);
        assert!(Sum::from_parts(1, 0, &modulus(-1)).is_some());
    }

    #[test]
    fn hex_reads_back() {
        let digest = DigestKey::derive(&[7; 32], Domain::Output, "t").digest(b"");
        assert_eq!(Digest::from_hex(&digest.to_hex()), Some(digest));
        assert_eq!(Digest::from_hex("00"), None);
        assert_eq!(Digest::from_hex(&"g".repeat(64)), None);
        assert_eq!(Digest::from_hex(&"é".repeat(32)), None);
        assert_eq!(digest.truncated()[..], digest.0[..16]);
    }

    #[test]
    fn a_sum_prints_its_counts() {
        let one = sum(&[(Digest([0; 32]), 1)]);
        assert_eq!(one.to_string(), format!("1 row, 1 byte, {}", "0".repeat(64)));
    }

    proptest! {
        #[test]
        fn order_does_not_matter((rows, shuffled) in rows().prop_flat_map(|rows| {
            (Just(rows.clone()), Just(rows).prop_shuffle())
        })) {
            prop_assert_eq!(sum(&rows), sum(&shuffled));
        }

        #[test]
        fn removing_undoes_adding(rows in rows(), extra in rows()) {
            let mut all = sum(&rows);
            for (digest, bytes) in &extra {
                all.add(digest, *bytes);
            }
            for (digest, bytes) in extra.iter().rev() {
                all.remove(digest, *bytes);
            }
            prop_assert_eq!(all, sum(&rows));
        }

        #[test]
        fn merging_is_associative(a in rows(), b in rows(), c in rows()) {
            let (a, b, c) = (sum(&a), sum(&b), sum(&c));
            let (mut left, mut right) = (a, b);
            left.merge(&b);
            left.merge(&c);
            right.merge(&c);
            let mut whole = a;
            whole.merge(&right);
            prop_assert_eq!(left, whole);
            left.subtract(&c);
            left.subtract(&b);
            prop_assert_eq!(left, a);
        }

        #[test]
        fn bytes_read_back(rows in rows()) {
            let sum = sum(&rows);
            prop_assert_eq!(Sum::from_bytes(&sum.to_bytes()), Some(sum));
            prop_assert_eq!(Sum::from_parts(sum.n(), sum.bytes(), &sum.value()), Some(sum));
        }

        #[test]
        fn pieces_hash_like_the_whole(pieces in prop::collection::vec(any::<Vec<u8>>(), 0..5)) {
            let key = DigestKey::derive(&[7; 32], Domain::Source, "s");
            let mut stream = key.stream();
            for piece in &pieces {
                stream.update(piece);
            }
            prop_assert_eq!(stream.finish(), key.digest(&pieces.concat()));
            prop_assert_eq!(stream.bytes(), pieces.concat().len() as u64);
        }
    }
}
