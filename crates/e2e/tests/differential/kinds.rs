//! Column types and values of theirs, as SQL literals.
//!
//! Left out is what docs/compatibility.md decides: BC and infinite dates, `name`, enum and bit arrays, fractions of
//! seconds in `time[]`, several dimensions, NaN and infinity in `numeric`, values outside the target's range.

use crate::random::Random;

/// A column type.
pub struct Kind {
    pub sql: &'static str,
    pub value: fn(&mut Random) -> String,
    /// Constant defaults.
    pub defaults: &'static [&'static str],
    /// Types to which a column of it can be changed, and the expression (`%` is the column).
    pub becomes: &'static [(&'static str, &'static str)],
}

const fn kind(sql: &'static str, value: fn(&mut Random) -> String) -> Kind {
    Kind { sql, value, defaults: &[], becomes: &[] }
}

const fn with(
    sql: &'static str,
    value: fn(&mut Random) -> String,
    defaults: &'static [&'static str],
    becomes: &'static [(&'static str, &'static str)],
) -> Kind {
    Kind { sql, value, defaults, becomes }
}

/// Made in every database before its tables.
pub const TYPES: &str = "
    CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy', 'it''s');
    CREATE DOMAIN posint AS integer CHECK (VALUE > 0);
    CREATE DOMAIN label AS varchar(12);
    CREATE DOMAIN amount AS numeric(10,2);
    CREATE DOMAIN price AS amount CHECK (VALUE < 1000000);
    CREATE DOMAIN moment AS timestamp(3);
    CREATE TYPE pair AS (a int, b text);";

