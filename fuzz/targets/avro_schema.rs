//! Any text as an Avro schema; one that is read is written and read again.
#![no_main]

use avro::{Strictness, parse};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(schema) = parse(text, Strictness::Lenient) else { return };
    let normal = schema.normalised();
    assert!(parse(&normal, Strictness::Lenient).is_ok(), "{normal}");
});
