//! Damage to rows, keys and references.

use whimbrel_testkit::Dice;

use super::Wound;
use super::cells::{Scene, from_anywhere, shuffled, text};
use super::door::Value;
use super::patient::{By, Column, Sort, Table};

/// Cells that two rows, or two columns, exchange.
type Cells = Vec<(usize, Option<String>)>;

fn owned(value: &Value) -> Option<String> {
    text(value).map(str::to_owned)
}

/// A row with other texts in some cells; of a column's own spelling.
fn with(table: &Table, row: &[Value], cells: &[(usize, String)]) -> Vec<Value> {
    let mut row = row.to_vec();
    for (at, new) in cells {
        let mut cell = row[*at].clone();
        if cell.is_none() {
            cell = table.rows.iter().find_map(|other| other[*at].clone());
        }
        if let Some(cell) = &mut cell {
            cell.text.clone_from(new);
        }
        row[*at] = cell;
    }
    row
}

/// A value for the last column of a key that no row has.
fn new_key(table: &Table, dice: &mut Dice) -> Option<(usize, String)> {
    let at = *table.key.last()?;
    let taken = || table.rows.iter().filter_map(|row| text(&row[at]));
    let new = match table.columns[at].sort {
        Sort::Int => (taken().filter_map(|key| key.parse::<i64>().ok()).max()? + 1).to_string(),
        Sort::Uuid => uuid(dice),
        _ => format!("{}x", taken().next()?),
    };
    Some((at, new))
}

fn uuid(dice: &mut Dice) -> String {
    let digits = format!("{:016x}{:016x}", dice.roll(), dice.roll());
    let part = |from, to| &digits[from..to];
    let (first, last) = (part(0, 8), part(20, 32));
    format!("{first}-{}-4{}-8{}-{last}", part(8, 12), part(13, 16), part(17, 20))
}

/// All cells that are no key.
fn rest(table: &Table) -> impl Iterator<Item = usize> + '_ {
    (0..table.columns.len()).filter(|at| !table.key.contains(at))
}

/// Two rows' values are exchanged, keys are not.
pub fn swapped(scene: &Scene<'_>, dice: &mut Dice) -> Vec<Wound> {
    let pair = |table: &Table, dice: &mut Dice| {
        let [one, two] = two_rows(table, dice)?;
        let cells =
            |row: &[Value]| -> Cells { rest(table).map(|at| (at, owned(&row[at]))).collect() };
        let update = |row, from: &[Value]| table.update(scene.door, row, &cells(from));
        Some(Wound::of(vec![update(one, two), update(two, one)]))
    };
    scene.loaded(dice).into_iter().filter_map(|table| pair(table, dice)).collect()
}

fn two_rows<'a>(table: &'a Table, dice: &mut Dice) -> Option<[&'a Vec<Value>; 2]> {
    let mut rows = from_anywhere(&table.rows, dice);
    let one = rows.next()?;
    let differs = |two: &&Vec<Value>| rest(table).any(|at| two[at] != one[at]);
    Some([one, rows.find(differs)?])
}

/// Two columns of one sort, in one row.
pub fn columns_swapped(scene: &Scene<'_>, dice: &mut Dice) -> Vec<Wound> {
    let mut wounds = Vec::new();
    for (table, one) in scene.columns(dice, |column| column.parent.is_none()) {
        let is_like = |two: &usize| {
            let (one, two) = (&table.columns[one], &table.columns[*two]);
            one.sort == two.sort && two.filled && two.parent.is_none() && one.name < two.name
        };
        let Some(two) = rest(table).find(is_like) else { continue };
        let differs =
            |row: &&Vec<Value>| row[one] != row[two] && row[one].is_some() && row[two].is_some();
        let Some(row) = from_anywhere(&table.rows, dice).find(differs) else { continue };
        let cells = [(one, owned(&row[two])), (two, owned(&row[one]))];
        wounds.push(Wound::of(vec![table.update(scene.door, row, &cells)]));
    }
    wounds
}

