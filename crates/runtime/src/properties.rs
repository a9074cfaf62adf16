//! Java's `.properties` files, and the order in which Java's maps show their entries.

use connect::settings::Properties;

/// Parses a `.properties` file: comments, `=`, `:` or blank as separator, line continuation, escapes.
///
/// # Errors
/// A `\u` escape that is none; line numbers count from 1.
pub fn parse(text: &str) -> Result<Properties, String> {
    let mut properties = Properties::new();
    let mut lines = text.lines().enumerate();
    while let Some((number, first)) = lines.next() {
        let mut line = first.trim_start().to_owned();
        if line.is_empty() || line.starts_with(['#', '!']) {
            continue;
        }
        while line.chars().rev().take_while(|c| *c == '\\').count() % 2 == 1 {
            line.pop();
            let Some((_, next)) = lines.next() else { break };
            line.push_str(next.trim_start());
        }
        let (key, value) = split(&line);
        let unescaped =
            |part: &str| unescape(part).ok_or_else(|| format!("line {}: malformed \\u escape", number + 1));
        properties.insert(unescaped(key)?, unescaped(value)?);
    }
    Ok(properties)
}

fn split(line: &str) -> (&str, &str) {
    let mut escaped = false;
    let end = line
        .char_indices()
        .find(|(_, c)| {
            let ends = !escaped && (matches!(c, '=' | ':') || c.is_ascii_whitespace());
            escaped = *c == '\\' && !escaped;
            ends
        })
        .map_or(line.len(), |(at, _)| at);
    let rest = line[end..].trim_start();
    let value = rest.strip_prefix(['=', ':']).unwrap_or(rest);
    (&line[..end], value.trim_start())
}

fn unescape(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('t') => out.push('\t'),
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some('f') => out.push('\u{c}'),
            Some('u') => {
                let digits: String = chars.by_ref().take(4).collect();
                let unit = (digits.len() == 4).then(|| u32::from_str_radix(&digits, 16).ok()).flatten()?;
                out.push(char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            Some(other) => out.push(other),
            None => {}
        }
    }
    Some(out)
}

/// The entries in the order in which Java's `HashMap` iterates over them: what Connect's users see of a
/// configuration that was read back from the config topic.
pub fn java_order(properties: &Properties) -> Properties {
    let mut buckets = 16_usize;
    while properties.len() * 4 > buckets * 3 {
        buckets *= 2;
    }
    let mut entries: Vec<_> = properties.iter().collect();
    entries.sort_by_key(|(key, _)| {
        let hash = key
            .encode_utf16()
            .fold(0_i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit as i16) & 0xffff));
        (hash ^ ((hash as u32) >> 16) as i32) as u32 as usize & (buckets - 1)
    });
    entries.into_iter().map(|(key, value)| (key.clone(), value.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_java_reads() {
        let text = "# comment\nlisteners=http://:8083\n group.id : a b \nlong=one,\\\n   two\nempty\npath=c:\\\\x\\u0041\n";
        let parsed = parse(text).unwrap();
        let pairs: Vec<_> = parsed.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(
            pairs,
            [
                ("listeners", "http://:8083"),
                ("group.id", "a b "),
                ("long", "one,two"),
                ("empty", ""),
                ("path", "c:\\xA")
            ]
        );
        assert!(parse("a=\\u12").is_err());
    }

    #[test]
    fn order_of_a_recorded_configuration() {
        let written = "connector.class database.hostname database.port database.user database.password \
            database.dbname topic.prefix plugin.name slot.name publication.name table.include.list \
            poll.interval.ms tasks.max name";
        let properties = written.split_whitespace().map(|key| (key.to_owned(), String::new())).collect();
        let order: Vec<_> = java_order(&properties).into_keys().collect();
        assert_eq!(
            order.join(" "),
            "connector.class database.user database.dbname slot.name tasks.max publication.name database.port \
             plugin.name topic.prefix database.hostname database.password poll.interval.ms name \
             table.include.list"
        );
    }
}
