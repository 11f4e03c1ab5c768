//! `explain`: what an error code means and what to do about it.

use serde_json::json;

use crate::args::Explain;
use crate::codes;
use crate::failure::Failure;
use crate::output::{Answer, count, printable};

/// Characters of a line of an explanation.
const WIDTH: usize = 80;

pub(crate) fn run(args: &Explain) -> Result<Answer, Failure> {
    match &args.code {
        Some(code) => one(code),
        None => Ok(list()),
    }
}

fn one(wanted: &str) -> Result<Answer, Failure> {
    let code = written_out(wanted);
    let Some((code, title, explanation)) = codes::all().into_iter().find(|known| known.0 == code)
    else {
        return Err(unknown(wanted, &code));
    };
    let text = format!("{code}: {title}\n\n{}\n", wrapped(explanation));
    let data = json!({ "code": code, "title": title, "explanation": explanation });
    Ok(Answer::new(format!("{code}: {title}"), text, data))
}

fn list() -> Answer {
    let all = codes::all();
    let text = all
        .iter()
        .map(|(code, title, _)| format!("{code}  {title}\n"))
        .collect::<Vec<_>>()
        .concat();
    let codes: Vec<_> = all
        .iter()
        .map(|(code, title, explanation)| json!({ "code": code, "title": title, "explanation": explanation }))
        .collect();
    Answer::new(count(all.len() as u64, "code"), text, json!({ "codes": codes }))
}

/// `wb214`, `214` and `WB0214` are the same code.
fn written_out(wanted: &str) -> String {
    let upper = wanted.trim().to_uppercase();
    let digits = upper.strip_prefix("WB").unwrap_or(&upper);
    if digits.len() <= 4 && !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        format!("WB{digits:0>4}")
    } else {
        upper
    }
}

fn unknown(wanted: &str, code: &str) -> Failure {
    let message = format!("no such code: `{}`", printable(wanted, 80));
    let all = codes::all();
    let near = all
        .iter()
        .map(|known| (differing(code, known.0), known))
        .min_by_key(|(differing, _)| *differing);
    let hint = match near {
        Some((1, (near, title, _))) => format!("did you mean `{near}` ({title})?"),
        Some(_) | None => "`whimbrel explain` lists all codes".to_owned(),
    };
    Failure::usage("WB0720", message, hint)
}

/// How many characters differ; texts of different lengths differ in all.
fn differing(a: &str, b: &str) -> usize {
    if a.chars().count() == b.chars().count() {
        a.chars().zip(b.chars()).filter(|(a, b)| a != b).count()
    } else {
        usize::MAX
    }
}

fn wrapped(text: &str) -> String {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("there is a line");
        if line.is_empty() {
            line.push_str(word);
        } else if line.chars().count() + 1 + word.chars().count() <= WIDTH {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_may_be_written_short() {
        for short in ["WB0214", "wb0214", "0214", "214", " WB214 "] {
            assert_eq!(written_out(short), "WB0214", "{short}");
        }
        assert_eq!(written_out("x214"), "X214");
    }

    #[test]
    fn a_mistyped_digit_is_pointed_out() {
        let failure = one("9701").err().expect("there is no such code");
        assert_eq!(failure.exit, crate::exit::Exit::Usage);
        assert!(failure.hint.is_some_and(|hint| hint.contains("`WB0701`")));
    }

    #[test]
    fn explanations_fit_a_terminal() {
        for (code, _, explanation) in codes::all() {
            assert!(
                wrapped(explanation).lines().all(|line| line.chars().count() <= WIDTH),
                "{code}"
            );
        }
    }
}
