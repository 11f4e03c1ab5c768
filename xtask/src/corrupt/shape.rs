//! Damage to tables themselves, to the ledger and to the audit log. Always on a copy of the target.

use whimbrel_testkit::Dice;

use super::Wound;
use super::cells::{Scene, bit_of_digits, from_anywhere, shuffled};
use super::patient::{Sort, Table};
use crate::engine::Engine;

pub fn table_dropped(scene: &Scene<'_>, dice: &mut Dice) -> Vec<Wound> {
    let cascade = if scene.engine() == Engine::Postgres { " CASCADE" } else { "" };
    let drop = |table: &Table| format!("DROP TABLE {}{cascade}", scene.door.quoted(&table.name));
    leaves(scene, dice).into_iter().map(|table| Wound::on_a_copy(vec![drop(table)])).collect()
}

/// Tables to which no other one refers.
fn leaves<'a>(scene: &Scene<'a>, dice: &mut Dice) -> Vec<&'a Table> {
    let is_leaf = |table: &&Table| !scene.tables.iter().any(|other| other.refers_to(&table.name));
    let names: Vec<String> =
        scene.loaded(dice).into_iter().filter(is_leaf).map(|table| table.name.clone()).collect();
    names.iter().filter_map(|name| scene.tables.iter().find(|own| own.name == *name)).collect()
}

pub fn column_dropped(scene: &Scene<'_>, dice: &mut Dice) -> Vec<Wound> {
    let columns = scene.columns(dice, |column| column.parent.is_none()).into_iter();
    let drop = |(table, at): (&Table, usize)| {
        let (table, column) =
            (scene.door.quoted(&table.name), scene.door.quoted(&table.columns[at].name));
        Wound::on_a_copy(vec![format!("ALTER TABLE {table} DROP COLUMN {column}")])
    };
    columns.map(drop).collect()
}

/// A column becomes one of whole numbers or whole seconds.
pub fn type_changed(scene: &Scene<'_>, dice: &mut Dice) -> Vec<Wound> {
    let wanted = |sort| matches!(sort, Sort::Float | Sort::Decimal | Sort::Instant);
    let columns = scene.columns(dice, |column| wanted(column.sort)).into_iter();
    let change = |(table, at): (&Table, usize)| {
        let sort = table.columns[at].sort;
        let own = scene.door.quoted(&table.columns[at].name);
        let table = scene.door.quoted(&table.name);
        let is_time = sort == Sort::Instant;
        Wound::on_a_copy(match scene.engine() {
            Engine::Postgres => {
                let to = if is_time { "timestamptz(0)" } else { "numeric(12, 0)" };
                vec![format!("ALTER TABLE {table} ALTER COLUMN {own} TYPE {to} USING {own}::{to}")]
            }
            Engine::Mysql => {
                let to = if is_time { "TIMESTAMP(0) NULL DEFAULT NULL" } else { "DECIMAL(12, 0)" };
                let lenient = "SET sql_mode = ''".to_owned();
                vec![lenient, format!("ALTER TABLE {table} MODIFY {own} {to}")]
            }
            Engine::Sqlite => {
                let to = if is_time { "substr(%, 1, 19) || 'Z'" } else { "CAST(% AS INTEGER)" };
                let to = to.replace('%', &own);
                let declared = if is_time { "TIMESTAMPTZ" } else { "INTEGER" };
                vec![
                    format!("ALTER TABLE {table} ADD COLUMN narrower {declared}"),
                    format!("UPDATE {table} SET narrower = {to}"),
                    format!("ALTER TABLE {table} DROP COLUMN {own}"),
                    format!("ALTER TABLE {table} RENAME COLUMN narrower TO {own}"),
                ]
            }
        })
    };
    columns.map(change).collect()
}

