//! Who is to be told, and how: configurations as the program has written them, and as people have.

use super::{Row, SECOND, dice, taken};
use crate::Dice;
use crate::dump::Cell;

pub(super) const COLUMNS: [&str; 6] =
    ["id", "healthcheck_id", "alert_type", "configuration", "is_active", "created_at"];

/// One to three alerts for most checks without damage, and the dirty ones.
pub(super) fn all(seed: u64) -> Vec<Row> {
    let mut rows = Vec::new();
    for check in 1..=25 {
        let mut dice = dice(seed, &format!("alerts of {check}"));
        for _ in 0..dice.below(3) {
            let kind = dice.pick(&["email", "slack", "discord", "sms"]);
            let configuration = configuration(&mut dice, kind);
            rows.push(Row::new(cells(rows.len() as i64 + 1, check, kind, &configuration)));
        }
    }
    dirty(&mut rows);
    rows
}

fn cells(id: i64, check: i64, kind: &str, configuration: &str) -> Vec<Cell> {
    vec![
        Cell::Int(id),
        Cell::Int(check),
        Cell::text(kind),
        Cell::text(configuration),
        Cell::Bool(id % 5 != 0),
        Cell::Time(taken() - id * 7_777 * SECOND - 250_000),
    ]
}

/// As `json.dumps` writes it. What is secret holds the word `canary`.
fn configuration(dice: &mut Dice, kind: &str) -> String {
    let number = dice.between(100, 999);
    match kind {
        "email" => format!(
            r#"{{"to_email": "ops{number}@example.test", "smtp_server": "smtp.example.test", "smtp_port": 587, "username": "monitor", "password": "canary-p\u00e4ss-{number}"}}"#
        ),
        "slack" => format!(
            r##"{{"webhook_url": "https://hooks.example.test/services/canary/{number}", "channel": "#alerts", "username": "monitor"}}"##
        ),
        "discord" => format!(
            r#"{{"webhook_url": "https://discord.example.test/api/webhooks/{number}/canary", "username": "monitor"}}"#
        ),
        _ => format!(
            r#"{{"to_number": "+49170{number}0000", "account_sid": "AC{number}", "auth_token": "canary{number}", "from_number": "+15005550006"}}"#
        ),
    }
}

fn dirty(rows: &mut Vec<Row>) {
    let mut next = 501;
    let mut alert = |check: i64, kind: &str, configuration: &str| {
        let cells = cells(next, check, kind, configuration);
        next += 1;
        cells
    };
    // Kinds that nobody checks: other letters, another word, a blank at the end.
    rows.push(Row::new(alert(1, "Email", r#"{"to_email": "a@example.test"}"#)));
    rows.push(Row::new(alert(1, "webhook", r#"{"url": "https://example.test/hook"}"#)));
    rows.push(Row::new(alert(2, "slack ", r#"{"webhook_url": "https://example.test/canary"}"#)));
    // `None` passes NOT NULL; nothing in it; keys missing; a port as text.
    rows.push(Row::new(alert(3, "email", "null")));
    rows.push(Row::new(alert(3, "slack", "{}")));
    rows.push(Row::new(alert(4, "sms", r#"{"to_number": "+886912345678"}"#)));
    rows.push(Row::new(alert(
        4,
        "email",
        r#"{"to_email": "b@example.test", "smtp_port": "587", "password": "canary"}"#,
    )));
    // Encoded twice.
    rows.push(Row::new(alert(
        5,
        "slack",
        r##""{\"webhook_url\": \"https://example.test/canary\", \"channel\": \"#alerts\"}""##,
    )));
    // Blanks, line ends, the order of members, numbers and escapes are somebody's: they stay.
    rows.push(Row::new(alert(
        6,
        "discord",
        "{\n    \"username\" : \"\\u76e3\\u63a7 監控\",\t\"webhook_url\":\"https:\\/\\/example.test\\/canary\",\n    \"retry\": 1.50e1, \"id\": 123456789012345678901234567890\n}\n",
    )));
    rows.push(Row::new(alert(6, "email", r#"[{"to_email": "c@example.test"}]"#)));
    // The same alert twice.
    for _ in 0..2 {
        rows.push(Row::new(alert(
            7,
            "slack",
            r##"{"webhook_url": "https://example.test/canary", "channel": "#twice"}"##,
        )));
    }
    let mut unset = alert(8, "email", r#"{"to_email": "d@example.test"}"#);
    unset[4] = Cell::Null;
    unset[5] = Cell::Null;
    rows.push(Row::new(unset));
    // Checks that are gone, and one that is refused for its name.
    rows.push(Row::new(alert(900, "email", r#"{"to_email": "e@example.test"}"#)));
    rows.push(Row::new(alert(903, "sms", "null")));
    rows.push(Row::sqlite_only(alert(37, "email", r#"{"to_email": "f@example.test"}"#)));
    // What Python prints of a dictionary is no JSON; nor is nothing.
    rows.push(Row::sqlite_only(alert(9, "email", "{'to_email': 'g@example.test'}")));
    rows.push(Row::sqlite_only(alert(9, "email", "")));
}