/// Types of a table at its creation; those that only a change of type makes come behind them.
pub const KINDS: &[Kind] = &[
    with("smallint", |r| r.between(-32768, 32767).to_string(), &["7"], &[("integer", "%"), ("bigint", "%")]),
    with(
        "integer",
        |r| r.between(-2147483648, 2147483647).to_string(),
        &["42", "-1"],
        &[("bigint", "%"), ("text", "%::text")],
    ),
    with(
        "bigint",
        |r| r.between(i64::MIN, i64::MAX).to_string(),
        &["9223372036854775807"],
        &[("numeric(24,4)", "%"), ("text", "%::text")],
    ),
    with("real", eighths, &["1.5"], &[("double precision", "%")]),
    with("double precision", sixteenths, &["0.25", "-2"], &[("text", "%::text")]),
    with("numeric(12,3)", |r| decimal(r, 9, 3), &["3.250"], &[("numeric(18,6)", "%"), ("numeric", "%")]),
    with("numeric(18,6)", |r| decimal(r, 12, 6), &[], &[("text", "%::text")]),
    with("numeric(24,4)", |r| decimal(r, 18, 4), &["1"], &[]),
    with("numeric(30)", |r| decimal(r, 30, 0), &[], &[]),
    with(
        "numeric",
        |r| {
            let scale = r.below(9);
            decimal(r, 20, scale)
        },
        &["1.10"],
        &[],
    ),
    with("boolean", |r| r.percent(50).to_string(), &["true", "false"], &[("text", "%::text")]),
    with("text", text, &["'abc'", "''", "'a b'"], &[("varchar(4000)", "left(%, 4000)")]),
    with("varchar(20)", |r| short(r, 20), &["'v'"], &[("varchar(40)", "%"), ("text", "%")]),
    with("varchar(40)", |r| short(r, 40), &[], &[("text", "%")]),
    with("varchar(4000)", text, &[], &[]),
    with("char(5)", |r| short(r, 5), &["'c'"], &[]),
    with("bytea", bytes, &[], &[]),
    with("uuid", uuid, &["'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'"], &[("text", "%::text")]),
    with("json", json, &["'{}'"], &[("jsonb", "%::jsonb")]),
    with("jsonb", json, &["'[]'"], &[]),
    kind("xml", |r| format!("'<a b=\"{}\"/>'", r.below(100))),
    with("date", |r| format!("'{}'", date(r)), &["'2020-02-29'"], &[("timestamp", "%::timestamp")]),
    kind("time", |r| format!("'{}'", time(r, 6))),
    kind("time(3)", |r| format!("'{}'", time(r, 3))),
    kind("timetz", |r| format!("'{}{}'", time(r, 6), zone(r))),
    with("timestamp", |r| format!("'{} {}'", date(r), time(r, 6)), &["'2001-02-03 04:05:06'"], &[]),
    with("timestamp(3)", |r| format!("'{} {}'", date(r), time(r, 3)), &[], &[("timestamp", "%")]),
    kind("timestamp(0)", |r| format!("'{} {}'", date(r), time(r, 0))),
    with(
        "timestamptz",
        |r| format!("'{} {}{}'", date(r), time(r, 6), zone(r)),
        &["'2001-02-03 04:05:06+00'"],
        &[],
    ),
    kind("timestamptz(3)", |r| format!("'{} {}{}'", date(r), time(r, 3), zone(r))),
    kind("interval", |r| {
        format!(
            "'{} months {} days {} seconds'",
            r.between(-30, 30),
            r.between(-40, 40),
            r.between(-9999, 9999)
        )
    }),
    kind("bit(1)", |r| format!("B'{}'", r.below(2))),
    kind("bit(12)", |r| bits(r, 12)),
    kind("varbit(70)", |r| {
        let length = 1 + r.below(70);
        bits(r, length)
    }),
    kind("money", |r| format!("'{}.{:02}'", r.between(-100_000, 100_000), r.below(100))),
    with(
        "inet",
        |r| format!("'10.{}.{}.{}/{}'", r.below(256), r.below(256), r.below(256), r.between(8, 32)),
        &[],
        &[("text", "%::text")],
    ),
    kind("cidr", |r| format!("'10.{}.0.0/16'", r.below(256))),
    kind("macaddr", |r| format!("'08:00:2b:01:02:{:02x}'", r.below(256))),
    kind("point", |r| format!("'({},{})'", r.between(-90, 90), r.between(-90, 90))),
    kind("int4range", |r| {
        let from = r.between(-100, 100);
        format!("'[{from},{})'", from + r.between(0, 9))
    }),
    kind("int8range", |r| format!("'({},]'", r.between(-100, 100))),
    kind("numrange", |r| {
        let from = r.between(-100, 100);
        format!("'[{from},{}.5]'", from + 1)
    }),
    kind("tsrange", |r| format!("'[{} 00:00:00,)'", date(r))),
    kind("tstzrange", |r| format!("'[{} 00:00:00+00,)'", date(r))),
    kind("daterange", |r| format!("'[{},)'", date(r))),
    kind("tsvector", |r| format!("'fat cat{}'", r.below(9))),
    kind("oid", |r| r.between(0, 4_294_967_295).to_string()),
    with(
        "mood",
        |r| (*r.pick(&["'sad'", "'ok'", "'happy'", "'it''s'"])).to_owned(),
        &["'ok'"],
        &[("text", "%::text")],
    ),
    kind("posint", |r| r.between(1, 2_147_483_647).to_string()),
    kind("label", |r| short(r, 12)),
    kind("price", |r| decimal(r, 6, 2)),
    kind("moment", |r| format!("'{} {}'", date(r), time(r, 3))),
    kind("pair", |r| format!("'({},x)'", r.below(9))),
    kind("smallint[]", |r| array(r, |r| r.between(-32768, 32767).to_string())),
    kind("integer[]", |r| array(r, |r| r.between(-9999, 9999).to_string())),
    kind("bigint[]", |r| array(r, |r| r.between(i64::MIN, i64::MAX).to_string())),
    kind("double precision[]", |r| array(r, |r| format!("{}.5", r.between(-99, 99)))),
    kind("boolean[]", |r| array(r, |r| r.percent(50).to_string())),
    kind("numeric(10,2)[]", |r| array(r, |r| decimal(r, 8, 2))),
    kind("text[]", |r| array(r, |r| format!("\"{}\"", r.pick(&["", "a", "a,b", "NULL", "é", "sp ace"])))),
    kind("varchar(9)[]", |r| array(r, |r| format!("v{}", r.below(99)))),
    kind("uuid[]", |r| array(r, |r| uuid(r).trim_matches('\'').to_owned())),
    kind("date[]", |r| array(r, date)),
    kind("timestamp[]", |r| array(r, |r| format!("\"{} {}\"", date(r), time(r, 6)))),
    kind("timestamptz[]", |r| array(r, |r| format!("\"{} {}+00\"", date(r), time(r, 6)))),
    kind("jsonb[]", |r| array(r, |r| format!("\"{{\\\"a\\\": {}}}\"", r.below(9)))),
    kind("inet[]", |r| array(r, |r| format!("10.0.0.{}", r.below(256)))),
];

