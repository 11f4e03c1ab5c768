//! The catalogue: tables as they stand, and what writing to them needs to know.

use whimbrel_endpoint::{EndpointError, ErrorClass};
use whimbrel_model::{Column, Table, Value};

use super::form::Form;
use super::link::{Bound, Kept, Link, custom};
use super::read::is_flat;
use crate::codes;
use crate::dialect::Dialect;
use crate::waiting::OwnKey;
use crate::words::{self, Spelled, Spelt};

const WORDS: Dialect = Dialect::Postgres;

/// A column, as far as values and statements need to know it.
#[derive(Clone, Debug)]
pub(crate) struct Slot {
    pub(crate) name: String,
    number: i16,
    pub(crate) form: Form,
    /// The type, domains resolved: what a value is bound as.
    pub(crate) oid: u32,
    /// The type's array type: what a list of values is bound as.
    pub(crate) list_oid: u32,
    /// The type as a cast spells it.
    pub(crate) spelled: String,
    pub(crate) required: bool,
    has_default: bool,
    /// `GENERATED ALWAYS AS IDENTITY`.
    pub(crate) always: bool,
    /// Computed from other columns: never written.
    pub(crate) generated: bool,
    /// Text whose order depends on a collation.
    pub(crate) collates: bool,
}

/// A foreign key of a table.
#[derive(Clone, Debug)]
pub(crate) struct ForeignKey {
    pub(crate) name: String,
    pub(crate) columns: Vec<String>,
    /// The parent, as a statement spells it.
    pub(crate) parent: String,
    pub(crate) parent_columns: Vec<String>,
    /// The parent is the table itself.
    pub(crate) is_own: bool,
    /// It is checked at the end of the transaction.
    is_deferred: bool,
    /// A key with NULL in some columns only is checked as well.
    pub(crate) is_full: bool,
}

/// A table.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    pub(crate) oid: u32,
    /// One letter: `r` a table, `p` a partitioned one, `v` a view …
    sort: String,
    pub(crate) slots: Vec<Slot>,
    /// Names of the primary key's columns, in its order.
    primary: Vec<String>,
    /// Columns of each index that makes them unique.
    unique: Vec<Vec<String>>,
    /// Rows go through policies, which COPY refuses.
    pub(crate) has_policies: bool,
    /// Some constraints are checked at the end of the transaction only, or can be.
    pub(crate) defers: bool,
    /// Those that may as well be checked with each statement, as a statement spells them.
    pub(crate) hastened: Vec<String>,
    pub(crate) foreign_keys: Vec<ForeignKey>,
    /// It inherits from another table, or another one from it, and neither is a partition.
    inherits: bool,
}

impl Facts {
    pub(crate) fn slot(&self, name: &str) -> Option<&Slot> {
        self.slots.iter().find(|slot| slot.name == name)
    }

    /// Whether an index makes exactly these columns unique.
    pub(crate) fn is_unique(&self, key: &[&str]) -> bool {
        self.unique.iter().any(|columns| {
            columns.len() == key.len() && columns.iter().all(|name| key.contains(&name.as_str()))
        })
    }

    /// Foreign keys to the table itself that wait for the commit, as rows of a batch may come in any
    /// order; those that can be looked into.
    pub(crate) fn own_keys(&self) -> Vec<OwnKey> {
        let flat = |name: &String| self.slot(name).is_some_and(is_flat);
        self.foreign_keys
            .iter()
            .filter(|key| key.is_own && key.is_deferred && key.columns.iter().all(flat))
            .map(|key| OwnKey {
                name: key.name.clone(),
                columns: key.columns.clone(),
                parent_columns: key.parent_columns.clone(),
            })
            .collect()
    }

    /// Names of all foreign keys to the table itself that wait for the commit.
    pub(crate) fn waiting_keys(&self) -> impl Iterator<Item = &str> {
        let waiting = self.foreign_keys.iter().filter(|key| key.is_own && key.is_deferred);
        waiting.map(|key| key.name.as_str())
    }

    /// True for what rows can be loaded into.
    fn is_table(&self) -> bool {
        matches!(self.sort.as_str(), "r" | "p")
    }

