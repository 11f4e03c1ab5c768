//! The narrowest kind that holds for every value of a column, and why not a narrower one.
//!
//! A kind is only inferred where each value comes back from it as it was written (instants: as the
//! same instant). Where the choice would be a guess (day or month first, a number or an epoch), the
//! column stays what it is and says so.

use whimbrel_model::Kind;
use whimbrel_model::kind::IntWidth;

use crate::column::{Sample, Tally};
use crate::forms::{self, FIRST_PATTERN, FIRST_WORDS, MARKERS, WORDS};
use crate::shown;
use crate::stamps::{self, PATTERNS};

/// What a column is taken for.
#[derive(Clone, PartialEq, Debug)]
pub struct Guess {
    /// The kind.
    pub kind: Kind,
    /// Format of its times, as plans write it.
    pub timestamp: Option<&'static str>,
    /// The words for true and false, where they are not `true` and `false`.
    pub words: Option<(&'static str, &'static str)>,
    /// Spellings of NULL to declare, as cells are written: quotes included.
    pub null: Vec<String>,
    /// What a reader of the plan should know, in one clause each.
    pub notes: Vec<String>,
    /// Why the column is not of the kind that most of its values have.
    pub doubt: Option<Doubt>,
}

/// A kind that most values have, and the first that has not.
#[derive(Clone, PartialEq, Debug)]
pub struct Doubt {
    /// What most values are: `integer`, `date %Y-%m-%d` …
    pub almost: String,
    /// The kind that most values have.
    pub kind: Kind,
    /// Format of its times.
    pub timestamp: Option<&'static str>,
    /// How many are.
    pub fits: u64,
    /// Of how many.
    pub of: u64,
    /// The first that is not.
    pub first: Sample,
}

/// What the column is taken for. `typed`: the source has kinds of its own (JSON, front matter), so
/// that text is never taken for a number.
pub fn guess(name: &str, tally: &Tally, typed: bool) -> Guess {
    let natives = tally.natives;
    let present = tally.values - tally.nulls;
    if present == 0 {
        return plain(Kind::Text(None), "no value in any record");
    }
    if natives.texts == present {
        return if typed { typed_text(name, tally) } else { text(name, tally) };
    }
    if natives.numbers == present {
        return native_numbers(name, tally);
    }
    if natives.booleans == present {
        return plain(Kind::Bool, "");
    }
    if natives.documents == present {
        return plain(Kind::Json, "");
    }
    if natives.bytes == present {
        return plain(Kind::Bytes, "");
    }
    // A text column takes them all as they are written; that numbers become text is counted.
    plain(Kind::Text(None), &format!("mixed: {}", mixture(tally)))
}

fn plain(kind: Kind, note: &str) -> Guess {
    let notes = if note.is_empty() { Vec::new() } else { vec![note.to_owned()] };
    Guess { kind, timestamp: None, words: None, null: Vec::new(), notes, doubt: None }
}

fn mixture(tally: &Tally) -> String {
    let natives = tally.natives;
    let parts = [
        (natives.texts, "text", "texts"),
        (natives.numbers, "number", "numbers"),
        (natives.booleans, "boolean", "booleans"),
        (natives.documents, "object or array", "objects or arrays"),
        (natives.bytes, "byte string", "byte strings"),
        (natives.others, "other", "others"),
    ];
    let parts = parts.iter().filter(|(count, _, _)| *count > 0);
    parts.map(|(count, one, many)| shown::counted(*count, one, many)).collect::<Vec<_>>().join(", ")
}

fn text(name: &str, tally: &Tally) -> Guess {
    if tally.read == 0 {
        return plain(Kind::Text(None), "no value but spellings of NULL");
    }
    if let Some(mut guess) = whole(name, tally) {
        guess.null = markers(tally);
        return guess;
    }
    let mut guess = plain(Kind::Text(None), "");
    guess.doubt = doubt(name, tally);
    guess.notes.extend(ambiguity(tally));
    if let Some(note) = kept_markers(tally) {
        guess.notes.push(note);
    }
    guess
}

