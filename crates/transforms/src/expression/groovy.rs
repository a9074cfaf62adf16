//! One-liners of Groovy and JavaScript as CEL: other spellings are translated, other meanings refused with a hint.

use std::sync::LazyLock;

use fancy_regex::Regex;

/// Spellings that mean the same, and CEL's.
static SPELLINGS: LazyLock<Vec<(Regex, &'static str)>> = LazyLock::new(|| {
    let getter = r#"\.get(?:Struct|String|Boolean|Int8|Int16|Int32|Int64|Float32|Float64|Bytes|Array|Map)?"#;
    [
        (format!(r#"{getter}\(\s*['"]([A-Za-z_]\w*)['"]\s*\)"#), ".$1"),
        (format!(r#"{getter}\(\s*(['"][^'"]*['"])\s*\)"#), "[$1]"),
        (r"(?<![=!<>])===(?!=)".to_owned(), "=="),
        (r"!==".to_owned(), "!="),
        (r"\.(?:length|size)\(\)".to_owned(), ".size()"),
        (r"\.to(?:LowerCase|LowerAscii)\(\)".to_owned(), ".lowerAscii()"),
        (r"\.to(?:UpperCase|UpperAscii)\(\)".to_owned(), ".upperAscii()"),
        (r#"\s*==~\s*/((?:[^/\\]|\\.)*)/"#.to_owned(), ".matches(r'^(?:$1)$$')"),
        (r"\.includes\(".to_owned(), ".contains("),
        (r";\s*$".to_owned(), ""),
        (r"^\s*return\b".to_owned(), ""),
    ]
    .into_iter()
    .map(|(pattern, cel)| (Regex::new(&pattern).expect("the patterns are valid"), cel))
    .collect()
});

/// What has another meaning in CEL or none, and what to write instead.
static REFUSALS: LazyLock<Vec<(Regex, &'static str)>> = LazyLock::new(|| {
    [
        (
            r"([\w.]+)\?\.(\w+)",
            "CEL has no safe navigation: instead of `$1?.$2` write `$1 != null && $1.$2 …`",
        ),
        (r"([\w.]+)\s*\?:\s*", "CEL has no `?:`: instead of `$1 ?: x` write `$1 != null ? $1 : x`"),
        (r"([\w.]+)\.equals\(", "compare with `==`: instead of `$1.equals(x)` write `$1 == x`"),
        (r"([\w.]+)\s*=~", "instead of `$1 =~ /x/` write `$1.matches('x')`"),
        (
            r"\binstanceof\b",
            "CEL has no `instanceof`: compare `type(x)` with int, double, string, bool, map or list",
        ),
        (r"\bas\s+(int|long|Integer|Long)\b", "instead of `x as $1` write `int(x)`"),
        (r"\bas\s+String\b", "instead of `x as String` write `string(x)`"),
        (
            r"\bnew\s+\w",
            "objects cannot be made: write the value itself, times as numbers or text as the field has them",
        ),
        (
            r"\{[^}]*->",
            "closures are CEL's macros: `list.exists(x, x > 1)`, `list.all(x, …)`, `list.filter(x, …)`",
        ),
        (r"=>", "functions are CEL's macros: `list.exists(x, x > 1)`, `list.all(x, …)`, `list.filter(x, …)`"),
        (r"\b(?:def|var|let|const)\s+\w", "there are no variables: write the condition as one expression"),
        (r"\bif\s*\(", "instead of `if (c) a else b` write `c ? a : b`"),
        (r";", "only one expression is evaluated: join conditions with `&&` and `||`"),
        (r"\$\{|\$\w", "texts are joined with `+`: instead of \"a${x}\" write 'a' + string(x)"),
        (
            r"\.schema\(\)",
            "schemas are the variables keySchema and valueSchema, with name, version, type and fields",
        ),
    ]
    .into_iter()
    .map(|(pattern, hint)| (Regex::new(pattern).expect("the patterns are valid"), hint))
    .collect()
});

/// The expression in CEL; an error is what to write instead.
pub(super) fn to_cel(text: &str) -> Result<String, String> {
    let mut expression = text.trim().to_owned();
    for (pattern, cel) in SPELLINGS.iter() {
        expression = replace_outside_texts(pattern, &expression, cel);
    }
    let bare = without_texts(&expression);
    for (pattern, hint) in REFUSALS.iter() {
        if let Ok(Some(found)) = pattern.captures(bare.as_str()) {
            let mut message = String::new();
            found.expand(hint, &mut message);
            return Err(message);
        }
    }
    Ok(expression)
}

/// A JSON path's filter with a name for its `@`; `=~ /x/` matches whole texts there.
pub(super) fn with_node(text: &str, name: &str) -> String {
    static NODE: LazyLock<Regex> = LazyLock::new(|| Regex::new("@").expect("the pattern is valid"));
    static MATCHES: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"\s*=~\s*/((?:[^/\\]|\\.)*)/").expect("the pattern is valid"));
    let named = replace_outside_texts(&NODE, text, name);
    replace_outside_texts(&MATCHES, &named, ".matches(r'^(?:$1)$$')")
}

/// Replaces matches that do not begin inside a quoted text.
fn replace_outside_texts(pattern: &Regex, text: &str, replacement: &str) -> String {
    let inside = quoted(text);
    let mut out = String::new();
    let mut from = 0;
    for found in pattern.captures_iter(text).flatten() {
        let Some(whole) = found.get(0).filter(|it| !inside[it.start()]) else { continue };
        out.push_str(&text[from..whole.start()]);
        found.expand(replacement, &mut out);
        from = whole.end();
    }
    out.push_str(&text[from..]);
    out
}

/// For each byte whether it lies within quotes.
fn quoted(text: &str) -> Vec<bool> {
    let mut open: Option<u8> = None;
    let mut escaped = false;
    let flag = |byte: u8| {
        let within = open.is_some();
        match open {
            _ if escaped => escaped = false,
            Some(_) if byte == b'\\' => escaped = true,
            Some(quote) if quote == byte => open = None,
            None if matches!(byte, b'\'' | b'"') => open = Some(byte),
            _ => {}
        }
        within
    };
    text.bytes().map(flag).collect()
}

/// The expression with the contents of its texts blanked. Interpolation happens within double quotes and stays.
fn without_texts(text: &str) -> String {
    let inside = quoted(text);
    let keep = |(index, character): (usize, char)| {
        if inside[index] && !matches!(character, '\'' | '"' | '$' | '{') { ' ' } else { character }
    };
    text.char_indices().map(keep).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        assert_eq!(to_cel(text).as_deref(), Ok(expected));
    }

    fn refused(text: &str, hint: &str) {
        let error = to_cel(text).unwrap_err();
        assert!(error.contains(hint), "{text}: {error}");
    }

    #[test]
    fn conditions_of_the_documentation() {
        check("value.op == 'u' && value.before.id == 2", "value.op == 'u' && value.before.id == 2");
        check("value.op == 'u' ? 'updates' : null", "value.op == 'u' ? 'updates' : null");
        check(
            "value.get('op') == 'u' && value.get('before').get('id') == 2",
            "value.op == 'u' && value.before.id == 2",
        );
        check("value.op === \"c\";", "value.op == \"c\"");
        check("value.after.name ==~ /a.*b/", "value.after.name.matches(r'^(?:a.*b)$')");
        check("value.getStruct('after').getString('a b') != '==='", "value.after['a b'] != '==='");
    }

    #[test]
    fn other_meanings() {
        refused("value.before?.id == 2", "`value.before != null && value.before.id");
        refused("value.op.equals('u')", "`value.op == x`");
        refused("def x = 1; x", "no variables");
        refused("value.list.any { it -> it > 1 }", "exists");
        refused("\"t-${value.op}\"", "joined with `+`");
        refused("value.after.n as int > 1", "int(x)");
    }
}
