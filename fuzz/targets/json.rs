//! Any bytes as a message for JsonConverter, with schemas and without.
#![no_main]

use std::sync::OnceLock;

use connect::settings::Properties;
use connect::{Buffer, Converter};
use converters::{Role, create};
use futures::executor::block_on;
use libfuzzer_sys::fuzz_target;

const CLASS: &str = "org.apache.kafka.connect.json.JsonConverter";

fn converters() -> &'static [Box<dyn Converter>; 2] {
    static CONVERTERS: OnceLock<[Box<dyn Converter>; 2]> = OnceLock::new();
    CONVERTERS.get_or_init(|| {
        ["true", "false"].map(|schemas| {
            let properties = Properties::from_iter([("schemas.enable".to_owned(), schemas.to_owned())]);
            create(CLASS, Role::Value, &properties).expect("valid settings")
        })
    })
}

fuzz_target!(|bytes: &[u8]| {
    for converter in converters() {
        let mut decoder = block_on(converter.decoder("t", 0)).expect("a decoder");
        let _ = decoder.decode(Some(&Buffer::from(bytes.to_vec())));
    }
});