/// JSON says itself what is a number; only instants have to be found in text.
fn typed_text(name: &str, tally: &Tally) -> Guess {
    let stamp = (tally.marked() == 0).then(|| stamp(name, tally)).flatten();
    stamp.unwrap_or_else(|| {
        let mut guess = plain(Kind::Text(None), "");
        let almost = doubt(name, tally).filter(|doubt| doubt.timestamp.is_some());
        guess.doubt = almost;
        guess.notes.extend(ambiguity(tally));
        guess
    })
}

fn native_numbers(name: &str, tally: &Tally) -> Guess {
    if let Some(guess) = stamp(name, tally).or_else(|| number(name, tally)) {
        return guess;
    }
    let mut guess = plain(Kind::Decimal(None), "");
    guess.notes.push(if tally.exponents > 0 {
        format!(
            "{} with an exponent: kept as written",
            shown::counted(tally.exponents, "number", "numbers")
        )
    } else {
        "kept as written".to_owned()
    });
    guess
}

/// A kind other than text that holds for every value.
fn whole(name: &str, tally: &Tally) -> Option<Guess> {
    let uuid = || tally.holds(forms::UUID).then(|| plain(Kind::Uuid, ""));
    let json = || tally.holds(forms::JSON).then(|| plain(Kind::Json, ""));
    stamp(name, tally)
        .or_else(|| number(name, tally))
        .or_else(|| words(tally))
        .or_else(uuid)
        .or_else(json)
}

fn words(tally: &Tally) -> Option<Guess> {
    // One word alone may be anything; both make a pair.
    if tally.distinct_read() != 2 {
        return None;
    }
    let pair = (0..WORDS.len()).find(|pair| tally.holds(FIRST_WORDS + pair))?;
    let mut guess = plain(Kind::Bool, "");
    guess.words = (pair != 0).then_some(WORDS[pair]);
    Some(guess)
}

fn number(name: &str, tally: &Tally) -> Option<Guess> {
    let (whole, scale_min, scale_max) = tally.digits?;
    if tally.holds(forms::INTEGER) {
        return Some(integer(tally));
    }
    if !tally.holds(forms::DECIMAL) {
        return None;
    }
    let uniform = scale_min == scale_max;
    let double = tally.holds(forms::SHORTEST) || (uniform && tally.holds(forms::EXACT));
    if double && !counts_money(name) {
        let mut guess = plain(Kind::Float, "");
        if uniform {
            let digits = shown::counted(scale_max.into(), "decimal", "decimals");
            let kind = decimal(whole, scale_max).name();
            guess.notes.push(format!("always {digits}: `{kind}` would keep the digits too"));
        }
        return Some(guess);
    }
    let kind = if uniform { decimal(whole, scale_max) } else { Kind::Decimal(None) };
    let mut guess = plain(kind, "");
    if !uniform && tally.holds(forms::EXACT) {
        guess.notes.push(
            "written with differing decimals: `double` keeps the values, not the digits".to_owned(),
        );
    } else if !tally.holds(forms::EXACT) {
        guess.notes.push("more digits than a double keeps".to_owned());
    }
    Some(guess)
}

fn decimal(whole: u32, scale: u32) -> Kind {
    match (u16::try_from(whole + scale), u16::try_from(scale)) {
        (Ok(precision), Ok(scale)) => Kind::Decimal(Some((precision, scale))),
        (_, _) => Kind::Decimal(None),
    }
}

fn integer(tally: &Tally) -> Guess {
    let (low, high) = IntWidth::I64.range();
    let within = tally.extremes.as_ref().is_some_and(|(min, max)| {
        let fits = |text: &str| text.parse::<i128>().is_ok_and(|v| (low..=high).contains(&v));
        fits(&min.text) && fits(&max.text)
    });
    let mut guess = plain(if within { Kind::Int(IntWidth::I64) } else { Kind::Decimal(None) }, "");
    if !within {
        guess.notes.push("beyond 64 bits: kept as an exact decimal".to_owned());
    } else if tally.beyond_double > 0 {
        let values = shown::counted(tally.beyond_double, "value", "values");
        guess.notes.push(format!("{values} that no double holds: exact as integers"));
    }
    guess
}

fn counts_money(name: &str) -> bool {
    const WORDS: [&str; 14] = [
        "price", "amount", "total", "cost", "tax", "vat", "fee", "balance", "salary", "payment",
        "preis", "betrag", "eur", "usd",
    ];
    let name = name.to_lowercase();
    name.split(|letter: char| !letter.is_alphanumeric()).any(|part| WORDS.contains(&part))
}

