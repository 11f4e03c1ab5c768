//! One part of a text with a separator. The inverse of taking all parts is `concat`.

/// Part number `part`: from 1, or backwards from -1; `None` where there are fewer.
pub fn part<'a>(text: &'a str, by: &str, part: i64) -> Option<&'a str> {
    let index = usize::try_from(part.unsigned_abs()).ok()?.checked_sub(1)?;
    if part > 0 { text.split(by).nth(index) } else { text.rsplit(by).nth(index) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn parts_count_from_either_end() {
        assert_eq!(part("a-b-c", "-", 1), Some("a"));
        assert_eq!(part("a-b-c", "-", -1), Some("c"));
        assert_eq!(part("a-b-c", "-", 4), None);
        assert_eq!(part("abc", "-", 1), Some("abc"));
        assert_eq!(part("a", "-", 0), None);
    }

    proptest! {
        #[test]
        fn parts_joined_are_the_text(text in "[a-c,]{0,12}") {
            let parts: Vec<&str> = (1..).map_while(|index| part(&text, ",", index)).collect();
            prop_assert_eq!(parts.join(","), text);
        }
    }
}
