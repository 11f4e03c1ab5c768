//! `schema plan`: the JSON Schema of plan files, for editors.

use whimbrel_model::plan::Plan;

use crate::args::Schema;
use crate::output::Answer;

pub(crate) fn run(verb: &Schema) -> Answer {
    match verb {
        Schema::Plan => {
            let text = Plan::json_schema();
            let data = serde_json::from_str(&text).expect("the schema of plans is JSON");
            Answer::new("the JSON Schema of plans", text, data)
        }
    }
}