/// The same key twice, once nothing forbids it any more.
pub fn key_twice(scene: &Scene<'_>, dice: &mut Dice) -> Vec<Wound> {
    let mut wounds = Vec::new();
    for table in leaves(scene, dice) {
        let Some(row) = from_anywhere(&table.rows, dice).next() else { continue };
        let name = scene.door.quoted(&table.name);
        let mut statements = match scene.engine() {
            Engine::Postgres => {
                vec![format!("ALTER TABLE {name} DROP CONSTRAINT \"{}_pkey\"", table.name)]
            }
            Engine::Mysql => vec![format!("ALTER TABLE {name} DROP PRIMARY KEY")],
            Engine::Sqlite => {
                let query = format!("SELECT sql FROM sqlite_schema WHERE name = '{}'", table.name);
                let sql = scene.door.texts(&query).unwrap_or_default().concat().concat();
                let own = format!("CREATE TABLE {} ", table.name);
                let free =
                    sql.replace(" PRIMARY KEY,", ",").replacen(&own, "CREATE TABLE free ", 1);
                if free.contains("PRIMARY KEY") || !free.contains("TABLE free ") {
                    continue;
                }
                vec![
                    free,
                    format!("INSERT INTO free SELECT * FROM {name}"),
                    format!("DROP TABLE {name}"),
                    format!("ALTER TABLE free RENAME TO {name}"),
                ]
            }
        };
        statements.push(table.insert(scene.door, row));
        wounds.push(Wound::on_a_copy(statements));
    }
    wounds
}

/// A row of the ledger: where it is, and the bytes of a column as digits.
fn rows_of_ledger(
    scene: &Scene<'_>,
    dice: &mut Dice,
    table: &str,
    key: &[&str],
    bytes: Option<&str>,
    condition: &str,
) -> Vec<(String, String)> {
    let mut columns: Vec<String> = key.iter().map(|name| scene.door.quoted(name)).collect();
    columns.extend(bytes.map(|name| scene.door.hex(name)));
    let query = format!(
        "SELECT {} FROM {} WHERE {condition} ORDER BY {}",
        columns.join(", "),
        scene.door.ledger(table),
        columns[..key.len()].join(", ")
    );
    let rows = scene.door.texts(&query).unwrap_or_default();
    let place = |row: Vec<String>| {
        let parts = key.iter().zip(&row);
        let parts = parts.map(|(name, value)| {
            format!("{} = '{}'", scene.door.quoted(name), value.replace('\'', "''"))
        });
        let is: Vec<String> = parts.collect();
        let digits = if bytes.is_some() { row.last().cloned() } else { None };
        (is.join(" AND "), digits.unwrap_or_default())
    };
    let mut rows = shuffled(rows.into_iter().map(place).collect(), dice);
    rows.truncate(4);
    rows
}

const BATCH: &[&str] = &["run", "step", "batch"];
const ITEM: &[&str] = &["run", "step", "ordinal"];
const REJECT: &[&str] = &["run", "step", "unit"];

/// Sets something in a row of the ledger.
fn edited(
    scene: &Scene<'_>,
    dice: &mut Dice,
    table: &str,
    key: &[&str],
    condition: &str,
    set: &str,
) -> Vec<Wound> {
    let own = scene.door.ledger(table);
    let rows = rows_of_ledger(scene, dice, table, key, None, condition).into_iter();
    rows.map(|(is, _)| Wound::on_a_copy(vec![format!("UPDATE {own} SET {set} WHERE {is}")]))
        .collect()
}

fn removed(
    scene: &Scene<'_>,
    dice: &mut Dice,
    table: &str,
    key: &[&str],
    condition: &str,
) -> Vec<Wound> {
    let own = scene.door.ledger(table);
    let rows = rows_of_ledger(scene, dice, table, key, None, condition).into_iter();
    rows.map(|(is, _)| Wound::on_a_copy(vec![format!("DELETE FROM {own} WHERE {is}")])).collect()
}

/// One bit of a column of bytes.
fn bit(
    scene: &Scene<'_>,
    dice: &mut Dice,
    table: &str,
    key: &[&str],
    column: &str,
    place: impl Fn(usize, &mut Dice) -> usize,
) -> Vec<Wound> {
    let own = scene.door.ledger(table);
    let mut wounds = Vec::new();
    for (is, digits) in rows_of_ledger(scene, dice, table, key, Some(column), "1 = 1") {
        if digits.is_empty() {
            continue;
        }
        let at = place(digits.len(), dice).min(digits.len() - 1);
        let Some(changed) = bit_of_digits(&digits.to_lowercase()[..=at]) else { continue };
        let bytes = scene.door.bytes(&format!("{changed}{}", &digits[at + 1..]));
        let name = scene.door.quoted(column);
        wounds
            .push(Wound::on_a_copy(vec![format!("UPDATE {own} SET {name} = {bytes} WHERE {is}")]));
    }
    wounds
}

