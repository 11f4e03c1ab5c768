//! Why an encrypted connection did not come about, in words that say what to do.

use std::io;

/// Words of one kind of server for its URLs.
pub(crate) struct Words {
    /// The parameter that names the authority's certificate.
    pub(crate) authority: &'static str,
    /// The parameter and mode that trusts the authority and ignores the host's name.
    pub(crate) any_host: &'static str,
    /// How the server is made to encrypt.
    pub(crate) server: &'static str,
}

pub(crate) const POSTGRES: Words = Words {
    authority: "sslrootcert=FILE",
    any_host: "sslmode=verify-ca",
    server: "`ssl = on`, `ssl_cert_file`, `ssl_key_file`",
};

pub(crate) const MYSQL: Words = Words {
    authority: "ssl-ca=FILE",
    any_host: "ssl-mode=VERIFY_CA",
    server: "`ssl_cert`, `ssl_key`",
};

/// Why the handshake failed; `None` where it was not the handshake.
pub(crate) fn broken(error: &io::Error, words: &Words) -> Option<String> {
    // The driver hands the library's errors on as damaged data.
    (error.kind() == io::ErrorKind::InvalidData).then(|| reason(&error.to_string(), words))
}

/// The library's words, and what they mean.
pub(crate) fn reason(told: &str, words: &Words) -> String {
    let told: String = told.chars().take(300).collect();
    let has = |parts: &[&str]| parts.iter().any(|part| told.contains(part));
    if has(&["does not support TLS"]) {
        format!("the server does not encrypt; it would with {}", words.server)
    } else if has(&["UnknownIssuer", "BadSignature"]) {
        format!(
            "the server's certificate is not of an authority that is trusted here; name the \
             authority's: `{}` ({told})",
            words.authority
        )
    } else if has(&["NotValidForName", "not valid for name", "not valid for any names"]) {
        format!(
            "the server's certificate is for another host; name that one in the URL, or trust the \
             authority alone: `{}` ({told})",
            words.any_host
        )
    } else if has(&["xpired"]) {
        format!("the server's certificate has expired ({told})")
    } else if has(&["CaUsedAsEndEntity"]) {
        format!("the server shows the certificate of an authority, not one of its own ({told})")
    } else if has(&["ertificate required", "CertificateRequired"]) {
        format!("the server asks for a certificate of ours ({told})")
    } else {
        format!("no encrypted connection came about ({told})")
    }
}
