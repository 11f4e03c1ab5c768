//! The encoder against bytes and digests made by another implementation: `vectors/wce1.py` and
//! `vectors/digests.py`, which share no code with it.

#![allow(clippy::unwrap_used)] // a test

use std::collections::BTreeMap;
use std::net::IpAddr;
use whimbrel_model::digest::{DigestKey, Domain, Sum};
use whimbrel_model::json;
use whimbrel_model::time::Date;
use whimbrel_model::wce;

const VECTORS: &str = include_str!("../vectors/wce1.tsv");
const DIGESTS: &str = include_str!("../vectors/digests.tsv");
const NANOS_PER_SECOND: i64 = 1_000_000_000;

struct Vector {
    name: &'static str,
    kind: &'static str,
    literal: &'static str,
    encoded: Vec<u8>,
}

fn vectors() -> Vec<Vector> {
    let lines = VECTORS.lines().filter(|line| !line.starts_with('#'));
    let vectors: Vec<Vector> = lines
        .map(|line| {
            let fields: Vec<&str> = line.split('\t').collect();
            let [name, kind, literal, encoded, _sha256] = fields[..] else { panic!("{line}") };
            Vector { name, kind, literal, encoded: unhex(encoded) }
        })
        .collect();
    assert!(vectors.len() >= 200, "the file is whole: {}", vectors.len());
    vectors
}

fn unhex(text: &str) -> Vec<u8> {
    let byte = |at| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(byte).collect()
}

fn unhex_exact<const N: usize>(text: &str) -> [u8; N] {
    unhex(text).try_into().unwrap()
}

fn encode(out: &mut Vec<u8>, kind: &str, literal: &str) {
    match kind {
        "null" => wce::null(out),
        "bool" => wce::bool(out, literal == "true"),
        "int" => wce::int(out, literal.parse().unwrap()),
        "decimal" => wce::decimal_text(out, literal),
        "float64" => wce::float64(out, f64::from_be_bytes(unhex_exact(literal))),
        "float32" => wce::float32(out, f32::from_be_bytes(unhex_exact(literal))),
        "bytes" => wce::bytes(out, &unhex(&literal[1..])),
        "text" => wce::text(out, &string(literal)),
        "date" => date(out, literal),
        "time" => wce::time(out, nanos(literal)),
        "timestamp" => timestamp(out, literal, wce::timestamp),
        "timestamptz" => timestamp(out, literal, wce::timestamp_tz),
        "interval" => {
            let parts: Vec<i64> = literal.split(' ').map(|part| part.parse().unwrap()).collect();
            wce::interval(out, parts[0], parts[1], parts[2].into());
        }
        "uuid" => wce::uuid(out, &unhex_exact(&literal.replace('-', ""))),
        "inet" => {
            let (address, prefix) = literal.split_once('/').unwrap();
            wce::inet(out, address.parse::<IpAddr>().unwrap(), prefix.parse().unwrap());
        }
        "mac" => match unhex(&literal.replace(':', "")).as_slice() {
            six if six.len() == 6 => wce::mac(out, six.try_into().unwrap()),
            eight => wce::mac8(out, eight.try_into().unwrap()),
        },
        "json" => wce::json(out, &json::parse(literal.as_bytes()).unwrap()),
        "json_text" => wce::json_text(out, &string(literal)),
        "array" => array(out, literal),
        "enum" => wce::enum_label(out, &string(literal)),
        "set" => {
            let labels: Vec<String> = serde_json::from_str(literal).unwrap();
            wce::set(out, &labels.iter().map(String::as_str).collect::<Vec<_>>());
        }
        "opaque" => {
            let (name, text): (String, String) = serde_json::from_str(literal).unwrap();
            wce::opaque(out, &name, &text);
        }
        "row" => row(out, literal),
        unknown => panic!("kind {unknown}"),
    }
}

fn string(literal: &str) -> String {
    serde_json::from_str(literal).unwrap()
}

fn ymd(text: &str) -> (i32, u8, u8) {
    let (minus, rest) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let parts: Vec<i32> = rest.split('-').map(|part| part.parse().unwrap()).collect();
    (if minus { -parts[0] } else { parts[0] }, parts[1] as u8, parts[2] as u8)
}

fn nanos(text: &str) -> i64 {
    let (minus, rest) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let parts: Vec<&str> = rest.split(':').collect();
    let (seconds, fraction) = parts[2].split_once('.').unwrap_or((parts[2], ""));
    let whole = |text: &str| text.parse::<i64>().unwrap();
    let total = (whole(parts[0]) * 3600 + whole(parts[1]) * 60 + whole(seconds)) * NANOS_PER_SECOND
        + whole(&format!("{fraction:0<9}"));
    if minus { -total } else { total }
}

fn date(out: &mut Vec<u8>, literal: &str) {
    if literal.ends_with("infinity") {
        return wce::date_infinity(out, literal.starts_with('-'));
    }
    let (year, month, day) = ymd(literal);
    match Date::from_ymd(year, month, day) {
        Some(date) if !(0..=9999).contains(&year) => wce::date(out, date.days.into()),
        Some(_) | None => wce::date_partial(out, year as u16, month, day),
    }
}

fn timestamp(out: &mut Vec<u8>, literal: &str, write: impl Fn(&mut Vec<u8>, i64, u64)) {
    if literal.ends_with("infinity") {
        return wce::timestamp_infinity(out, literal.starts_with('-'));
    }
    let (day, time) = literal.split_once(' ').unwrap();
    let (year, month, day) = ymd(day);
    let nanos = nanos(time) as u64;
    match Date::from_ymd(year, month, day) {
        Some(date) => write(out, date.days.into(), nanos),
        None => wce::timestamp_partial(out, year as u16, month, day, nanos),
    }
}