fn tells_time(name: &str) -> bool {
    let name = name.to_lowercase();
    ["time", "date", "stamp", "epoch", "datum", "zeit"].iter().any(|word| name.contains(word))
        || name.ends_with("_at")
        || name
            .split(|letter: char| !letter.is_alphanumeric())
            .any(|part| matches!(part, "ts" | "at" | "day"))
}

fn stamp(name: &str, tally: &Tally) -> Option<Guess> {
    let holds = |pattern: &usize| tally.holds(FIRST_PATTERN + pattern);
    let pattern = (0..PATTERNS.len()).find(holds)?;
    let numeric = tally.holds(forms::DECIMAL);
    if numeric && !tells_time(name) {
        return None;
    }
    if stamps::rival(pattern).is_some_and(|rival| holds(&rival)) {
        return None;
    }
    let mut guess = plain(PATTERNS[pattern].kind, "");
    guess.timestamp = Some(PATTERNS[pattern].text);
    if let Some(clock) = tally.clocks.get(&pattern) {
        if clock.offsets_differ {
            guess
                .notes
                .push("offsets from UTC differ: instants are kept, offsets are not".to_owned());
        } else if let Some(offset) = clock.offset.filter(|offset| *offset != 0) {
            let (sign, minutes) = (if offset < 0 { '-' } else { '+' }, offset.abs());
            let offset = format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60);
            guess.notes.push(format!("every value has the offset {offset}; kept as instants"));
        }
    }
    Some(guess)
}

/// Dates of which nobody can say whether the day or the month comes first.
fn ambiguity(tally: &Tally) -> Option<String> {
    let holds = |pattern: &usize| tally.holds(FIRST_PATTERN + pattern);
    let pattern = (0..PATTERNS.len()).find(holds)?;
    let rival = stamps::rival(pattern).filter(holds)?;
    let (one, other) = (PATTERNS[pattern].text, PATTERNS[rival].text);
    Some(format!("every value is a date both as `{one}` and as `{other}`: say which"))
}

/// The form that most values have, if that is at least half of them.
fn doubt(name: &str, tally: &Tally) -> Option<Doubt> {
    let candidates = [forms::INTEGER, forms::DECIMAL, forms::UUID];
    let patterns = (0..PATTERNS.len())
        .filter(|pattern| !stamps::is_epoch(*pattern) || tells_time(name))
        .map(|pattern| FIRST_PATTERN + pattern);
    let best = candidates.into_iter().chain(patterns).max_by_key(|form| {
        // The later of two equals wins in `max_by_key`; the narrower form comes first here.
        (tally.fits[*form], std::cmp::Reverse(*form))
    })?;
    let first = tally.first_break(best)?.clone();
    let fits = tally.fits[best];
    if fits * 2 < tally.read || fits == 0 {
        return None;
    }
    let (almost, kind, timestamp) = named(best);
    Some(Doubt { almost, kind, timestamp, fits, of: tally.read, first })
}

fn named(form: usize) -> (String, Kind, Option<&'static str>) {
    match form {
        forms::INTEGER => ("integers".to_owned(), Kind::Int(IntWidth::I64), None),
        forms::UUID => ("UUIDs".to_owned(), Kind::Uuid, None),
        form if form >= FIRST_PATTERN => {
            let pattern = &PATTERNS[form - FIRST_PATTERN];
            let almost = format!("{}s as `{}`", pattern.kind.name(), pattern.text);
            (almost, pattern.kind, Some(pattern.text))
        }
        _ => ("numbers".to_owned(), Kind::Float, None),
    }
}

/// The spellings of NULL in a column whose kind is not text, as cells are written.
fn markers(tally: &Tally) -> Vec<String> {
    let mut out = Vec::new();
    for (marker, count) in MARKERS.iter().zip(&tally.markers) {
        if count.plain > 0 {
            out.push((*marker).to_owned());
        }
        if count.quoted > 0 {
            out.push(format!("\"{marker}\""));
        }
    }
    out
}

