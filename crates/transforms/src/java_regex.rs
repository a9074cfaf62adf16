//! Java's regular expressions on a back-tracking engine: look-around, possessive quantifiers and back-references work;
//! classes are translated, since Java's `\d`, `\w`, `\s` and `\p{Alpha}` are ASCII and the engine's are Unicode.

use std::fmt::Write;

use fancy_regex::{Captures, Regex};

pub(crate) struct Pattern {
    /// Matches a whole text, as `Matcher.matches`.
    whole: Regex,
    /// Finds, as `Matcher.find`.
    find: Regex,
}

impl Pattern {
    pub(crate) fn new(java: &str) -> Result<Self, String> {
        let translated = translate(java)?;
        let compile = |text: &str| Regex::new(text).map_err(|error| error.to_string());
        Ok(Self { whole: compile(&format!("\\A(?:{translated})\\z"))?, find: compile(&translated)? })
    }

    /// A pattern that exceeds the engine's limit of back-tracking does not match.
    pub(crate) fn matches(&self, text: &str) -> bool {
        self.whole.is_match(text).unwrap_or(false)
    }

    /// `Matcher.replaceFirst`, with Java's syntax of replacements.
    pub(crate) fn replace_first(&self, text: &str, replacement: &str) -> Result<String, String> {
        let Some(captures) = self.find.captures(text).map_err(|error| error.to_string())? else {
            return Ok(text.to_owned());
        };
        let found = captures.get(0).ok_or("a match without a group 0")?;
        let mut out = text[..found.start()].to_owned();
        self.append_replacement(&captures, replacement, &mut out)?;
        out.push_str(&text[found.end()..]);
        Ok(out)
    }

    fn append_replacement(
        &self,
        captures: &Captures<'_, str>,
        replacement: &str,
        out: &mut String,
    ) -> Result<(), String> {
        let mut rest = replacement.chars().peekable();
        while let Some(character) = rest.next() {
            match character {
                '\\' => out.push(rest.next().ok_or("character to be escaped is missing")?),
                '$' if rest.peek() == Some(&'{') => {
                    rest.next();
                    let name: String = std::iter::from_fn(|| rest.next_if(|it| *it != '}')).collect();
                    if rest.next().is_none() {
                        return Err("named capturing group is missing trailing '}'".to_owned());
                    }
                    if !self.find.capture_names().flatten().any(|known| known == name) {
                        return Err(format!("No group with name {{{name}}}"));
                    }
                    out.push_str(captures.name(&name).map_or("", |group| group.as_str()));
                }
                '$' => {
                    let digit = rest.next_if(char::is_ascii_digit).and_then(|it| it.to_digit(10));
                    let mut group = digit.ok_or("Illegal group reference")? as usize;
                    if group >= captures.len() {
                        return Err(format!("No group {group}"));
                    }
                    // Further digits belong to the number for as long as such a group exists.
                    while let Some(digit) = rest.peek().and_then(|it| it.to_digit(10)) {
                        let longer = group * 10 + digit as usize;
                        if longer >= captures.len() {
                            break;
                        }
                        group = longer;
                        rest.next();
                    }
                    out.push_str(captures.get(group).map_or("", |group| group.as_str()));
                }
                other => out.push(other),
            }
        }
        Ok(())
    }
}

/// Java's syntax to the engine's.
fn translate(java: &str) -> Result<String, String> {
    let mut out = String::with_capacity(java.len() + 16);
    let mut rest = java.chars().peekable();
    let mut class_depth = 0_usize;
    while let Some(character) = rest.next() {
        match character {
            '\\' => translate_escape(&mut rest, class_depth > 0, &mut out)?,
            '[' => {
                class_depth += 1;
                out.push('[');
                if rest.next_if_eq(&'^').is_some() {
                    out.push('^');
                }
                // A bracket that closes at once is a literal in Java's classes too.
                if rest.next_if_eq(&']').is_some() {
                    out.push_str("\\]");
                }
            }
            ']' if class_depth > 0 => {
                class_depth -= 1;
                out.push(']');
            }
            ']' => out.push_str("\\]"),
            '(' if class_depth == 0 && rest.peek() == Some(&'?') => {
                rest.next();
                if rest.peek() == Some(&'#') {
                    return Err("Unknown inline modifier near index".to_owned());
                }
                out.push_str("(?");
            }
            // Operators of the engine's classes that Java's do not know.
            '~' | '-' if class_depth > 0 && rest.peek() == Some(&character) => {
                out.push('\\');
                out.push(character);
            }
            other => out.push(other),
        }
    }
    Ok(out)
}

type Rest<'a> = std::iter::Peekable<std::str::Chars<'a>>;

