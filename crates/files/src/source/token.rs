//! What a mark of a file remembers, as bytes: little-endian numbers in a fixed order.

use crate::fingerprint::Stamp;
use crate::mark::Mark;

/// The layout below.
const VERSION: u8 = 1;

/// See the module.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Token {
    /// Of the file when it was opened.
    pub(super) stamp: Stamp,
    /// Where to go on.
    pub(super) mark: Mark,
    /// Of everything before.
    pub(super) digest: [u8; 32],
    /// How far the file was read, and the digest up to there: at or behind the mark.
    pub(super) end: (u64, [u8; 32]),
}

impl Token {
    pub(super) fn write(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        out.extend(self.stamp.size.to_le_bytes());
        out.extend(self.stamp.mtime_nanos.to_le_bytes());
        out.extend(self.stamp.ctime_nanos.to_le_bytes());
        out.extend(self.stamp.inode.to_le_bytes());
        for number in self.mark.to_numbers() {
            out.extend(number.to_le_bytes());
        }
        out.extend(self.digest);
        out.extend(self.end.0.to_le_bytes());
        out.extend(self.end.1);
        out
    }

    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes;
        let [version] = take(&mut rest)?;
        let stamp = Stamp {
            size: u64::from_le_bytes(take(&mut rest)?),
            mtime_nanos: i128::from_le_bytes(take(&mut rest)?),
            ctime_nanos: i128::from_le_bytes(take(&mut rest)?),
            inode: u64::from_le_bytes(take(&mut rest)?),
        };
        let mut numbers = [0; 7];
        for number in &mut numbers {
            *number = u64::from_le_bytes(take(&mut rest)?);
        }
        let digest = take(&mut rest)?;
        let end = (u64::from_le_bytes(take(&mut rest)?), take(&mut rest)?);
        let whole = version == VERSION && rest.is_empty();
        whole.then_some(Self { stamp, mark: Mark::from_numbers(numbers), digest, end })
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
        let token = Token {
            stamp: Stamp { size: 1, mtime_nanos: -2, ctime_nanos: 3, inode: 4 },
            mark: Mark::from_numbers([1, 2, 3, 4, 5, 6, 7]),
            digest: [8; 32],
            end: (9, [10; 32]),
        };
        let bytes = token.write();
        assert_eq!(Token::read(&bytes), Some(token));
        assert_eq!(Token::read(&bytes[1..]), None);
        assert_eq!(Token::read(&[&bytes[..], b"x"].concat()), None);
        assert_eq!(Token::read(b""), None);
    }
}