fn array(out: &mut Vec<u8>, literal: &str) {
    let spec: serde_json::Value = serde_json::from_str(literal).unwrap();
    let number = |value: &serde_json::Value| value.as_i64().unwrap();
    let dimensions: Vec<(i32, u32)> = spec["dims"]
        .as_array()
        .unwrap()
        .iter()
        .map(|pair| (number(&pair[0]) as i32, number(&pair[1]) as u32))
        .collect();
    if dimensions.iter().all(|(first, _)| *first == 1) {
        let lengths: Vec<u32> = dimensions.iter().map(|(_, length)| *length).collect();
        wce::array_begin(out, &lengths);
    } else {
        wce::array_begin_bounded(out, &dimensions);
    }
    encode_all(out, &spec["items"]);
}

fn row(out: &mut Vec<u8>, literal: &str) {
    let spec: serde_json::Value = serde_json::from_str(literal).unwrap();
    let id = unhex_exact(spec["id"].as_str().unwrap());
    wce::row_header(out, &id, spec["values"].as_array().unwrap().len());
    encode_all(out, &spec["values"]);
}

fn encode_all(out: &mut Vec<u8>, values: &serde_json::Value) {
    for value in values.as_array().unwrap() {
        encode(out, value[0].as_str().unwrap(), value[1].as_str().unwrap());
    }
}

#[test]
fn our_bytes_are_those_of_the_other_implementation() {
    for vector in vectors() {
        let mut out = Vec::new();
        encode(&mut out, vector.kind, vector.literal);
        assert_eq!(out, vector.encoded, "{}", vector.name);
    }
}

#[test]
fn the_other_implementation_writes_only_what_decodes_to_itself() {
    for vector in vectors().iter().filter(|vector| vector.kind != "row") {
        let mut again = Vec::new();
        for value in wce::decode(&vector.encoded).unwrap() {
            value.encode(&mut again);
        }
        assert_eq!(again, vector.encoded, "{}", vector.name);
    }
    for vector in vectors().iter().filter(|vector| vector.kind == "row") {
        wce::decode_row(&vector.encoded).unwrap();
    }
}

#[test]
fn equal_bytes_stand_only_for_equal_values() {
    let mut by_bytes: BTreeMap<Vec<u8>, Vec<&str>> = BTreeMap::new();
    for vector in vectors() {
        by_bytes.entry(vector.encoded).or_default().push(vector.name);
    }
    let shared: Vec<String> =
        by_bytes.values().filter(|names| names.len() > 1).map(|names| names.join(" = ")).collect();
    expect_test::expect![[r#"
        decimal_00_0 = decimal_01_-0 = decimal_02_0.000
        decimal_03_1 = decimal_05_1.0
        decimal_15_9007199254740993 = decimal_16_9007199254740993.0
        decimal_06_1.10 = decimal_07_1.1 = decimal_08_11e-1
        decimal_09_100 = decimal_10_1e2 = decimal_11_1E+2
        float64_nan = float64_nan_payload = float64_nan_negative = float64_nan_signalling
        float32_nan = float32_nan_payload
        timestamp_infinity = timestamptz_infinity
        timestamp_-infinity = timestamptz_-infinity
        json_02 = json_03
        json_04 = json_05
        json_06 = json_07
        json_16 = json_17
        json_24 = json_25
        json_22 = json_23
        array_empty = array_zero_length
        set_two = set_order"#]]
    .assert_eq(&shared.join("\n"));
}

#[test]
fn our_digests_and_sums_are_those_of_the_other_implementation() {
    let project: [u8; 32] = std::array::from_fn(|index| index as u8);
    let encoded: BTreeMap<&str, Vec<u8>> =
        vectors().into_iter().map(|vector| (vector.name, vector.encoded)).collect();
    let key = DigestKey::derive(&project, Domain::Output, "vectors");
    let mut sum = Sum::default();
    let mut lines = 0;
    for line in DIGESTS.lines().filter(|line| !line.starts_with('#')) {
        let fields: Vec<&str> = line.split('\t').collect();
        let [what, first, second, hex] = fields[..] else { panic!("{line}") };
        lines += 1;
        match what {
            "digest" => {
                let bytes = &encoded[second];
                let digest = key.digest(bytes);
                assert_eq!(digest.to_hex(), hex, "{second}");
                sum.add(&digest, bytes.len() as u64);
            }
            "no bytes" => {
                let key = DigestKey::derive(&project, domain(first), second);
                assert_eq!(key.digest(b"").to_hex(), hex, "{first}");
            }
            "schema_id" => assert_eq!(schema_id(second).to_vec(), unhex(hex)),
            "sum" => {
                let times = if second == "all" { 1 } else { 65_536 };
                let mut repeated = Sum::default();
                for _ in 0..times {
                    repeated.merge(&sum);
                }
                assert_eq!(format!("{} {}", repeated.n(), repeated.bytes()), first);
                assert_eq!(repeated.value(), unhex_exact(hex), "{second}");
            }
            unknown => panic!("{unknown}"),
        }
    }
    assert_eq!(lines, encoded.len() + 7, "every vector has its digest");
}

fn domain(tag: &str) -> Domain {
    let all = [Domain::Source, Domain::Input, Domain::Output, Domain::Lineage];
    all.into_iter().find(|domain| domain.tag() == tag).unwrap()
}

fn schema_id(columns: &str) -> [u8; 16] {
    let mut named: Vec<(&str, &str)> =
        columns.split(',').map(|column| column.split_once(':').unwrap()).collect();
    named.sort_unstable();
    wce::schema_id(named.into_iter())
}
