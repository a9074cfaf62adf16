//! Any bytes as a message of the replication stream.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pg::pgoutput::{Message, Tuples, decode};

fuzz_target!(|bytes: &[u8]| {
    let mut tuples = Tuples::default();
    let decoded = decode(bytes, 0..bytes.len(), &mut tuples);
    if let Ok(Message::Insert { .. } | Message::Update { .. } | Message::Delete { .. }) = decoded {
        // What a row refers to lies in the message.
        for datum in tuples.new.iter().chain(&tuples.old) {
            let _ = &bytes[datum.range()];
        }
    }
});
