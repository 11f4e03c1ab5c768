//! Files worth naming: those with the most rejects, and those that were not read.

use serde_json::Value as Json;
use whimbrel_ledger::{ItemHead, ItemStatus};
use whimbrel_model::Class;

use super::run::name;
use super::{Options, limits};
use crate::report::{FileRow, Listed, SetAside};
use crate::shown;

pub(super) struct Files {
    include_values: bool,
    /// Most rejects first; equal ones in source order.
    worst: Vec<FileRow>,
    with_rejects: u64,
    pub(super) set_aside: Listed<SetAside>,
}

impl Files {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            include_values: options.include_values,
            worst: Vec::new(),
            with_rejects: 0,
            set_aside: Listed::default(),
        }
    }

    pub(super) fn item(&mut self, item: &ItemHead, table: &str) {
        // Done without a mark: nothing of it was read.
        let unread = item.status == ItemStatus::Completed && !item.marked;
        if unread || item.error_message.is_some() {
            let told = self.include_values;
            self.set_aside.push(limits::SET_ASIDE, || set_aside(item, table, told));
        }
        let rejected = item.counts.class(Class::Rejected);
        if rejected == 0 {
            return;
        }
        self.with_rejects += 1;
        let place = self.worst.partition_point(|file| file.rejected >= rejected);
        if place < limits::WORST_FILES {
            self.worst.insert(place, file_row(item, table, rejected));
            self.worst.truncate(limits::WORST_FILES);
        }
    }

    pub(super) fn worst(&mut self) -> Listed<FileRow> {
        let shown = std::mem::take(&mut self.worst);
        let more = self.with_rejects - shown.len() as u64;
        Listed { shown, more }
    }
}

fn file_row(item: &ItemHead, table: &str, rejected: u64) -> FileRow {
    FileRow {
        file: shown::path(&item.source_file, limits::PATH),
        source: name(&item.source),
        table: name(table),
        status: item.status.word(),
        read: item.counts.read,
        rejected,
    }
}

fn set_aside(item: &ItemHead, table: &str, told: bool) -> SetAside {
    let reason = item.error_message.as_deref().filter(|_| told);
    let facts: Option<Json> = serde_json::from_str(&item.facts).ok();
    let rejected = item.counts.class(Class::Rejected) > 0;
    SetAside {
        file: shown::path(&item.source_file, limits::PATH),
        table: name(table),
        bytes: facts.and_then(|facts| facts.get("size")?.as_u64()),
        fate: if rejected { "rejected" } else { "left out" },
        reason: reason.map(|why| shown::shown(why, limits::MESSAGE)),
    }
}
