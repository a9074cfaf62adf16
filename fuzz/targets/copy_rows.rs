//! Any bytes as a row of COPY's text form.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pg::copy::{Row, split_row};

fuzz_target!(|bytes: &[u8]| {
    let mut columns = vec![];
    let Ok(row) = split_row(bytes, 0..bytes.len(), &mut columns) else { return };
    let text = match &row {
        Row::InPlace => bytes,
        Row::Unescaped(copy) => copy,
    };
    for column in &columns {
        let _ = &text[column.range()];
    }
});