/// The last letter of one text becomes the first of the next one.
pub fn over_the_border(scene: &Scene<'_>, dice: &mut Dice) -> Vec<Wound> {
    let is_plain =
        |column: &Column| column.sort == Sort::Text && column.filled && column.parent.is_none();
    let mut wounds = Vec::new();
    for (table, one) in scene.columns(dice, is_plain) {
        let two = rest(table).find(|&two| two > one && is_plain(&table.columns[two]));
        let Some(two) = two else { continue };
        let long = |row: &&Vec<Value>| {
            text(&row[one]).is_some_and(|text| text.chars().count() > 1) && row[two].is_some()
        };
        let Some(row) = from_anywhere(&table.rows, dice).find(long) else { continue };
        let (Some(left), Some(right)) = (text(&row[one]), text(&row[two])) else { continue };
        let Some(last) = left.chars().next_back() else { continue };
        let left = left[..left.len() - last.len_utf8()].to_owned();
        let cells = [(one, Some(left)), (two, Some(format!("{last}{right}")))];
        wounds.push(Wound::of(vec![table.update(scene.door, row, &cells)]));
    }
    wounds
}

/// A status becomes one that other rows have.
pub fn status_exchanged(scene: &Scene<'_>, dice: &mut Dice) -> Vec<Wound> {
    let mut wounds = Vec::new();
    for (table, at) in scene.columns(dice, |column| column.sort == Sort::Text) {
        let mut values: Vec<&str> = table.rows.iter().filter_map(|row| text(&row[at])).collect();
        values.sort_unstable();
        values.dedup();
        if !(2..=6).contains(&values.len()) {
            continue;
        }
        let row = from_anywhere(&table.rows, dice).find(|row| row[at].is_some());
        let Some((row, old)) = row.and_then(|row| Some((row, text(&row[at])?))) else { continue };
        let new = shuffled(values, dice).into_iter().find(|new| *new != old).map(str::to_owned);
        wounds.push(Wound::of(vec![table.update(scene.door, row, &[(at, new)])]));
    }
    wounds
}

/// A NULL becomes what another row has.
pub fn value_for_null(scene: &Scene<'_>, dice: &mut Dice) -> Vec<Wound> {
    let mut wounds = Vec::new();
    for (table, at) in scene.columns(dice, |column| column.nullable) {
        let Some(value) = table.rows.iter().find_map(|row| text(&row[at])) else { continue };
        let Some(row) = from_anywhere(&table.rows, dice).find(|row| row[at].is_none()) else {
            continue;
        };
        let cells = [(at, Some(value.to_owned()))];
        wounds.push(Wound::of(vec![table.update(scene.door, row, &cells)]));
    }
    wounds
}

/// A row once more, under a new key.
pub fn duplicated(scene: &Scene<'_>, dice: &mut Dice) -> Vec<Wound> {
    added(scene, dice, |_, _| Vec::new())
}

/// A row that no record has brought, with values of its own.
pub fn invented(scene: &Scene<'_>, dice: &mut Dice) -> Vec<Wound> {
    added(scene, dice, |table, dice| {
        let is_own = |at: &usize| {
            let column = &table.columns[*at];
            column.sort == Sort::Uuid && column.parent.is_none()
        };
        rest(table).filter(is_own).map(|at| (at, uuid(dice))).collect()
    })
}

fn added(
    scene: &Scene<'_>,
    dice: &mut Dice,
    others: impl Fn(&Table, &mut Dice) -> Vec<(usize, String)>,
) -> Vec<Wound> {
    let mut wounds = Vec::new();
    for table in scene.loaded(dice) {
        let Some(key) = new_key(table, dice) else { continue };
        let Some(row) = from_anywhere(&table.rows, dice).next() else { continue };
        let mut cells = others(table, dice);
        cells.push(key);
        wounds.push(Wound::of(vec![table.insert(scene.door, &with(table, row, &cells))]));
    }
    wounds
}