fn translate_escape(rest: &mut Rest<'_>, in_class: bool, out: &mut String) -> Result<(), String> {
    let Some(escaped) = rest.next() else {
        return Err("Unexpected internal error: trailing backslash".to_owned());
    };
    let set = |members: &str, negated: bool, out: &mut String| {
        out.push_str(match (in_class, negated) {
            (true, false) => "",
            (_, false) => "[",
            (_, true) => "[^",
        });
        out.push_str(members);
        if !in_class || negated {
            out.push(']');
        }
    };
    match escaped {
        'd' | 'D' => set("0-9", escaped == 'D', out),
        'w' | 'W' => set("a-zA-Z0-9_", escaped == 'W', out),
        's' | 'S' => set(" \\t\\n\\x0B\\f\\r", escaped == 'S', out),
        'h' | 'H' => set(
            " \\t\\u{A0}\\u{1680}\\u{180e}\\u{2000}-\\u{200a}\\u{202f}\\u{205f}\\u{3000}",
            escaped == 'H',
            out,
        ),
        'v' | 'V' => set("\\n\\x0B\\f\\r\\u{85}\\u{2028}\\u{2029}", escaped == 'V', out),
        'e' => out.push_str("\\x1B"),
        'u' => {
            let hex: String = rest.by_ref().take(4).collect();
            push_code(&hex, 16, out)?;
        }
        '0' => {
            let octal: String = std::iter::from_fn(|| rest.next_if(|it| it.is_digit(8))).take(3).collect();
            push_code(&octal, 8, out)?;
        }
        'Q' => {
            // Everything up to \E is literal.
            let mut literal = String::new();
            while let Some(character) = rest.next() {
                if character == '\\' && rest.next_if_eq(&'E').is_some() {
                    break;
                }
                literal.push(character);
            }
            out.push_str(&regex::escape(&literal));
        }
        'p' | 'P' => {
            let name: String = match rest.next() {
                Some('{') => std::iter::from_fn(|| rest.next_if(|it| *it != '}')).collect(),
                Some(single) => {
                    let _ = write!(out, "\\{escaped}{single}");
                    return Ok(());
                }
                None => return Err("Illegal property name".to_owned()),
            };
            rest.next();
            translate_property(&name, escaped == 'P', &set, out);
        }
        other => {
            out.push('\\');
            out.push(other);
        }
    }
    Ok(())
}

fn push_code(digits: &str, radix: u32, out: &mut String) -> Result<(), String> {
    let code =
        u32::from_str_radix(digits, radix).map_err(|_| "Illegal numeric escape sequence".to_owned())?;
    let _ = write!(out, "\\x{{{code:X}}}");
    Ok(())
}

/// Java's POSIX and `java.lang.Character` classes; what is left has the same name in the engine.
fn translate_property(name: &str, negated: bool, set: &dyn Fn(&str, bool, &mut String), out: &mut String) {
    let members = match name {
        "Lower" => "a-z",
        "Upper" => "A-Z",
        "ASCII" => "\\x00-\\x7F",
        "Alpha" => "a-zA-Z",
        "Digit" => "0-9",
        "Alnum" => "a-zA-Z0-9",
        "Punct" => "!-/:-@\\[-`{-~",
        "Graph" => "!-~",
        "Print" => " -~",
        "Blank" => " \\t",
        "Cntrl" => "\\x00-\\x1F\\x7F",
        "XDigit" => "0-9a-fA-F",
        "Space" => " \\t\\n\\x0B\\f\\r",
        "javaLowerCase" => "\\p{Lowercase}",
        "javaUpperCase" => "\\p{Uppercase}",
        "javaWhitespace" => "\\p{White_Space}",
        other => {
            let plain = other.strip_prefix("Is").unwrap_or(other);
            let _ = write!(out, "\\{}{{{plain}}}", if negated { 'P' } else { 'p' });
            return;
        }
    };
    set(members, negated, out);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(java: &str, text: &str, replacement: &str, expected: &str) {
        let pattern = Pattern::new(java).unwrap();
        assert!(pattern.matches(text), "{java} on {text}");
        assert_eq!(pattern.replace_first(text, replacement).unwrap(), expected);
    }

    #[test]
    fn routes_of_the_field() {
        check("([^.]+)\\.([^.]+)\\.([^.]+)", "postgres_cdc.public.users", "$3", "users");
        check("(.*)", "users", "$1", "users");
        check("(?<db>\\w+)\\.(?<t>[\\w-]+)", "a.b-c", "${t}_${db}", "b-c_a");
        check("\\Qa.b\\E(.*)", "a.bc", "x$1", "xc");
        check("[\\p{Alpha}&&[^b]]+\\d{2}", "ac12", "n", "n");
    }

    #[test]
    fn the_whole_name_must_match() {
        assert!(!Pattern::new("a|ab").unwrap().matches("abc"));
        assert!(Pattern::new("a|ab").unwrap().matches("ab"));
        assert!(!Pattern::new("\\d+").unwrap().matches("١٢"));
    }
}
