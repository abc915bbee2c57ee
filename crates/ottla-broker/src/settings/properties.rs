//! Reads a `server.properties` file: the format of `java.util.Properties`.

/// A setting with the line it begins on, from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Property {
    pub(super) key: String,
    pub(super) value: String,
    pub(super) line: usize,
}

/// The settings in `text`, in order.
///
/// # Errors
/// The line and what is wrong with it: the format lets everything pass but a broken `\u` escape.
pub(super) fn parse(text: &str) -> Result<Vec<Property>, (usize, &'static str)> {
    let mut properties = Vec::new();
    let mut lines = text.split('\n').enumerate();
    while let Some((index, line)) = lines.next() {
        let line = line.trim_end_matches('\r').trim_start_matches(is_space);
        if line.is_empty() || line.starts_with(['#', '!']) {
            continue;
        }
        let mut logical = line.to_owned();
        // An odd number of backslashes at the end: the next line goes on here.
        while logical.bytes().rev().take_while(|b| *b == b'\\').count() % 2 == 1 {
            logical.pop();
            let Some((_, next)) = lines.next() else { break };
            logical.push_str(next.trim_end_matches('\r').trim_start_matches(is_space));
        }
        let (key, value) = split(&logical);
        let unescape = |text| {
            unescape(text).ok_or((index + 1, "a \\u that no four hexadecimal digits follow"))
        };
        properties.push(Property {
            key: unescape(key)?,
            value: unescape(value)?,
            line: index + 1,
        });
    }
    Ok(properties)
}

const fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\x0c')
}

/// The key and the value: between them the first `=`, `:` or white space that no backslash
/// precedes, and white space around it.
fn split(line: &str) -> (&str, &str) {
    let mut escaped = false;
    let end = line.char_indices().find_map(|(at, c)| {
        let ends = !escaped && (is_space(c) || matches!(c, '=' | ':'));
        escaped = c == '\\' && !escaped;
        ends.then_some(at)
    });
    let (key, rest) = line.split_at(end.unwrap_or(line.len()));
    let rest = rest.trim_start_matches(is_space);
    let value = rest.strip_prefix(['=', ':']).unwrap_or(rest);
    (key, value.trim_start_matches(is_space))
}

fn unescape(text: &str) -> Option<String> {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            plain.push(c);
            continue;
        }
        match chars.next() {
            Some('t') => plain.push('\t'),
            Some('n') => plain.push('\n'),
            Some('r') => plain.push('\r'),
            Some('f') => plain.push('\x0c'),
            Some('u') => {
                let digits: String = chars.by_ref().take(4).collect();
                let all = digits.len() == 4 && digits.bytes().all(|b| b.is_ascii_hexdigit());
                let unit = u16::from_str_radix(&digits, 16).ok().filter(|_| all)?;
                // Halves of a surrogate pair have no place in a setting.
                plain.push(char::from_u32(u32::from(unit)).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            Some(other) => plain.push(other),
            None => {}
        }
    }
    Some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_java_reads() {
        let text = "# a comment\n! another\n\n  a=1\nb : two words \nc three\nd\ne\\=f = x\\ty\n\
                    long=one,\\\n    two,\\\r\n  three\r\nodd=back\\\\\nu=\\u00e9\n";
        let read: Vec<_> = parse(text)
            .unwrap()
            .into_iter()
            .map(|p| (p.key, p.value, p.line))
            .collect();
        let expected = [
            ("a", "1", 4),
            ("b", "two words ", 5),
            ("c", "three", 6),
            ("d", "", 7),
            ("e=f", "x\ty", 8),
            ("long", "one,two,three", 9),
            ("odd", "back\\", 12),
            ("u", "\u{e9}", 13),
        ];
        let expected = expected.map(|(k, v, line)| (k.to_owned(), v.to_owned(), line));
        assert_eq!(read, expected);
    }

    #[test]
    fn a_broken_escape_is_named_by_its_line() {
        assert_eq!(parse("a=1\nb=\\u12\n").unwrap_err().0, 2);
        assert_eq!(parse("b=\\u+123\n").unwrap_err().0, 1);
    }

    #[test]
    fn any_text_is_read_or_refused() {
        for text in [
            "\\",
            "=",
            ":=",
            "\\\n\\\n\\",
            "\\u",
            "a\\",
            "\0",
            " \\ = \\",
        ] {
            let _ = parse(text);
        }
    }
}
