//! Keys of the plan that nothing in the target makes unique: what is said of them.

use whimbrel_endpoint::{EndpointError, ErrorClass, Finding, Needs};
use whimbrel_model::Table;

use crate::codes;

fn not_unique(table: &str, key: &[&str]) -> String {
    format!("nothing makes the key of `{table}` unique: `{}`", key.join(", "))
}

/// The refusal of a write to such a table.
pub(crate) fn refused(table: &Table) -> EndpointError {
    let key: Vec<&str> =
        table.key.iter().map(|&index| table.columns[index].name.as_str()).collect();
    let what = not_unique(&table.name, &key);
    EndpointError::new(ErrorClass::Configuration, codes::KEY_NOT_UNIQUE, what)
}

/// What stands in the way of a load where the plan's key of a table is not unique.
pub(crate) fn inspect(
    needs: &Needs,
    table: &str,
    is_unique: impl FnOnce(&[&str]) -> bool,
) -> Option<Finding> {
    let key: Vec<&str> = needs.keys.get(table)?.iter().map(String::as_str).collect();
    let finding = || Finding {
        code: codes::KEY_NOT_UNIQUE,
        blocks: true,
        message: format!(
            "{}; make exactly these columns unique there, or name a key that is, in the plan",
            not_unique(table, &key)
        ),
    };
    (!is_unique(&key)).then(finding)
}