/// Which rows are taken away.
#[derive(Clone, Copy)]
pub enum Which {
    First,
    Last,
    Middle,
    Batch,
    All,
}

/// Rows that are gone.
pub fn gone(scene: &Scene<'_>, dice: &mut Dice, which: Which) -> Vec<Wound> {
    let mut wounds = Vec::new();
    for table in scene.loaded(dice) {
        let count = table.rows.len();
        let rows = match which {
            Which::First => &table.rows[..1],
            Which::Last => &table.rows[count - 1..],
            Which::Middle => &table.rows[count / 2..=count / 2],
            Which::Batch => &table.rows[count / 4..count / 4 + (count / 3).clamp(1, 50)],
            Which::All => &table.rows[..],
        };
        wounds.push(Wound::of(rows.iter().map(|row| table.delete(scene.door, row)).collect()));
    }
    wounds
}

/// One row goes and another comes.
pub fn replaced(scene: &Scene<'_>, dice: &mut Dice) -> Vec<Wound> {
    let mut wounds = Vec::new();
    for table in scene.loaded(dice) {
        let Some(key) = new_key(table, dice) else { continue };
        let Some(row) = from_anywhere(&table.rows, dice).next() else { continue };
        let insert = table.insert(scene.door, &with(table, row, &[key]));
        wounds.push(Wound::of(vec![table.delete(scene.door, row), insert]));
    }
    wounds
}

/// A row has another key; of a parent, its children follow.
pub fn key_changed(scene: &Scene<'_>, dice: &mut Dice, with_children: bool) -> Vec<Wound> {
    let mut wounds = Vec::new();
    for table in scene.loaded(dice) {
        let Some((at, new)) = new_key(table, dice) else { continue };
        let mut found = None;
        for row in from_anywhere(&table.rows, dice) {
            let Some(old) = text(&row[at]) else { continue };
            let children = children(scene, table, old, &new);
            if children.is_empty() != with_children {
                found = Some((row, children));
                break;
            }
        }
        let Some((row, mut statements)) = found else { continue };
        statements.insert(0, table.update(scene.door, row, &[(at, Some(new))]));
        wounds.push(Wound::of(statements));
    }
    wounds
}

/// Rows that point to a key point to another one.
fn children(scene: &Scene<'_>, parent: &Table, old: &str, new: &str) -> Vec<String> {
    let mut statements = Vec::new();
    for table in scene.tables {
        for (at, column) in table.columns.iter().enumerate() {
            if column.parent.as_ref() != Some(&parent.name) {
                continue;
            }
            let name = scene.door.quoted(&column.name);
            let value = |key: &str| table.literal(scene.door, at, Some(key));
            if table.rows.iter().any(|row| text(&row[at]) == Some(old)) {
                let own = scene.door.quoted(&table.name);
                let (old, new) = (value(old), value(new));
                statements.push(format!("UPDATE {own} SET {name} = {new} WHERE {name} = {old}"));
            }
        }
    }
    statements
}

/// Where a reference leads after the damage.
#[derive(Clone, Copy)]
pub enum Lead {
    /// To another row that is there.
    Other,
    /// Two rows exchange theirs.
    Exchanged,
    /// To none that is there.
    Nowhere,
    /// To the row itself.
    Itself,
    /// To a row below it.
    Circle,
}

