//! Ports that nobody uses.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Mutex;

static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());

/// A free port of the loopback address, given out once per process.
///
/// # Panics
/// When the machine has no free port.
pub fn free() -> u16 {
    let mut given = GIVEN.lock().expect("nobody panics while holding this");
    loop {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = listener.local_addr().expect("a bound listener has an address").port();
        if given.insert(port) {
            return port;
        }
    }
}

/// Whether something listens there.
pub fn is_taken(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_err()
}