    /// How its rows would be changed by hand; `None` where it is no table.
    pub(crate) fn words(&self, name: &str, key: &[&str]) -> Option<Spelled> {
        if self.inherits {
            let why =
                "tables inherit from each other: its rows may be those of another one".to_owned();
            return Some(Spelled::refused(WORDS, name, why));
        }
        let slots = self.slots.iter().filter(|slot| !slot.generated).cloned();
        let columns = slots.map(|slot| Spelt::Postgres(words::Postgres { slot })).collect();
        let spelled = || Spelled::new(WORDS, self.described(name), columns, self.is_unique(key));
        self.is_table().then(spelled)
    }

    fn described(&self, name: &str) -> Table {
        let slots = || self.slots.iter().filter(|slot| !slot.generated);
        let columns: Vec<Column> = slots()
            .map(|slot| Column {
                name: slot.name.clone(),
                kind: slot.form.kind(),
                nullable: !slot.required,
                has_default: slot.has_default,
            })
            .collect();
        let key = self
            .primary
            .iter()
            .filter_map(|name| columns.iter().position(|column| column.name == *name));
        Table { name: name.to_owned(), key: key.collect(), columns }
    }
}

/// The table as a person declared it; `None` where there is none of that name.
pub(crate) async fn describe(link: &mut Link, table: &str) -> Result<Option<Table>, EndpointError> {
    let Some(facts) = facts(link, table).await? else { return Ok(None) };
    if facts.is_table() {
        return Ok(Some(facts.described(table)));
    }
    let word = match facts.sort.as_str() {
        "v" => "view",
        "m" => "materialised view",
        "f" => "foreign table",
        "S" => "sequence",
        _ => "relation that is no table",
    };
    Err(EndpointError::new(
        ErrorClass::Configuration,
        codes::NOT_A_TABLE,
        format!("rows cannot be loaded into a {word}: `{table}`"),
    ))
}

/// What is known of a table, or `None` where there is none.
pub(crate) async fn facts(link: &mut Link, table: &str) -> Result<Option<Facts>, EndpointError> {
    let doing = format!("look up `{table}`");
    let sql = "SELECT c.oid::int8, c.relkind::text, \
                      c.relrowsecurity AND pg_catalog.row_security_active(c.oid), \
                      EXISTS (SELECT 1 FROM pg_catalog.pg_trigger t \
                              WHERE t.tgrelid = c.oid AND t.tgdeferrable) OR \
                      EXISTS (SELECT 1 FROM pg_catalog.pg_constraint k \
                              WHERE k.conrelid = c.oid AND k.condeferrable), \
                      EXISTS (SELECT 1 FROM pg_catalog.pg_inherits i \
                              JOIN pg_catalog.pg_class p ON p.oid = i.inhparent \
                              WHERE c.oid IN (i.inhparent, i.inhrelid) AND p.relkind <> 'p') \
               FROM pg_catalog.pg_class c WHERE c.oid = pg_catalog.to_regclass($1) \
                 AND c.relkind NOT IN ('i', 'I', 't')";
    let found = link.rows(&doing, sql, vec![Bound::text(&WORDS.table(table))], Kept::Yes).await?;
    let Some([oid, sort, policies, defers, inherits]) = found.first().map(Vec::as_slice) else {
        return Ok(None);
    };
    let oid = oid.as_int().unwrap_or(0) as u32;
    let mut facts = Facts {
        oid,
        sort: text(sort),
        slots: slots(link, &doing, oid).await?,
        primary: Vec::new(),
        unique: Vec::new(),
        has_policies: *policies == Value::Bool(true),
        defers: *defers == Value::Bool(true),
        hastened: Vec::new(),
        foreign_keys: Vec::new(),
        inherits: *inherits == Value::Bool(true),
    };
    indexes(link, &doing, &mut facts).await?;
    foreign_keys(link, &doing, &mut facts).await?;
    if facts.defers {
        facts.hastened = hastened(link, &doing, oid).await?;
    }
    Ok(Some(facts))
}

fn text(value: &Value) -> String {
    value.as_text().unwrap_or_default().to_owned()
}

fn number(value: &Value) -> i64 {
    value.as_int().unwrap_or(0) as i64
}