/// References that lead elsewhere.
pub fn astray(scene: &Scene<'_>, dice: &mut Dice, lead: Lead) -> Vec<Wound> {
    let mut spots = Vec::new();
    for table in scene.tables.iter().filter(|table| matches!(table.by, By::Mapping | By::Both)) {
        let is_wanted = |column: &Column| match lead {
            Lead::Other | Lead::Exchanged | Lead::Nowhere => {
                column.parent.is_some() && table.by == By::Mapping
            }
            Lead::Itself | Lead::Circle => column.parent.as_ref() == Some(&table.name),
        };
        let places = (0..table.columns.len()).filter(|&at| is_wanted(&table.columns[at]));
        spots.extend(places.filter(|&at| table.columns[at].filled).map(|at| (table, at)));
    }
    let wound = |(table, at): (&Table, usize), dice: &mut Dice| {
        let parents: Vec<&str> = scene
            .tables
            .iter()
            .filter(|parent| table.columns[at].parent.as_ref() == Some(&parent.name))
            .flat_map(|parent| {
                parent.rows.iter().filter_map(|row| text(&row[*parent.key.first()?]))
            })
            .collect();
        let row = from_anywhere(&table.rows, dice).find(|row| row[at].is_some())?;
        let old = text(&row[at])?;
        let set =
            |row: &[Value], new: &str| table.update(scene.door, row, &[(at, Some(new.to_owned()))]);
        let statements = match lead {
            Lead::Other => {
                let new = shuffled(parents, dice).into_iter().find(|parent| *parent != old)?;
                vec![set(row, new)]
            }
            Lead::Exchanged => {
                let differs = |two: &&Vec<Value>| text(&two[at]).is_some_and(|other| other != old);
                let two = from_anywhere(&table.rows, dice).find(differs)?;
                vec![set(row, text(&two[at])?), set(two, old)]
            }
            Lead::Nowhere => {
                let new = match table.columns[at].sort {
                    Sort::Int => "987654321".to_owned(),
                    _ => uuid(dice),
                };
                vec![set(row, &new)]
            }
            Lead::Itself => vec![set(row, text(&row[*table.key.first()?])?)],
            Lead::Circle => {
                let key = *table.key.first()?;
                let parent = table.rows.iter().find(|parent| text(&parent[key]) == Some(old))?;
                vec![set(parent, text(&row[key])?)]
            }
        };
        Some(Wound::of(statements))
    };
    let spots = shuffled(spots, dice);
    spots.into_iter().filter_map(|spot| wound(spot, dice)).collect()
}

/// A row that stands in the wrong table.
pub fn in_the_wrong_table(scene: &Scene<'_>, dice: &mut Dice) -> Vec<Wound> {
    let mut wounds = Vec::new();
    for from in scene.loaded(dice) {
        for to in scene.loaded(dice).into_iter().filter(|to| to.name != from.name) {
            let (Some(key), Some(own)) = (to.key.first(), from.key.first()) else { continue };
            let same = to.columns[*key].sort == from.columns[*own].sort && to.key.len() == 1;
            if !same || from.key.len() != 1 {
                continue;
            }
            let Some(row) = from_anywhere(&from.rows, dice).next() else { continue };
            let Some(template) = from_anywhere(&to.rows, dice).next() else { continue };
            let cells: Vec<(usize, String)> = to
                .columns
                .iter()
                .enumerate()
                .filter_map(|(at, column)| {
                    let own = from.column(&column.name)?;
                    let same = from.columns[own].sort == column.sort;
                    Some((at, text(&row[own])?.to_owned())).filter(|_| same)
                })
                .collect();
            let insert = to.insert(scene.door, &with(to, template, &cells));
            wounds.push(Wound::of(vec![from.delete(scene.door, row), insert]));
        }
    }
    wounds
}

/// A value in a column that no mapping fills.
pub fn unmapped(scene: &Scene<'_>, dice: &mut Dice) -> Vec<Wound> {
    let mut wounds = Vec::new();
    for table in scene.tables.iter().filter(|table| !table.rows.is_empty()) {
        for (at, column) in table.columns.iter().enumerate().filter(|(_, column)| !column.filled) {
            let known = table.rows.iter().find_map(|row| text(&row[at]));
            let new = match (&column.parent, column.sort, known) {
                (Some(parent), ..) => {
                    let parent = scene.tables.iter().find(|own| own.name == *parent);
                    let key = parent.and_then(|own| text(&own.rows.first()?[*own.key.first()?]));
                    key.map(str::to_owned)
                }
                (None, Sort::Text, known) => Some(format!("{}x", known.unwrap_or_default())),
                (None, Sort::Instant, Some(known)) => super::instant::Instant::read(known)
                    .map(|own| own.later(super::instant::HOUR).spelled(scene.engine())),
                _ => None,
            };
            let row = from_anywhere(&table.rows, dice).next();
            let (Some(new), Some(row)) = (new, row) else { continue };
            wounds.push(Wound::of(vec![table.update(scene.door, row, &[(at, Some(new))])]));
        }
    }
    shuffled(wounds, dice)
}

