//! Any text as a value of any type, in any mode.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| pg_source::fuzzing::value(bytes));
