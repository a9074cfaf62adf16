//! Names that a format does not accept, in Confluent's replacement: percent-encoded, and everything else an underscore.

/// `first` goes in front, where the format wants another beginning.
pub(crate) fn scrubbed(name: &str, first: Option<char>) -> String {
    let mut out: String = first.into_iter().collect();
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' => out.push(char::from(byte)),
            // What URL encoding leaves alone, or turns into a plus, is no part of a name either.
            b'.' | b'-' | b'*' | b' ' => out.push('_'),
            other => out.push_str(&format!("_{other:02X}")),
        }
    }
    out
}
