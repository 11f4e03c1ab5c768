//! The process log: one JSON document a line, from the logger and from others, and what else a
//! process writes to the same place.

use std::io;

use crate::calendar::utc;
use crate::{Dice, Folder};

const LEVELS: [&str; 3] = ["WARN", "ERROR", "CRITICAL"];

/// Every event the logger emits, with a context as it fills it.
const EVENTS: [(&str, &str); 12] = [
    ("non_numeric_value", r#"{"field": "T2_Mid", "value": "ERR"}"#),
    ("deviation_value_non_numeric", r#"{"field": "RPM_Main", "value": "fast"}"#),
    ("data_missing", r#"{"missing_keys": ["T1", "T3"]}"#),
    ("buffer_capacity_reached", r#"{"size": 1000, "max": 1000}"#),
    ("buffer_overflow", r#"{"dropped_rows": 1000, "max_buffer_size": 1000}"#),
    (
        "flush_failed",
        r#"{"attempt": 1, "file": "logs/run_20230803_140000.csv", "error": "[Errno 28] No space left on device", "buffer_size": 240, "type": "OSError"}"#,
    ),
    (
        "data_logger_error",
        r#"{"attempt": 3, "file": "logs/run_20230803_140000.csv", "error": "[Errno 5] Input/output error", "buffer_size": 961, "type": "OSError"}"#,
    ),
    ("flush_skipped_no_handle", "{}"),
    (
        "file_reopen_failed",
        r#"{"file": "logs/run_20230803_140000.csv", "error": "[Errno 30] Read-only file system"}"#,
    ),
    ("start_failed", r#"{"error": "[Errno 13] Permission denied: 'logs'"}"#),
    ("disk_full", r#"{"free_bytes": 9007199254740993, "ratio": 0.10}"#),
    (
        "data_missing",
        r#"{"missing_keys": [], "note": "Düse \"kalt\"\n\t50 °C", "nested": {"a": [1, 2.50, null, true]}}"#,
    ),
];

/// Writes the log.
pub(super) fn write(folder: &Folder, seed: u64) -> io::Result<()> {
    let mut log = Log {
        text: Vec::new(),
        dice: super::dice(seed, "app.jsonl"),
        micros: utc(2023, 8, 3, 12, 0, 0) * 1000,
    };
    for (event, context) in EVENTS {
        log.event(event, context);
        log.line(r#"{"level": "INFO", "component": "web", "event": "request", "context": {"path": "/api/status", "code": 200}, "timestamp": 1691064000.5}"#);
    }
    log.line("");
    log.line("Traceback (most recent call last):");
    log.line("  File \"backend/logger.py\", line 211, in flush");
    log.event(
        "flush_failed",
        r#"{"attempt": 2, "file": null, "error": "", "buffer_size": 0, "type": "ValueError"}"#,
    );
    // Python writes this, and no other JSON reader takes it.
    log.event("non_numeric_value", r#"{"field": "T1_Feed", "value": NaN}"#);
    log.line(r#"{"level": "WARN", "component": "logger", "event": "data_missing", "context": {"missing_keys": ["T2"]}}"#);
    log.line(r#"{"level": "WARN", "component": "logger", "event": "data_missing", "context": {"missing_keys": ["T2"]}, "timestamp": "2023-08-03T12:00:00"}"#);
    log.line(r#"{"level": "WARN", "component": "logger", "event": "data_missing", "context": {"missing_keys": ["T2"]}, "timestamp": "1691064123.25"}"#);
    log.line(r#"{"level": "WARN", "component": "logger", "event": "data_missing", "context": {"missing_keys": ["T2"]}, "timestamp": 1691064123.1234567}"#);
    log.line(r#"{"level": "WARN", "component": "logger", "event": "data_missing", "context": {"missing_keys": ["T2"]}, "timestamp": 1691064124}"#);
    log.line(r#"{"level": "WARN", "component": "logger", "event": null, "context": {}, "timestamp": 1691064125.5}"#);
    log.line(
        r#"{"level": "WARN", "component": "logger", "context": {}, "timestamp": 1691064126.5}"#,
    );
    log.line(r#"{"level": "WARN", "component": "logger", "event": "disk_full", "timestamp": 1691064127.5}"#);
    log.line(r#"{"message": "watchdog fed"}"#);
    log.line(r#"{"timestamp": 1691064128.75, "context": {"free_bytes": 12}, "event": "disk_full", "component": "logger", "level": "CRITICAL", "pid": 811}"#);
    // The power went.
    log.text
        .extend_from_slice(br#"{"level": "WARN", "component": "logger", "event": "buffer_capac"#);
    folder.write("logs/app.jsonl", &log.text, log.micros / 1_000_000)
}

struct Log {
    text: Vec<u8>,
    dice: Dice,
    micros: i64,
}

impl Log {
    fn line(&mut self, line: &str) {
        self.text.extend_from_slice(line.as_bytes());
        self.text.push(b'\n');
    }

    fn event(&mut self, event: &str, context: &str) {
        self.micros += self.dice.between(5_000_001, 90_000_000); // a cooldown of five seconds
        let level = self.dice.pick(&LEVELS);
        let (seconds, micros) = (self.micros / 1_000_000, self.micros % 1_000_000);
        let fraction = format!("{micros:06}");
        let fraction = fraction.trim_end_matches('0');
        let fraction = if fraction.is_empty() { "0" } else { fraction };
        self.line(&format!(
            r#"{{"level": "{level}", "component": "logger", "event": "{event}", "context": {context}, "timestamp": {seconds}.{fraction}}}"#
        ));
    }
}
