//! Signatures of heads: Ed25519 (RFC 8032), with keys in the forms that OpenSSL writes and reads.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};

use super::{Signer, sha256};

/// What stands before the 32 bytes of a public key in its SubjectPublicKeyInfo (RFC 8410).
const SPKI: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// A key that signs.
#[derive(Debug)]
pub struct SignKey {
    pair: Ed25519KeyPair,
    public: String,
    fingerprint: String,
}

impl SignKey {
    /// The key in a PEM text as `openssl genpkey -algorithm ed25519` writes it; else what it is.
    pub fn from_pem(text: &str) -> Result<Self, &'static str> {
        if text.contains("-----BEGIN ENCRYPTED PRIVATE KEY-----") {
            return Err(
                "it is encrypted: `openssl pkey -in FILE -out OTHER` writes it without a password",
            );
        }
        if text.contains("-----BEGIN PUBLIC KEY-----") {
            return Err("it is a public key: a private one signs");
        }
        let der = unwrapped(text, "PRIVATE KEY").ok_or("it is no PKCS #8 private key in PEM")?;
        let pair =
            Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der).map_err(|_| "it is no Ed25519 key")?;
        let mut spki = SPKI.to_vec();
        spki.extend_from_slice(pair.public_key().as_ref());
        let body = STANDARD.encode(&spki);
        let public = format!("-----BEGIN PUBLIC KEY-----\n{body}\n-----END PUBLIC KEY-----\n");
        Ok(Self { pair, public, fingerprint: sha256(&spki) })
    }
}

impl Signer for SignKey {
    fn sign(&self, head: &[u8]) -> Vec<u8> {
        self.pair.sign(head).as_ref().to_vec()
    }

    fn public_key(&self) -> &str {
        &self.public
    }

    fn fingerprint(&self) -> &str {
        &self.fingerprint
    }
}

/// Whether a signature is of these bytes and this key, a SubjectPublicKeyInfo in PEM: the SHA-256 of the key's
/// DER then.
pub fn signed_by(public: &str, bytes: &[u8], signature: &[u8]) -> Option<String> {
    let spki = unwrapped(public, "PUBLIC KEY")?;
    let key = spki.strip_prefix(&SPKI).filter(|key| key.len() == 32)?;
    UnparsedPublicKey::new(&ED25519, key).verify(bytes, signature).ok()?;
    Some(sha256(&spki))
}

/// The bytes between the lines of a PEM text (RFC 7468).
fn unwrapped(text: &str, label: &str) -> Option<Vec<u8>> {
    let (_, behind) = text.split_once(&format!("-----BEGIN {label}-----"))?;
    let (body, _) = behind.split_once(&format!("-----END {label}-----"))?;
    let body: String = body.split_ascii_whitespace().collect();
    STANDARD.decode(body).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by OpenSSL 3.0: `openssl genpkey -algorithm ed25519`, and `openssl pkey -pubout` of it.
    const PRIVATE: &str = "-----BEGIN PRIVATE KEY-----\n\
        MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n\
        -----END PRIVATE KEY-----\n";
    const PUBLIC: &str = "-----BEGIN PUBLIC KEY-----\n\
        MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n\
        -----END PUBLIC KEY-----\n";

    /// RFC 8032, §7.1, test 1: the key above is its key.
    #[test]
    fn a_key_signs_as_the_rfc_says() {
        let key = SignKey::from_pem(PRIVATE).unwrap();
        assert_eq!(key.public_key(), PUBLIC);
        assert_eq!(
            crate::lineage::hex(&key.sign(b"")),
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b\
             d25bf5f0595bbe24655141438e7a100b"
        );
        let signature = key.sign(b"head");
        assert_eq!(signed_by(PUBLIC, b"head", &signature), Some(key.fingerprint().to_owned()));
        assert_eq!(signed_by(PUBLIC, b"heat", &signature), None);
    }

    #[test]
    fn what_is_no_such_key_is_said_to_be_what_it_is() {
        assert!(SignKey::from_pem(PUBLIC).unwrap_err().contains("public key"));
        assert!(SignKey::from_pem("nothing").unwrap_err().contains("no PKCS #8"));
        let other = PRIVATE.replace("MC4CAQAwBQYDK2Vw", "MC4CAQAwBQYDK2Vu");
        assert!(SignKey::from_pem(&other).unwrap_err().contains("no Ed25519"));
    }
}
