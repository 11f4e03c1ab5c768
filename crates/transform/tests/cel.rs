//! Conversions of CEL and those of columns: written apart, they say the same.

use proptest::prelude::*;
use whimbrel_cel::{Cell, Fault, Program};
use whimbrel_model::{Value, ValueRef};
use whimbrel_transform::op::timestamp::Moment;
use whimbrel_transform::op::{float, integer, timestamp};

/// What the expression makes of `x`.
fn cel(expression: &str, x: ValueRef<'_>) -> Result<Value, Fault> {
    let program = Program::compile(expression, &mut |_| Ok(())).expect("it compiles");
    program.run(|()| Ok(Cell::Ref(x)))
}

fn check(text: &str) {
    let given = ValueRef::Text(text);
    let whole = integer::parse(text).ok().and_then(|value| i64::try_from(value).ok());
    assert_eq!(cel("int(x)", given).ok(), whole.map(Value::from), "int {text:?}");
    let double = float::parse(text).ok().map(Value::from);
    assert_eq!(cel("double(x)", given).ok(), double, "double {text:?}");
    let at = match timestamp::parse_iso(text) {
        Ok(Moment::Instant(at)) => Some(Value::TimestampTz(at)),
        Ok(Moment::Local(_) | Moment::Clock(_)) | Err(_) => None,
    };
    assert_eq!(cel("timestamp(x)", given).ok(), at, "timestamp {text:?}");
}

#[test]
fn texts_that_people_write() {
    for text in [
        "",
        "0",
        "-0",
        "00",
        "7",
        "-7",
        "+7",
        "007",
        "1.0",
        "1e5",
        "1_000",
        " 1",
        "1 ",
        "0x1",
        "१",
        "9223372036854775807",
        "9223372036854775808",
        "-9223372036854775808",
        "1.10",
        ".5",
        "5.",
        "nan",
        "NaN",
        "inf",
        "Infinity",
        "1e400",
        "1E5",
        "-0.0",
        "9007199254740993",
        "0.1234567890123456789",
        "2024-03-31T01:59:59Z",
        "2024-03-31 01:59:59Z",
        "2024-03-31t01:59:59z",
        "2024-03-31T01:59:59",
        "2024-03-31",
        "2024-03-31T01:59Z",
        "2024-03-31T01:59:60Z",
        "2024-03-31T24:00:00Z",
        "2024-02-30T00:00:00Z",
        "2024-03-31T01:59:59.Z",
        "2024-03-31T01:59:59.1234567890Z",
        "2024-03-31T01:59:59,5Z",
        "2024-03-31T01:59:59.123456789Z",
        "2024-03-31T01:59:59+02",
        "2024-03-31T01:59:59+0200",
        "2024-03-31T01:59:59+02:00",
        "2024-03-31T01:59:59-00:00",
        "2024-03-31T01:59:59+24:00",
        "2024-03-31T01:59:59+23:59",
        "2024-03-31T01:59:59+02:60",
        "2024-03-31T01:59:59 Z",
        "2024-03-31  01:59:59Z",
        "0000-01-01T00:00:00Z",
        "9999-12-31T23:59:59.999999999-23:59",
        "+010000-01-01T00:00:00Z",
        "-000001-01-01T00:00:00Z",
        "2024-3-31T01:59:59Z",
        "2024-03-31T01:59:59+02:00[Europe/Berlin]",
    ] {
        check(text);
    }
}

#[test]
fn an_excerpt_is_the_same_everywhere() {
    for text in [
        "a'b\"c\\d",
        "\u{1b}[2J\t\n",
        "e\u{301}\u{200b}",
        "\u{301}x",
        &"x".repeat(121),
        &"x".repeat(120),
    ] {
        let fault = cel("int(x)", ValueRef::Text(text)).expect_err("no integer");
        let shown = whimbrel_transform::excerpt_text(text);
        assert!(fault.message.ends_with(&format!("text `{shown}`")), "{} {shown}", fault.message);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn texts_become_the_same_numbers_and_instants(
        text in "[-+]?[0-9]{0,20}(\\.[0-9]{0,20})?([eE][-+]?[0-9]{1,3})?|[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]{0,10})?(Z|[-+][0-9]{2}:[0-9]{2})?"
    ) {
        check(&text);
    }

    #[test]
    fn numbers_become_the_same_numbers(
        bits in any::<u64>(),
        // Random integers of 64 bits are hardly ever doubles: those with zeros at the end are.
        whole in (any::<i64>(), 0..64_u32).prop_map(|(whole, zeros)| whole >> zeros << zeros),
    ) {
        for value in [f64::from_bits(bits), whole as f64, whole as f64 / 8.0] {
            let exact = integer::of_float(value).ok().and_then(|value| i64::try_from(value).ok());
            prop_assert_eq!(cel("int(x)", ValueRef::Float(value)).ok(), exact.map(Value::from));
            let json = float::to_text(value).map(|text| Value::Json(format!("[{text}]")));
            prop_assert_eq!(cel("[x]", ValueRef::Float(value)).ok(), json);
        }
        let double = float::of_integer(whole.into()).ok().map(Value::from);
        prop_assert_eq!(cel("double(x)", ValueRef::Int(whole.into())).ok(), double);
    }
}
