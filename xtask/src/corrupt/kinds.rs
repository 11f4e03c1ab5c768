//! Every kind of damage: what it is called, who must find it, and how it is done.

use whimbrel_testkit::Dice;

use super::Wound;
use super::cells::{self, Scene, is, is_number, is_text, of_instant, of_text};
use super::instant::{HOUR, Instant, SECOND};
use super::json;
use super::patient::{By, Sort};
use super::rows::{self, Lead, Which};
use super::shape;

/// Who must find it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Finder {
    Basic,
    Standard,
    Rigorous,
    /// `audit verify`.
    Audit,
    /// `audit verify --anchor`.
    Anchor,
    /// Nobody may: it is no damage.
    Nobody,
}

impl Finder {
    pub fn name(self) -> &'static str {
        match self {
            Self::Basic => "basic",
            Self::Standard => "standard",
            Self::Rigorous => "rigorous",
            Self::Audit => "audit",
            Self::Anchor => "anchor",
            Self::Nobody => "nobody",
        }
    }
}

/// What is damaged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// Rows, which are to be named.
    Rows,
    /// A whole table, which is to be named.
    Tables,
    /// What is known of them.
    Ledger,
}

pub struct Kind {
    pub name: &'static str,
    pub finder: Finder,
    pub place: Place,
    /// Ways to do it, to be tried one after another until one has changed something.
    pub ways: fn(&Scene<'_>, &mut Dice) -> Vec<Wound>,
}

const fn kind(
    name: &'static str,
    finder: Finder,
    ways: fn(&Scene<'_>, &mut Dice) -> Vec<Wound>,
) -> Kind {
    Kind { name, finder, place: Place::Rows, ways }
}

impl Kind {
    const fn of(self, place: Place) -> Self {
        Self { place, ..self }
    }
}

use Finder::{Anchor, Audit, Basic, Nobody, Rigorous, Standard};

pub const KINDS: &[Kind] = &[
    // Texts.
    kind("one bit of a text", Standard, |s, d| s.one(d, is_text, of_text(cells::bit_of_text))),
    kind("one bit of bytes", Standard, |s, d| {
        s.one(d, is(Sort::Bytes), of_text(cells::bit_of_digits))
    }),
    kind("one bit of a UUID", Standard, |s, d| {
        s.one(d, is(Sort::Uuid), of_text(cells::bit_of_digits))
    }),
    kind("a blank at the end", Standard, |s, d| {
        s.one(d, is_text, of_text(|old| Some(format!("{old} "))))
    }),
    kind("a blank at the beginning", Standard, |s, d| {
        s.one(d, is_text, of_text(|old| Some(format!(" {old}"))))
    }),
    kind("'' becomes NULL", Standard, |s, d| {
        s.one(d, |own| is_text(own) && own.nullable, |old| (old == Some("")).then_some(None))
    }),
    kind("NULL becomes ''", Standard, |s, d| {
        s.one(
            d,
            |own| is_text(own) && own.nullable,
            |old| old.is_none().then(|| Some(String::new())),
        )
    }),
    kind("NULL becomes 'NULL'", Standard, |s, d| {
        s.one(
            d,
            |own| is_text(own) && own.nullable,
            |old| old.is_none().then(|| Some("NULL".to_owned())),
        )
    }),
    kind("another normal form", Standard, |s, d| s.one(d, is_text, of_text(cells::other_form))),
    kind("another case", Standard, |s, d| s.one(d, is_text, of_text(cells::other_case))),
    kind("`ß` becomes `ss`", Standard, |s, d| {
        s.one(d, is_text, of_text(|old| old.contains('ß').then(|| old.replacen('ß', "ss", 1))))
    }),
    kind("UTF-8 read as Latin-1", Standard, |s, d| s.one(d, is_text, of_text(cells::mojibake))),
    kind("a replacement character", Standard, |s, d| {
        s.one(d, is_text, of_text(cells::replacement))
    }),
    kind("a letter that looks the same", Standard, |s, d| {
        s.one(d, is_text, of_text(cells::homoglyph))
    }),
    kind("the last letter is gone", Standard, |s, d| s.one(d, is_text, of_text(cells::truncated))),
    kind("a text doubled", Standard, |s, d| {
        s.one(d, is_text, of_text(|old| (old.len() < 40).then(|| old.repeat(2))))
    }),
    kind("CR LF for LF", Standard, |s, d| {
        s.one(
            d,
            is_text,
            of_text(|old| {
                (old.contains('\n') && !old.contains('\r')).then(|| old.replace('\n', "\r\n"))
            }),
        )
    }),
    kind("U+0000 within", Standard, |s, d| {
        s.one(d, is_text, of_text(|old| cells::inserted(old, '\0')))
    }),
    kind("a character without width", Standard, |s, d| {
        s.one(d, is_text, of_text(|old| cells::inserted(old, '\u{200b}')))
    }),
    // Numbers.
    kind("the other sign", Standard, |s, d| s.one(d, is_number, of_text(cells::negated))),
    kind("off by one", Standard, |s, d| s.one(d, is(Sort::Int), of_text(cells::one_more))),
    kind("one more in 2 rows", Standard, |s, d| s.many(d, is_number, |_| 2, cells::one_more)),
    kind("one more in half of the rows", Standard, |s, d| {
        s.many(d, is_number, |all| all / 4 * 2, cells::one_more)
    }),
    kind("one more in all rows, evenly many", Standard, |s, d| {
        s.many(d, is_number, |all| all / 2 * 2, cells::one_more)
    }),
    kind("the last bit of a double", Standard, |s, d| {
        s.one(d, is(Sort::Float), of_text(cells::last_bit))
    }),
    kind("a double through six digits", Standard, |s, d| {
        s.one(d, is(Sort::Float), of_text(cells::six_digits))
    }),
    kind("a double through a single float", Standard, |s, d| {
        s.one(d, is(Sort::Float), of_text(cells::single))
    }),
    kind("0 becomes -0", Standard, |s, d| {
        s.one(d, is(Sort::Float), |old| {
            let is_zero = old.is_some_and(|old| old == "0" || old == "0.0");
            is_zero.then(|| Some("-0.0".to_owned()))
        })
    }),
    kind("an integer through a double", Standard, |s, d| {
        s.one(d, is(Sort::Int), of_text(cells::through_double))
    }),
    kind("the last digit of a decimal", Standard, |s, d| {
        s.one(d, is(Sort::Decimal), of_text(cells::last_digit))
    }),
    kind("a decimal's point moved", Standard, |s, d| {
        s.one(d, is(Sort::Decimal), of_text(cells::tenth))
    }),
    kind("0 for NULL", Standard, |s, d| {
        s.one(
            d,
            |own| is_number(own) && own.nullable,
            |old| old.is_none().then(|| Some("0".to_owned())),
        )
    }),
    // Any value.
    kind("a value becomes NULL", Standard, |s, d| {
        s.one(d, |own| own.nullable, |old| old.map(|_| None))
    }),
    kind("NULL becomes a value", Standard, rows::value_for_null),
    kind("a status becomes another one", Standard, rows::status_exchanged),
    kind("one boolean flipped", Standard, |s, d| s.one(d, is(Sort::Bool), of_text(flipped))),
    kind("two booleans flipped", Standard, |s, d| s.many(d, is(Sort::Bool), |_| 2, flipped)),
    kind("half of the booleans flipped", Standard, |s, d| {
        s.many(d, is(Sort::Bool), |all| all / 4 * 2, flipped)
    }),
    // Times.
    kind("7 hours later in all rows", Standard, |s, d| {
        s.many(d, is(Sort::Instant), |all| all, in_time(s, |own| Some(own.later(7 * HOUR))))
    }),
    kind("7 hours later in one row", Standard, |s, d| {
        s.one(d, is(Sort::Instant), of_text(in_time(s, |own| Some(own.later(7 * HOUR)))))
    }),
    kind("an hour later in summer", Standard, |s, d| {
        s.many(d, is(Sort::Instant), |all| all, in_time(s, cells::an_hour_in_summer))
    }),
    kind("a fraction of a second lost", Standard, |s, d| {
        s.one(d, is(Sort::Instant), of_text(in_time(s, |own| Some(cells::cut(own, SECOND)))))
    }),
    kind("microseconds lost", Standard, |s, d| {
        s.one(d, is(Sort::Instant), of_text(in_time(s, |own| Some(cells::cut(own, 1_000)))))
    }),
    kind("day and month exchanged", Standard, |s, d| {
        s.one(d, is(Sort::Instant), of_text(in_time(s, cells::day_and_month)))
    }),
    kind("another century", Standard, |s, d| {
        let earlier = |old: &str| {
            let date = old.strip_prefix("20").filter(|rest| !rest.starts_with("00-02-29"))?;
            Some(format!("19{date}"))
        };
        let wanted = |sort| matches!(sort, Sort::Instant | Sort::Date);
        s.one(d, |own| wanted(own.sort), of_text(earlier))
    }),
    // JSON.
    kind("members of JSON in another order", Nobody, |s, d| {
        s.one(d, is(Sort::Json), of_text(json::other_order))
    }),
    kind("1 as 1.0 in JSON", Nobody, |s, d| {
        s.one(d, is(Sort::Json), of_text(json::other_spelling))
    }),
    kind("a value within JSON", Standard, |s, d| {
        s.one(d, is(Sort::Json), of_text(json::other_value))
    }),
    kind("a member of JSON gone", Standard, |s, d| {
        s.one(d, is(Sort::Json), of_text(json::without_member))
    }),
    kind("a member of JSON is null", Standard, |s, d| {
        s.one(d, is(Sort::Json), of_text(json::null_member))
    }),
    // Rows.
    kind("two rows exchange their values", Standard, rows::swapped),
    kind("two columns exchange theirs", Standard, rows::columns_swapped),
    kind("a letter over the column's border", Standard, rows::over_the_border),
    kind("a row twice, under a new key", Basic, rows::duplicated),
    kind("a key twice", Basic, shape::key_twice),
    kind("the first row gone", Basic, |s, d| rows::gone(s, d, Which::First)),
    kind("the last row gone", Basic, |s, d| rows::gone(s, d, Which::Last)),
    kind("a row in the middle gone", Basic, |s, d| rows::gone(s, d, Which::Middle)),
    kind("a batch of rows gone", Basic, |s, d| rows::gone(s, d, Which::Batch)),
    kind("all rows gone", Basic, |s, d| rows::gone(s, d, Which::All)),
    kind("a row too many", Basic, rows::invented),
    kind("a row replaced by another one", Standard, rows::replaced),
    kind("a row in the wrong table", Basic, rows::in_the_wrong_table),
    kind("a reject loaded by hand", Basic, rows::loaded_by_hand),
    kind("a loaded row made a reject", Basic, rows::made_a_reject),
    kind("a column that no mapping fills", Standard, rows::unmapped),
    kind("a table that SQL writes too", Standard, |s, d| rows::written_by_sql(s, d, By::Both)),
    kind("a table that SQL alone writes", Standard, |s, d| rows::written_by_sql(s, d, By::Sql)),
    // Keys and references.
    kind("another key", Standard, |s, d| rows::key_changed(s, d, false)),
    kind("another key, and its children's", Standard, |s, d| rows::key_changed(s, d, true)),
    kind("a reference to another parent", Standard, |s, d| rows::astray(s, d, Lead::Other)),
    kind("two children exchange parents", Standard, |s, d| rows::astray(s, d, Lead::Exchanged)),
    kind("an orphan", Standard, |s, d| rows::astray(s, d, Lead::Nowhere)),
    kind("its own parent", Standard, |s, d| rows::astray(s, d, Lead::Itself)),
    kind("parents in a circle", Standard, |s, d| rows::astray(s, d, Lead::Circle)),
    // Tables.
    kind("a table dropped", Basic, shape::table_dropped).of(Place::Tables),
    kind("a column dropped", Basic, shape::column_dropped).of(Place::Tables),
    // Every value of a column that is of another type differs, also where it looks the same.
    kind("a column of a narrower type", Standard, shape::type_changed).of(Place::Tables),
    // The ledger.
    kind("ledger: count of a batch", Basic, shape::batch_count).of(Place::Ledger),
    kind("ledger: a batch removed", Basic, shape::batch_removed).of(Place::Ledger),
    kind("ledger: sums of a batch", Standard, shape::batch_sums).of(Place::Ledger),
    kind("ledger: count of a file", Basic, shape::item_count).of(Place::Ledger),
    kind("ledger: a file removed", Basic, shape::item_removed).of(Place::Ledger),
    kind("ledger: a reject removed", Basic, shape::reject_removed).of(Place::Ledger),
    kind("ledger: status of a reject", Rigorous, shape::reject_status).of(Place::Ledger),
    kind("ledger: where a record went", Rigorous, shape::mapping).of(Place::Ledger),
    kind("ledger: undo of a batch", Rigorous, shape::undo).of(Place::Ledger),
    kind("ledger: undo of a batch removed", Rigorous, shape::undo_removed).of(Place::Ledger),
    kind("audit: an entry changed", Audit, shape::audit_changed).of(Place::Ledger),
    kind("audit: an entry removed", Audit, shape::audit_removed).of(Place::Ledger),
    kind("audit: the last entry removed", Anchor, shape::audit_tail).of(Place::Ledger),
    kind("audit: entries in another order", Audit, shape::audit_reordered).of(Place::Ledger),
    kind("audit: a checkpoint changed", Audit, shape::checkpoint).of(Place::Ledger),
];

fn flipped(old: &str) -> Option<String> {
    let new = match old {
        "t" => "f",
        "f" => "t",
        "0" => "1",
        "1" => "0",
        _ => return None,
    };
    Some(new.to_owned())
}

fn in_time(
    scene: &Scene<'_>,
    change: impl Fn(Instant) -> Option<Instant>,
) -> impl Fn(&str) -> Option<String> {
    of_instant(scene.engine(), change)
}
