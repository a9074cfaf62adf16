//! Bytes that travel as text (`binary.handling.mode` of the source).

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};

use super::ValueError;

/// How the text of a column of bytes is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BinaryText {
    Hex,
    Base64,
    Base64UrlSafe,
}

impl BinaryText {
    /// By the option's value; `None` is what the server makes of the text.
    pub fn of(mode: &str) -> Option<Self> {
        match mode.to_ascii_lowercase().as_str() {
            "hex" => Some(Self::Hex),
            "base64" => Some(Self::Base64),
            "base64-url-safe" => Some(Self::Base64UrlSafe),
            _ => None,
        }
    }

    pub fn decode(self, text: &str) -> Result<Vec<u8>, ValueError> {
        let decoded = match self {
            Self::Hex => hex(text),
            Self::Base64 => STANDARD.decode(text).ok(),
            Self::Base64UrlSafe => URL_SAFE.decode(text).ok(),
        };
        decoded.ok_or_else(|| ValueError::new("the text is not in the form that binary.handling.mode says"))
    }
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let pairs = text.as_bytes().chunks(2);
    pairs.map(|pair| Some((digit(pair[0])? * 16 + digit(*pair.get(1)?)?) as u8)).collect()
}

#[cfg(test)]
mod tests {
    use super::BinaryText;

    #[test]
    fn each_mode_reads_its_own_form() {
        let check = |mode: &str, text: &str, expected: Option<&[u8]>| {
            let mode = BinaryText::of(mode).expect("a mode");
            assert_eq!(mode.decode(text).ok().as_deref(), expected, "{mode:?} {text}");
        };
        check("hex", "0102fF", Some(&[1, 2, 255]));
        check("hex", "", Some(&[]));
        check("hex", "012", None);
        check("hex", "é1", None);
        check("base64", "+/8=", Some(&[0xfb, 0xff]));
        check("base64", "-_8=", None);
        check("base64-url-safe", "-_8=", Some(&[0xfb, 0xff]));
        assert_eq!(BinaryText::of("bytes"), None);
    }
}
