//! What a mark of a database source remembers, as bytes: little-endian numbers in a fixed order.

/// The layout below.
const VERSION: u8 = 1;

/// See the module.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Token {
    /// Of the columns, their kinds and the order of the rows.
    pub(super) layout: [u8; 16],
    /// Bytes of the records behind the mark, each with its line end.
    pub(super) bytes: u64,
    /// BLAKE3 over the chain of records behind the mark: of the digest before and the record.
    pub(super) chain: [u8; 32],
}

impl Token {
    pub(super) fn write(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(57);
        out.push(VERSION);
        out.extend(self.layout);
        out.extend(self.bytes.to_le_bytes());
        out.extend(self.chain);
        out
    }

    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes;
        let [version] = take(&mut rest)?;
        let layout = take(&mut rest)?;
        let bytes = u64::from_le_bytes(take(&mut rest)?);
        let chain = take(&mut rest)?;
        (version == VERSION && rest.is_empty()).then_some(Self { layout, bytes, chain })
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (front, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(*front)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_comes_back_and_others_do_not() {
        let token = Token { layout: [1; 16], bytes: 2, chain: [3; 32] };
        let bytes = token.write();
        assert_eq!(Token::read(&bytes), Some(token));
        assert_eq!(Token::read(&bytes[1..]), None);
        assert_eq!(Token::read(&[&bytes[..], b"x"].concat()), None);
        assert_eq!(Token::read(b""), None);
    }
}