/// Domains are resolved to what they are made of: that is what crosses the wire.
async fn slots(link: &mut Link, doing: &str, oid: u32) -> Result<Vec<Slot>, EndpointError> {
    let sql = "WITH RECURSIVE base AS ( \
                 SELECT a.attnum, a.atttypid AS type, a.atttypmod AS modifier, false AS required \
                 FROM pg_catalog.pg_attribute a \
                 WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped \
                 UNION ALL \
                 SELECT b.attnum, t.typbasetype, \
                        CASE WHEN b.modifier >= 0 THEN b.modifier ELSE t.typtypmod END, \
                        b.required OR t.typnotnull \
                 FROM base b JOIN pg_catalog.pg_type t ON t.oid = b.type WHERE t.typtype = 'd' \
               ) \
               SELECT a.attname::text, a.attnum::int8, t.oid::int8, t.typarray::int8, \
                      b.modifier::int8, t.typtype::text, t.typname::text, \
                      CASE WHEN t.typcategory = 'A' THEN t.typelem::int8 ELSE 0 END, \
                      coalesce(e.typtype::text, ''), coalesce(e.typname::text, ''), \
                      pg_catalog.format_type(a.atttypid, a.atttypmod), \
                      a.attnotnull OR b.required, \
                      a.atthasdef OR a.attidentity <> '', \
                      a.attgenerated <> '', \
                      a.attcollation <> 0, \
                      a.attidentity = 'a' \
               FROM base b \
               JOIN pg_catalog.pg_type t ON t.oid = b.type AND t.typtype <> 'd' \
               JOIN pg_catalog.pg_attribute a ON a.attrelid = $1 AND a.attnum = b.attnum \
               LEFT JOIN pg_catalog.pg_type e ON e.oid = t.typelem AND t.typcategory = 'A' \
               ORDER BY a.attnum";
    let rows = link.rows(doing, sql, vec![Bound::oid(oid)], Kept::Yes).await?;
    let is = |value: &Value| *value == Value::Bool(true);
    Ok(rows
        .iter()
        .map(|row| {
            let (oid, element) = (number(&row[2]) as u32, number(&row[7]) as u32);
            let form = Form::builtin(oid).unwrap_or_else(|| {
                custom(&text(&row[5]), &text(&row[6]), element, &text(&row[8]), &text(&row[9]))
            });
            Slot {
                name: text(&row[0]),
                number: number(&row[1]) as i16,
                form: form.bounded(number(&row[4]) as i32),
                oid,
                list_oid: number(&row[3]) as u32,
                spelled: text(&row[10]),
                required: is(&row[11]),
                has_default: is(&row[12]),
                generated: is(&row[13]),
                collates: is(&row[14]),
                always: is(&row[15]),
            }
        })
        .collect())
}

async fn indexes(link: &mut Link, doing: &str, facts: &mut Facts) -> Result<(), EndpointError> {
    let sql = "SELECT i.indisprimary, \
                      (SELECT string_agg(k.number::text, ' ' ORDER BY k.place) \
                       FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k(number, place) \
                       WHERE k.place <= i.indnkeyatts) \
               FROM pg_catalog.pg_index i \
               WHERE i.indrelid = $1 AND i.indisunique AND i.indisvalid \
                 AND i.indpred IS NULL AND i.indexprs IS NULL \
               ORDER BY i.indexrelid";
    for row in link.rows(doing, sql, vec![Bound::oid(facts.oid)], Kept::Yes).await? {
        let names: Vec<String> = text(&row[1])
            .split(' ')
            .filter_map(|number| number.parse::<i16>().ok())
            .filter_map(|number| facts.slots.iter().find(|slot| slot.number == number))
            .map(|slot| slot.name.clone())
            .collect();
        if row[0] == Value::Bool(true) {
            facts.primary.clone_from(&names);
        }
        facts.unique.push(names);
    }
    Ok(())
}