/// A value in a table that SQL of the plan writes too, or alone.
pub fn written_by_sql(scene: &Scene<'_>, dice: &mut Dice, by: By) -> Vec<Wound> {
    let mut wounds = Vec::new();
    for table in scene.tables.iter().filter(|table| table.by == by && !table.rows.is_empty()) {
        for at in rest(table).filter(|&at| table.columns[at].filled) {
            let Some(row) = from_anywhere(&table.rows, dice).find(|row| row[at].is_some()) else {
                continue;
            };
            let Some(old) = text(&row[at]) else { continue };
            let new = match table.columns[at].sort {
                Sort::Text => Some(format!("{old}x")),
                Sort::Int => super::cells::one_more(old),
                Sort::Instant => super::instant::Instant::read(old)
                    .map(|own| own.later(super::instant::HOUR).spelled(scene.engine())),
                _ => None,
            };
            let Some(new) = new else { continue };
            wounds.push(Wound::of(vec![table.update(scene.door, row, &[(at, Some(new))])]));
        }
        if by == By::Sql {
            let gone = from_anywhere(&table.rows, dice).next();
            wounds.extend(gone.map(|row| Wound::of(vec![table.delete(scene.door, row)])));
        }
    }
    shuffled(wounds, dice)
}

/// A loaded row that was taken away and stands among the rejects.
pub fn made_a_reject(scene: &Scene<'_>, dice: &mut Dice) -> Vec<Wound> {
    let rejects = scene.door.ledger("migration_rejects");
    of_rejects(scene, dice, |table, dice| {
        let row = from_anywhere(&table.rows, dice).next()?;
        let name = &table.name;
        Some(vec![
            table.delete(scene.door, row),
            format!(
                "CREATE TEMPORARY TABLE one_reject AS SELECT * FROM {rejects}
                 WHERE target_table = '{name}' ORDER BY run, step, unit LIMIT 1"
            ),
            "UPDATE one_reject SET unit = unit + 77".to_owned(),
            format!("INSERT INTO {rejects} SELECT * FROM one_reject"),
        ])
    })
}

/// A row that someone has put in for a rejected record, which is called fixed.
pub fn loaded_by_hand(scene: &Scene<'_>, dice: &mut Dice) -> Vec<Wound> {
    let rejects = scene.door.ledger("migration_rejects");
    of_rejects(scene, dice, |table, dice| {
        let key = new_key(table, dice)?;
        let row = from_anywhere(&table.rows, dice).next()?;
        let name = &table.name;
        Some(vec![
            table.insert(scene.door, &with(table, row, &[key])),
            format!("UPDATE {rejects} SET status = 'fixed' WHERE target_table = '{name}'"),
        ])
    })
}

fn of_rejects(
    scene: &Scene<'_>,
    dice: &mut Dice,
    wound: impl Fn(&Table, &mut Dice) -> Option<Vec<String>>,
) -> Vec<Wound> {
    let query =
        format!("SELECT DISTINCT target_table FROM {}", scene.door.ledger("migration_rejects"));
    let known: Vec<String> = scene.door.texts(&query).unwrap_or_default().concat();
    let tables = scene.loaded(dice).into_iter().filter(|table| known.contains(&table.name));
    tables.filter_map(|table| wound(table, dice)).map(Wound::on_a_copy).collect()
}
