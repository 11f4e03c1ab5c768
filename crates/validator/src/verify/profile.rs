//! What the values of a column are like, seen once while rows go by: NULLs, about how many are distinct,
//! the least and the greatest, lengths.
//!
//! The number of distinct values is estimated by a `HyperLogLog` of 4,096 registers (Flajolet, Fusy,
//! Gandouet, Meunier, 2007): within about 1.6 %, with linear counting where they are few. So a column
//! takes 4 KiB, however many rows there are.

use std::hash::{DefaultHasher, Hasher as _};

use serde_json::{Value as Json, json};
use whimbrel_model::{Row, Table, Value, ValueRef};

use super::Checked;
use crate::order;

/// Bits that choose a register.
const BITS: u32 = 12;

/// Characters of a value that are kept.
const CHARS: usize = 40;

/// Columns that are told in words; the details have all.
const TOLD: usize = 20;

/// The columns of a table.
#[derive(Clone)]
pub(super) struct Profile {
    columns: Vec<Column>,
    bytes: Vec<u8>,
    rows: u64,
}

#[derive(Clone)]
struct Column {
    nulls: u64,
    registers: Vec<u8>,
    least: Option<Value>,
    most: Option<Value>,
    /// Characters of texts, bytes of bytes.
    lengths: Option<(u64, u64)>,
}

impl Profile {
    pub(super) fn of(columns: usize) -> Self {
        let column = || Column {
            nulls: 0,
            registers: vec![0; 1 << BITS],
            least: None,
            most: None,
            lengths: None,
        };
        let columns = (0..columns).map(|_| column()).collect();
        Self { columns, bytes: Vec::new(), rows: 0 }
    }

    pub(super) fn take(&mut self, row: Row<'_>) {
        self.rows += 1;
        for (value, column) in row.values().zip(&mut self.columns) {
            if value.is_null() {
                column.nulls += 1;
                continue;
            }
            self.bytes.clear();
            order::bytes(value, &mut self.bytes);
            column.count(&self.bytes);
            column.measure(value);
        }
    }

    /// The rows of another part of the table, too.
    pub(super) fn merge(&mut self, other: &Self) {
        self.rows += other.rows;
        for (own, other) in self.columns.iter_mut().zip(&other.columns) {
            own.merge(other);
        }
    }

    /// As a check, which has nothing to be right or wrong; without values where they must not be shown.
    pub(super) fn check(&self, table: &Table, hides: bool) -> Checked {
        let told = |(column, own): (&whimbrel_model::Column, &Column)| {
            let mut text = format!("`{}`: {} NULL, ", column.name, own.nulls);
            text.push_str(&format!("about {} distinct", own.distinct()));
            if let (Some(least), Some(most), false) = (&own.least, &own.most, hides) {
                text.push_str(&format!(", {} … {}", shown(least), shown(most)));
            }
            if let Some((least, most)) = own.lengths {
                text.push_str(&format!(", {least} to {most} long"));
            }
            text
        };
        let columns = || table.columns.iter().zip(&self.columns);
        let mut words: Vec<String> = columns().take(TOLD).map(told).collect();
        if self.columns.len() > TOLD {
            words.push(format!("and {} more", self.columns.len() - TOLD));
        }
        let details: Vec<Json> =
            columns().map(|(column, own)| own.document(column, hides)).collect();
        Checked {
            message: Some(words.join("; ")),
            details: json!({ "rows": self.rows, "columns": details }),
            ..Checked::passed("profile", &table.name)
        }
    }
}

impl Column {
    fn count(&mut self, bytes: &[u8]) {
        let mut hasher = DefaultHasher::new();
        hasher.write(bytes);
        let hash = hasher.finish();
        let register = (hash >> (64 - BITS)) as usize;
        let rank = ((hash << BITS) | 1 << (BITS - 1)).leading_zeros() as u8 + 1;
        self.registers[register] = self.registers[register].max(rank);
    }

    fn merge(&mut self, other: &Self) {
        self.nulls += other.nulls;
        for (own, other) in self.registers.iter_mut().zip(&other.registers) {
            *own = (*own).max(*other);
        }
        if let Some((least, most)) = other.lengths {
            self.stretch(least, most);
        }
        other.least.iter().chain(&other.most).for_each(|value| self.reach(value.as_ref()));
    }

    fn measure(&mut self, value: ValueRef<'_>) {
        let length = match value {
            ValueRef::Text(text) | ValueRef::Json(text) => Some(text.chars().count() as u64),
            ValueRef::Bytes(bytes) => Some(bytes.len() as u64),
            _ => None,
        };
        if let Some(length) = length {
            self.stretch(length, length);
        }
        // No order of documents and bytes says anything.
        if !matches!(value, ValueRef::Json(_) | ValueRef::Bytes(_)) {
            self.reach(value);
        }
    }

    /// Lengths from and to there were seen.
    fn stretch(&mut self, least: u64, most: u64) {
        let (known_least, known_most) = self.lengths.unwrap_or((least, most));
        self.lengths = Some((known_least.min(least), known_most.max(most)));
    }

    /// A value was seen that may be the least, or the greatest.
    fn reach(&mut self, value: ValueRef<'_>) {
        let is_beyond = |known: &Option<Value>, wanted: std::cmp::Ordering| {
            known.as_ref().is_none_or(|known| order::compare(value, known.as_ref()) == wanted)
        };
        if is_beyond(&self.least, std::cmp::Ordering::Less) {
            self.least = Some(value.to_owned());
        }
        if is_beyond(&self.most, std::cmp::Ordering::Greater) {
            self.most = Some(value.to_owned());
        }
    }

    fn distinct(&self) -> u64 {
        let m = self.registers.len() as f64;
        let sum: f64 = self.registers.iter().map(|&rank| 2f64.powi(-i32::from(rank))).sum();
        let raw = 0.7213 / (1.0 + 1.079 / m) * m * m / sum;
        let empty: f64 = self.registers.iter().map(|&rank| f64::from(u8::from(rank == 0))).sum();
        let few = raw <= 2.5 * m && empty > 0.0;
        (if few { m * (m / empty).ln() } else { raw }).round() as u64
    }

    fn document(&self, column: &whimbrel_model::Column, hides: bool) -> Json {
        let value = |value: &Option<Value>| value.as_ref().filter(|_| !hides).map(shown);
        json!({
            "column": column.name, "nulls": self.nulls, "distinct": self.distinct(),
            "least": value(&self.least), "most": value(&self.most),
            "length_least": self.lengths.map(|(least, _)| least),
            "length_most": self.lengths.map(|(_, most)| most),
        })
    }
}

fn shown(value: &Value) -> String {
    crate::rules::bounded(&value.as_ref().to_string(), CHARS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use whimbrel_model::ChunkBuilder;

    #[test]
    fn distinct_values_are_counted_about() {
        for count in [0u64, 1, 10, 1_000, 50_000] {
            let mut profile = Profile::of(1);
            for twice in 0..2 * count {
                let mut chunk = ChunkBuilder::new(1);
                chunk.push(ValueRef::Int((twice % count).into()));
                chunk.end_row();
                profile.take(chunk.finish().row(0));
            }
            let told = profile.columns[0].distinct();
            let error = told.abs_diff(count) as f64;
            assert!(error <= (count as f64 * 0.06).max(0.5), "{told} of {count}");
        }
    }
}
