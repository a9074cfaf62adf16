//! An error's text without what belongs to one record only, so that records with the same trouble come together.

/// Replaces numbers, quoted values and the values of keys: `value 17 of "qty"` becomes `value N of "qty"`. Names in
/// double quotes stay, unless they are a value after a colon, as PostgreSQL writes it.
pub fn shape(message: &str) -> String {
    let mut out = String::with_capacity(message.len());
    let mut rest = message;
    while let Some(first) = rest.chars().next() {
        if let Some(after) = quoted(rest, &out) {
            out.push('…');
            rest = after;
        } else if let Some(after) = rest.strip_prefix(")=(") {
            // The server's detail: Key (id, name)=(17, x) …
            out.push_str(")=(…");
            rest = after.find(')').map_or("", |end| &after[end..]);
        } else if first.is_ascii_digit() && !out.ends_with(is_word) {
            out.push('N');
            rest =
                rest.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | ':' | '-'));
        } else {
            out.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    out
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// What comes after a quoted value at the start of `rest`.
fn quoted<'a>(rest: &'a str, before: &str) -> Option<&'a str> {
    let quote = if rest.starts_with('\'') && !before.ends_with(is_word) {
        '\''
    } else if rest.starts_with('"') && before.ends_with(": ") {
        '"'
    } else {
        return None;
    };
    let end = rest[1..].find(quote)? + 1;
    Some(&rest[end + 1..])
}

#[cfg(test)]
mod tests {
    use super::shape;

    #[test]
    fn values_go_and_names_stay() {
        let check = |message: &str, expected: &str| assert_eq!(shape(message), expected);
        check("value 17 of \"qty\" is out of range", "value N of \"qty\" is out of range");
        check("invalid input syntax for type integer: \"abc\"", "invalid input syntax for type integer: …");
        check("Key (id, name)=(17, x) already exists", "Key (id, name)=(…) already exists");
        check("unknown option 'a b' given", "unknown option … given");
        check("it isn't so, and can't be", "it isn't so, and can't be");
        check("int4 and 2024-01-02T03:04:05Z and -3.5", "int4 and N and -N");
        check("unterminated: \"abc", "unterminated: \"abc");
        check("für 3 Äpfel", "für N Äpfel");
        check("", "");
    }
}