fn kept_markers(tally: &Tally) -> Option<String> {
    let kept: Vec<String> = MARKERS
        .iter()
        .zip(&tally.markers)
        .filter(|(_, count)| count.plain + count.quoted > 0)
        .map(|(marker, count)| {
            let marker = if marker.is_empty() { "empty".to_owned() } else { format!("`{marker}`") };
            format!("{marker} ({})", shown::count(count.plain + count.quoted))
        })
        .collect();
    (!kept.is_empty()).then(|| format!("{} stay text", kept.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::column::{CellNote, Place};
    use expect_test::{Expect, expect};
    use proptest::prelude::*;
    use whimbrel_model::ValueRef;

    fn tally(cells: &[&str]) -> Tally {
        let mut tally = Tally::default();
        for (at, cell) in cells.iter().enumerate() {
            let place = Place { file: 0, line: at as u64 + 2, record: at as u64 + 1 };
            let quoted = cell.len() >= 2 && cell.starts_with('"') && cell.ends_with('"');
            let (cell, note) = if quoted {
                (&cell[1..cell.len() - 1], CellNote::Quoted)
            } else {
                (*cell, CellNote::Plain)
            };
            tally.add(ValueRef::Text(cell), note, place);
        }
        tally
    }

    #[allow(clippy::format_push_string)] // a test, written to be read
    fn told(guess: &Guess) -> String {
        let mut out = guess.kind.name();
        if let Some(format) = guess.timestamp {
            out += &format!(" {format}");
        }
        if let Some((yes, no)) = guess.words {
            out += &format!(" {yes}/{no}");
        }
        if !guess.null.is_empty() {
            out += &format!(" null {:?}", guess.null);
        }
        for note in &guess.notes {
            out += &format!("; {note}");
        }
        if let Some(doubt) = &guess.doubt {
            let Doubt { almost, fits, of, first, .. } = doubt;
            out += &format!("; {fits} of {of} are {almost}: `{}` {}", first.value, first.reason);
        }
        out
    }

    #[allow(clippy::needless_pass_by_value)] // an expectation is written where it is used
    fn check(name: &str, cells: &[&str], expect: Expect) {
        expect.assert_eq(&told(&guess(name, &tally(cells), false)));
    }

    #[test]
    fn a_postal_code_stays_text() {
        check(
            "zip",
            &["10115", "00601"],
            expect!["text; 1 of 2 are integers: `00601` has a leading zero"],
        );
    }

    #[test]
    fn the_eight_silent_corruptions_stay_what_they_are() {
        check("c", &["00601", "00602", "", "1e5"], expect!["text; empty (1) stay text"]);
        check("c", &["1", "1e5"], expect!["text; 1 of 2 are integers: `1e5` is in exponent form"]);
        check(
            "c",
            &["9007199254740993", "18446744073709551615"],
            expect!["decimal; beyond 64 bits: kept as an exact decimal"],
        );
        check(
            "c",
            &["9007199254740993"],
            expect!["integer; 1 value that no double holds: exact as integers"],
        );
        check(
            "c",
            &["1.10", "1.1"],
            expect![
                "decimal; written with differing decimals: `double` keeps the values, not the digits"
            ],
        );
        check(
            "c",
            &["1", "2", "ABC", "", "0012"],
            expect!["text; empty (1) stay text; 2 of 4 are integers: `ABC` is not a number"],
        );
        check("dep_time", &["517", "NA"], expect![[r#"integer null ["NA"]"#]]);
        check("time_hour", &["2013-01-01T10:00:00Z"], expect!["timestamptz rfc3339"]);
    }

    #[test]
    fn sensors_are_doubles_and_money_is_decimal() {
        check(
            "T1",
            &["20.50", "21.00"],
            expect!["double; always 2 decimals: `decimal(4,2)` would keep the digits too"],
        );
        check("price", &["19.90", "5.00"], expect!["decimal(4,2)"]);
        check("rpm", &["0", "120.5"], expect!["double"]);
        check(
            "rpm",
            &["0", "0.0"],
            expect![
                "decimal; written with differing decimals: `double` keeps the values, not the digits"
            ],
        );
    }

    #[test]
    fn quoted_and_bare_spellings_of_null_are_told_apart() {
        check(
            "n",
            &["1", "", "\"\"", "\"NA\""],
            expect![[r#"integer null ["", "\"\"", "\"NA\""]"#]],
        );
    }

    #[test]
    fn day_and_month_are_not_guessed() {
        check(
            "d",
            &["03/04/2024"],
            expect!["text; every value is a date both as `%d/%m/%Y` and as `%m/%d/%Y`: say which"],
        );
        check("d", &["03/04/2024", "31/12/2024"], expect!["date %d/%m/%Y"]);
    }

    #[test]
    fn an_epoch_needs_a_name_that_says_so() {
        check("Timestamp", &["1704067200.250"], expect!["timestamptz unix"]);
        check("serial", &["1704067200"], expect!["integer"]);
    }

    #[test]
    fn words_are_a_boolean_only_as_a_pair() {
        check("ok", &["yes", "no"], expect!["boolean yes/no"]);
        check("ok", &["true", "false"], expect!["boolean"]);
        check("ok", &["yes", "yes"], expect!["text"]);
        check("ok", &["true", "True"], expect!["text"]);
    }

    #[test]
    fn most_values_of_a_format_are_said_with_the_first_that_is_not() {
        check(
            "d",
            &["2024-01-02", "2024-01-03", "31/02/2019"],
            expect![
                "text; 2 of 3 are dates as `%Y-%m-%d`: `31/02/2019` is not a date or time in that format"
            ],
        );
    }

    #[test]
    fn json_decides_its_kinds_itself() {
        let mut tally = Tally::default();
        tally.add(ValueRef::Text("12"), CellNote::Plain, Place::default());
        assert_eq!(guess("n", &tally, true).kind, Kind::Text(None));
        tally.add(ValueRef::Decimal("12"), CellNote::Plain, Place::default());
        expect!["text; mixed: 1 text, 1 number"].assert_eq(&told(&guess("n", &tally, true)));
    }

    /// What a cell is after a round trip through the inferred kind.
    fn round_trip(cell: &str, guess: &Guess, scale: Option<usize>) -> Option<String> {
        match guess.kind {
            Kind::Int(_) => cell.parse::<i64>().ok().map(|v| v.to_string()),
            Kind::Float => {
                let value: f64 = cell.parse().ok()?;
                Some(match scale {
                    Some(scale) => format!("{value:.scale$}"),
                    None => value.to_string(),
                })
            }
            Kind::Text(_) | Kind::Decimal(_) | Kind::Json | Kind::Uuid => Some(cell.to_owned()),
            Kind::Bool => {
                let (yes, no) = guess.words.unwrap_or(("true", "false"));
                if cell == yes { Some(yes.to_owned()) } else { (cell == no).then(|| no.to_owned()) }
            }
            Kind::Date if guess.timestamp == Some("%Y-%m-%d") => {
                let mut found = None;
                stamps::each_match(cell, |stamp| {
                    let day = whimbrel_model::DateTime::from_unix_nanos(stamp.nanos).unwrap();
                    found = Some(day.date().to_string());
                });
                found
            }
            Kind::Date
            | Kind::Time
            | Kind::Timestamp
            | Kind::TimestampTz
            | Kind::Bytes
            | Kind::Any => Some(cell.to_owned()),
        }
    }

    proptest! {
        #[test]
        fn what_is_inferred_comes_back_as_it_was(cells in prop_oneof![
            prop::collection::vec("-?[0-9]{1,22}", 1..12),
            prop::collection::vec("-?[0-9]{1,5}(\\.[0-9]{1,4})?", 1..12),
            prop::collection::vec("-?[0-9]{1,5}\\.[0-9]{2}", 1..12),
            prop::collection::vec("[+-]?0{0,2}[0-9]{1,3}(e[0-9])?", 1..12),
            prop::collection::vec("(true|false|True|yes|no|y|n)", 1..6),
            prop::collection::vec("20[0-9]{2}-[01][0-9]-[0-3][0-9]", 1..6),
            prop::collection::vec("\\PC{0,6}", 1..6),
        ]) {
            let cells: Vec<&str> = cells.iter().map(String::as_str).collect();
            let tally = tally(&cells);
            let guess = guess("column", &tally, false);
            let scale = tally.digits.filter(|(_, low, high)| low == high).map(|(_, _, scale)| scale as usize);
            for cell in cells {
                if guess.null.iter().any(|marker| marker == cell) {
                    continue;
                }
                prop_assert_eq!(round_trip(cell, &guess, scale), Some(cell.to_owned()));
            }
        }
    }
}
