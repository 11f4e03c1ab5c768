//! Hashes of text, in lower-case hex. No inverse.

use sha2::{Digest, Sha256};
use whimbrel_model::plan::HashAlgorithm;

/// The hash of the bytes, in lower-case hex.
pub fn hex(algorithm: HashAlgorithm, bytes: &[u8]) -> String {
    match algorithm {
        HashAlgorithm::Sha256 => hex_of(&Sha256::digest(bytes)),
        HashAlgorithm::Blake3 => blake3::hash(bytes).to_hex().to_string(),
    }
}

fn hex_of(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut out = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        out.push(char::from(DIGITS[usize::from(byte >> 4)]));
        out.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_answers() {
        assert_eq!(
            hex(HashAlgorithm::Sha256, b"abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert!(hex(HashAlgorithm::Blake3, b"").starts_with("af1349b9f5f9a1a6"));
    }
}
