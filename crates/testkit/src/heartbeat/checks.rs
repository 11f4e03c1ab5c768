//! Checks: what is polled, and how often.

use super::{Row, SECOND, dice, taken};
use crate::dump::Cell;

pub(super) const COLUMNS: [&str; 9] = [
    "id",
    "name",
    "url",
    "expected_text",
    "check_interval",
    "timeout",
    "is_active",
    "created_at",
    "updated_at",
];

/// Checks with the results of a large database have ids from here on.
pub(super) const CLEAN_FROM: i64 = 1_001;

/// How many results each of them has, about.
const CLEAN_EACH: u64 = 3_500;

/// A check, and how its results end.
pub(super) struct Check {
    pub(super) id: i64,
    name: String,
    url: String,
    expected_text: Cell,
    pub(super) interval: Cell,
    pub(super) timeout: Cell,
    is_active: Cell,
    created_at: Cell,
    updated_at: Cell,
    pub(super) results: Results,
    pub(super) sqlite_only: bool,
}

/// The results that a check has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Results {
    /// None at all.
    None,
    /// A few, the last one this many microseconds before the data was taken.
    Until(i64),
    /// A few, none of them healthy.
    Bad,
}

impl Check {
    fn new(seed: u64, id: i64) -> Self {
        let mut dice = dice(seed, &format!("check {id}"));
        let interval = dice.between(1, 12) * 30;
        let timeout = dice.between(5, 60);
        let created =
            taken() - dice.between(40, 500) * 86_400 * SECOND + dice.between(0, 86_399_999_999);
        let updated = created + dice.between(0, 30 * 86_400) * SECOND;
        let system = dice.pick(&["api", "shop", "billing", "suche", "façade", "登入", "cache"]);
        let place = dice.pick(&["eu", "us", "tw"]);
        let last = if dice.one_in(3) { dice.between(1, 20) } else { dice.between(600, 90_000) };
        Self {
            id,
            name: format!("{system} {place} {id}"),
            url: format!("https://{place}.example.test/{system}/health?id={id}"),
            expected_text: if dice.one_in(3) { Cell::Null } else { Cell::text("\"ok\": true") },
            interval: Cell::Int(interval),
            timeout: Cell::Int(timeout),
            is_active: Cell::Bool(!dice.one_in(8)),
            created_at: Cell::Time(created),
            updated_at: Cell::Time(updated),
            results: Results::Until(last * SECOND - dice.between(1, 999_999)),
            sqlite_only: false,
        }
    }

    pub(super) fn into_row(self) -> Row {
        let cells = [
            Cell::Int(self.id),
            Cell::Text(self.name),
            Cell::Text(self.url),
            self.expected_text,
            self.interval,
            self.timeout,
            self.is_active,
            self.created_at,
            self.updated_at,
        ];
        if self.sqlite_only { Row::sqlite_only(cells) } else { Row::new(cells) }
    }
}

/// How many checks a large database needs for so many clean results.
pub(super) fn clean(results: u64) -> i64 {
    results.div_ceil(CLEAN_EACH) as i64
}

/// All checks: 25 without damage, the dirty ones, and those of a large database.
pub(super) fn all(seed: u64, clean_results: u64) -> Vec<Check> {
    let mut checks: Vec<Check> = (1..=25).map(|id| Check::new(seed, id)).collect();
    dirty(seed, &mut checks);
    checks.extend((CLEAN_FROM..CLEAN_FROM + clean(clean_results)).map(|id| Check::new(seed, id)));
    checks
}

fn dirty(seed: u64, checks: &mut Vec<Check>) {
    let first_name = checks[0].name.clone();
    let mut add = |id, edit: &dyn Fn(&mut Check)| {
        let mut check = Check::new(seed, id);
        check.is_active = Cell::Bool(true);
        edit(&mut check);
        checks.push(check);
    };
    // Intervals: missing, zero, negative; a text and a fraction where SQLite lets them in.
    add(26, &|check| check.interval = Cell::Null);
    add(27, &|check| check.interval = Cell::Int(0));
    add(28, &|check| check.interval = Cell::Int(-60));
    add(29, &|check| {
        check.interval = Cell::text("5 min");
        check.sqlite_only = true;
    });
    add(30, &|check| {
        check.interval = Cell::Number("60.5".to_owned());
        check.sqlite_only = true;
    });
    add(31, &|check| check.timeout = Cell::Null);
    add(32, &|check| check.timeout = Cell::Int(-1));
    // Truth values and times that nobody has set.
    add(33, &|check| check.is_active = Cell::Null);
    add(34, &|check| {
        check.is_active = Cell::Bool(false);
        check.results = Results::Until(90 * 86_400 * SECOND);
    });
    add(35, &|check| {
        check.created_at = Cell::Null;
        check.updated_at = Cell::Null;
    });
    // Names: as long as may be, too long, said before, blanks at the ends, nothing.
    add(36, &|check| check.name = "長".repeat(100));
    add(37, &|check| {
        check.name = format!("{} zu lang", "n".repeat(93));
        check.sqlite_only = true;
    });
    add(38, &|check| check.name.clone_from(&first_name));
    add(39, &|check| "  ends in blanks  ".clone_into(&mut check.name));
    add(40, &|check| {
        check.url = format!("https://example.test/?{}", "q".repeat(500));
        check.sqlite_only = true;
    });
    // Nothing to derive a heartbeat from.
    add(41, &|check| check.results = Results::None);
    add(42, &|check| check.results = Results::Bad);
    // A heartbeat just now; at the very end of its time; a microsecond too late.
    let at_its_end = |late: i64| {
        move |check: &mut Check| {
            check.interval = Cell::Int(300);
            check.timeout = Cell::Int(20);
            check.results = Results::Until(320 * SECOND + late);
        }
    };
    add(43, &|check| check.results = Results::Until(SECOND / 2));
    add(44, &at_its_end(0));
    add(45, &at_its_end(1));
    add(46, &|check| check.name.clear());
    add(47, &|check| {
        check.created_at = Cell::text("yesterday");
        check.sqlite_only = true;
    });
    // Changed before it was made.
    add(48, &|check| {
        check.created_at = Cell::Time(taken() - 86_400 * SECOND);
        check.updated_at = Cell::Time(taken() - 2 * 86_400 * SECOND);
    });
    // Quotes, a backslash, a line end and a tab in what has no place in the target.
    add(49, &|check| check.expected_text = Cell::text("it's \\ \"fine\"\n\tnow"));
    add(50, &|check| {
        check.expected_text = Cell::text("");
        check.interval = Cell::Int(2_147_483_647);
    });
}