async fn foreign_keys(
    link: &mut Link,
    doing: &str,
    facts: &mut Facts,
) -> Result<(), EndpointError> {
    let sql = "SELECT k.oid::int8, k.conname::text, n.nspname::text, p.relname::text, \
                      k.confrelid = k.conrelid, k.confmatchtype = 'f', k.condeferred, \
                      a.attname::text, f.attname::text \
               FROM pg_catalog.pg_constraint k \
               JOIN pg_catalog.pg_class p ON p.oid = k.confrelid \
               JOIN pg_catalog.pg_namespace n ON n.oid = p.relnamespace \
               JOIN LATERAL unnest(k.conkey, k.confkey) WITH ORDINALITY AS u(own, other, place) \
                    ON true \
               JOIN pg_catalog.pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.own \
               JOIN pg_catalog.pg_attribute f ON f.attrelid = k.confrelid AND f.attnum = u.other \
               WHERE k.conrelid = $1 AND k.contype = 'f' \
                 AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint w \
                                 WHERE w.oid = k.conparentid AND w.conrelid = k.conrelid) \
               ORDER BY k.conname, k.oid, u.place";
    let mut last = None;
    for row in link.rows(doing, sql, vec![Bound::oid(facts.oid)], Kept::Yes).await? {
        let constraint = number(&row[0]);
        if last != Some(constraint) {
            last = Some(constraint);
            facts.foreign_keys.push(ForeignKey {
                name: text(&row[1]),
                columns: Vec::new(),
                parent: format!("{}.{}", WORDS.quote(&text(&row[2])), WORDS.quote(&text(&row[3]))),
                parent_columns: Vec::new(),
                is_own: row[4] == Value::Bool(true),
                is_full: row[5] == Value::Bool(true),
                is_deferred: row[6] == Value::Bool(true),
            });
        }
        let key = facts.foreign_keys.last_mut().expect("one was pushed above");
        key.columns.push(text(&row[7]));
        key.parent_columns.push(text(&row[8]));
    }
    Ok(())
}

/// Unique keys, exclusions and foreign keys to other tables that wait for the commit: rows that they
/// refuse are told from others only where they do not.
async fn hastened(link: &mut Link, doing: &str, oid: u32) -> Result<Vec<String>, EndpointError> {
    // Parts of a key to a partitioned table are named with the whole.
    let sql = "SELECT n.nspname::text, k.conname::text FROM pg_catalog.pg_constraint k \
               JOIN pg_catalog.pg_namespace n ON n.oid = k.connamespace \
               WHERE k.conrelid = $1 AND k.condeferred AND k.contype IN ('f', 'u', 'p', 'x') \
                 AND k.confrelid <> k.conrelid \
                 AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint w \
                                 WHERE w.oid = k.conparentid AND w.conrelid = k.conrelid) \
               ORDER BY k.conname";
    let rows = link.rows(doing, sql, vec![Bound::oid(oid)], Kept::Yes).await?;
    let spelled = |row: &Vec<Value>| {
        format!("{}.{}", WORDS.quote(&text(&row[0])), WORDS.quote(&text(&row[1])))
    };
    Ok(rows.iter().map(spelled).collect())
}

/// Numbers of all tables there are.
pub(crate) async fn all(link: &mut Link, doing: &str) -> Result<Vec<i64>, EndpointError> {
    let sql = "SELECT c.oid::int8 FROM pg_catalog.pg_class c WHERE c.relkind IN ('r', 'p')";
    let rows = link.rows(doing, sql, vec![], Kept::No).await?;
    Ok(rows.iter().map(|row| number(&row[0])).collect())
}

/// The tables that are not among `before`, in the order of their making; those of the schemas `own`
/// without a schema in their names.
pub(crate) async fn since(
    link: &mut Link,
    doing: &str,
    before: &[i64],
    own: &[&str],
) -> Result<Vec<Table>, EndpointError> {
    let sql = "SELECT c.oid::int8, n.nspname::text, c.relname::text FROM pg_catalog.pg_class c \
               JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
               WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition \
                 AND c.relpersistence <> 't' ORDER BY c.oid";
    let mut tables = Vec::new();
    for row in link.rows(doing, sql, vec![], Kept::No).await? {
        if before.contains(&number(&row[0])) {
            continue;
        }
        let (schema, name) = (text(&row[1]), text(&row[2]));
        let full = format!("{schema}.{name}");
        let Some(facts) = facts(link, &full).await? else { continue };
        let shown = if own.contains(&schema.as_str()) { name } else { full };
        tables.push(facts.described(&shown));
    }
    Ok(tables)
}