pub fn batch_count(scene: &Scene<'_>, dice: &mut Dice) -> Vec<Wound> {
    edited(scene, dice, "migration_batches", BATCH, "loaded > 0", "loaded = loaded + 1")
}

pub fn batch_removed(scene: &Scene<'_>, dice: &mut Dice) -> Vec<Wound> {
    removed(scene, dice, "migration_batches", BATCH, "rows_inserted > 0")
}

/// In a sum of 48 bytes: number, bytes, digest. The one of inserted rows is the ninth.
pub fn batch_sums(scene: &Scene<'_>, dice: &mut Dice) -> Vec<Wound> {
    bit(scene, dice, "migration_batches", BATCH, "accounts", |length, dice| {
        usize::try_from(dice.below(length as u64)).unwrap_or(0)
    })
}

pub fn item_count(scene: &Scene<'_>, dice: &mut Dice) -> Vec<Wound> {
    edited(scene, dice, "migration_items", ITEM, "loaded > 0", "loaded = loaded - 1")
}

pub fn item_removed(scene: &Scene<'_>, dice: &mut Dice) -> Vec<Wound> {
    removed(scene, dice, "migration_items", ITEM, "loaded > 0")
}

pub fn reject_removed(scene: &Scene<'_>, dice: &mut Dice) -> Vec<Wound> {
    removed(scene, dice, "migration_rejects", REJECT, "status = 'open'")
}

pub fn reject_status(scene: &Scene<'_>, dice: &mut Dice) -> Vec<Wound> {
    edited(scene, dice, "migration_rejects", REJECT, "status = 'open'", "status = 'fixed'")
}

pub fn mapping(scene: &Scene<'_>, dice: &mut Dice) -> Vec<Wound> {
    let key = ["legacy_type", "legacy_id", "source", "source_file", "record", "nth"];
    bit(scene, dice, "legacy_mappings", &key, "new_key", |length, _| length - 1)
}

pub fn undo(scene: &Scene<'_>, dice: &mut Dice) -> Vec<Wound> {
    bit(scene, dice, "undo_inserts", BATCH, "entries", |length, dice| {
        length / 2 + usize::try_from(dice.below(length as u64 / 2)).unwrap_or(0)
    })
}

pub fn undo_removed(scene: &Scene<'_>, dice: &mut Dice) -> Vec<Wound> {
    removed(scene, dice, "undo_inserts", BATCH, "1 = 1")
}

pub fn audit_changed(scene: &Scene<'_>, dice: &mut Dice) -> Vec<Wound> {
    edited(scene, dice, "audit_log", &["seq"], "1 = 1", "actor = 'nobody'")
}

pub fn audit_removed(scene: &Scene<'_>, dice: &mut Dice) -> Vec<Wound> {
    let log = scene.door.ledger("audit_log");
    // Not the last one: that takes an anchor.
    removed(scene, dice, "audit_log", &["seq"], &format!("seq < (SELECT max(seq) FROM {log})"))
}

pub fn audit_tail(scene: &Scene<'_>, dice: &mut Dice) -> Vec<Wound> {
    let log = scene.door.ledger("audit_log");
    removed(scene, dice, "audit_log", &["seq"], &format!("seq = (SELECT max(seq) FROM {log})"))
}

pub fn audit_reordered(scene: &Scene<'_>, _: &mut Dice) -> Vec<Wound> {
    let log = scene.door.ledger("audit_log");
    let set = |from: i32, to: i32| format!("UPDATE {log} SET seq = {to} WHERE seq = {from}");
    vec![Wound::on_a_copy(vec![set(1, -1), set(2, 1), set(-1, 2)])]
}

pub fn checkpoint(scene: &Scene<'_>, dice: &mut Dice) -> Vec<Wound> {
    edited(scene, dice, "migration_checkpoints", &["run", "seq"], "1 = 1", "detail = '{}'")
}