/// The kind of this name.
pub fn named(sql: &str) -> &'static Kind {
    KINDS.iter().find(|kind| kind.sql == sql).expect("a type of the list")
}

/// Exact in binary, with few digits.
fn eighths(r: &mut Random) -> String {
    match r.below(20) {
        0 => "'NaN'".to_owned(),
        1 => "'-Infinity'".to_owned(),
        _ => format!("{}", r.between(-80_000, 80_000) as f64 / 8.0),
    }
}

fn sixteenths(r: &mut Random) -> String {
    match r.below(20) {
        0 => "'NaN'".to_owned(),
        1 => "'Infinity'".to_owned(),
        _ => format!("{}", r.between(-90_000_000, 90_000_000) as f64 / 16.0),
    }
}

fn decimal(r: &mut Random, digits: usize, scale: usize) -> String {
    let mut text = String::new();
    let count = 1 + r.below(digits);
    for _ in 0..count {
        text.push(char::from(b'0' + r.below(10) as u8));
    }
    if scale > 0 {
        text.push('.');
        for _ in 0..scale {
            text.push(char::from(b'0' + r.below(10) as u8));
        }
    }
    if r.percent(30) { format!("-{text}") } else { text }
}

const LETTERS: &[&str] = &[
    "a", "b", "Z", "0", " ", "\"", "\\", "''", "é", "ß", "Ж", "中", "😀", "\n", "\t", "\u{1}", "{", "%", "$$",
];

fn letters(r: &mut Random, count: usize) -> String {
    (0..count).map(|_| *r.pick(LETTERS)).collect()
}

fn short(r: &mut Random, max: usize) -> String {
    let count = r.below(max + 1);
    format!("'{}'", letters(r, count))
}

/// Sometimes so long and so random that it is stored out of line.
fn text(r: &mut Random) -> String {
    if r.percent(12) {
        let count = 150 + r.below(100);
        let long: String = (0..count).map(|_| format!("{:016x}", r.next())).collect();
        return format!("'{long}'");
    }
    let count = r.below(30);
    format!("'{}'", letters(r, count))
}

fn bytes(r: &mut Random) -> String {
    let count = if r.percent(10) { 3000 } else { r.below(20) };
    let hex: String = (0..count).map(|_| format!("{:02x}", r.below(256))).collect();
    format!("'\\x{hex}'")
}

fn uuid(r: &mut Random) -> String {
    let (high, low) = (r.next(), r.next());
    let text = format!("{high:016x}{low:016x}");
    format!("'{}-{}-{}-{}-{}'", &text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..])
}

fn json(r: &mut Random) -> String {
    let n = r.between(-1000, 1000);
    match r.below(5) {
        0 => format!("'{{\"a\": {n}, \"b\": [1, null, \"x\"]}}'"),
        1 => "'null'".to_owned(),
        2 => format!("'[{n}, {{\"é\":  \"\\u00e9\"}}]'"),
        3 => format!("'\"{n}\"'"),
        _ => format!("'{{\"long\": \"{}\"}}'", "x".repeat(r.below(40))),
    }
}

/// Between the calendar's change and the end of what nanoseconds can hold.
fn date(r: &mut Random) -> String {
    format!("{:04}-{:02}-{:02}", r.between(1700, 2250), r.between(1, 12), r.between(1, 28))
}

fn time(r: &mut Random, digits: usize) -> String {
    let fraction: String = (0..digits).map(|_| char::from(b'0' + r.below(10) as u8)).collect();
    let dot = if digits > 0 { "." } else { "" };
    format!("{:02}:{:02}:{:02}{dot}{fraction}", r.below(24), r.below(60), r.below(60))
}

fn zone(r: &mut Random) -> &'static str {
    ["+00", "+02", "-07:30", "+12:45"][r.below(4)]
}

fn bits(r: &mut Random, count: usize) -> String {
    let bits: String = (0..count).map(|_| if r.percent(50) { '1' } else { '0' }).collect();
    format!("B'{bits}'")
}

fn array(r: &mut Random, element: impl Fn(&mut Random) -> String) -> String {
    let count = r.below(4);
    let elements: Vec<String> =
        (0..count).map(|_| if r.percent(15) { "NULL".to_owned() } else { element(r) }).collect();
    format!("'{{{}}}'", elements.join(","))
}
