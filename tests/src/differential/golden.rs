//! A group's answers as text, and back.
//!
//! ```text
//! ## Produce: acks other than -1, 0 and 1
//!
//! v3-4:
//! {"responses": [..], ..}
//! ```
//!
//! Neighbouring versions with the same answer share one entry.

use std::fmt::Write as _;

use serde_json::Value;

/// The widest line that a value is not broken over.
const WIDTH: usize = 98;

/// One request's answers, at each version that it was sent at.
#[derive(Debug, PartialEq)]
pub struct Section {
    /// API and what was asked.
    pub title: String,
    /// Versions and answers, in the order of asking.
    pub answers: Vec<(i16, Value)>,
}

/// The file of a group.
pub fn write(sections: &[Section]) -> String {
    let mut out = String::new();
    for section in sections {
        let _ = writeln!(out, "## {}", section.title);
        let mut rest = section.answers.as_slice();
        while let Some((first, answer)) = rest.first() {
            let alike = rest.iter().zip(*first..);
            let count = alike
                .take_while(|((v, a), next)| v == next && a == answer)
                .count();
            let last = rest[count - 1].0;
            let range = if count == 1 {
                format!("v{first}")
            } else {
                format!("v{first}-{last}")
            };
            let mut text = format!("\n{range}: ");
            let column = text.len() - 1;
            Pretty {
                out: &mut text,
                column,
            }
            .value(answer, 1);
            out += &text;
            out.push('\n');
            rest = &rest[count..];
        }
        out.push('\n');
    }
    out
}

/// The sections of a group's file.
///
/// # Errors
/// When it is not such a file.
pub fn read(text: &str) -> Result<Vec<Section>, String> {
    let mut sections: Vec<Section> = Vec::new();
    let mut open: Option<(Vec<i16>, String)> = None;
    for line in text.lines().chain(["## "]) {
        let title = line.strip_prefix("## ");
        let entry = if line.starts_with('v') {
            line.split_once(": ")
        } else {
            None
        };
        if (title.is_some() || entry.is_some())
            && let Some((versions, json)) = open.take()
            && let Some(section) = sections.last_mut()
        {
            let answer: Value =
                serde_json::from_str(&json).map_err(|e| format!("{}: {e}", section.title))?;
            section
                .answers
                .extend(versions.into_iter().map(|v| (v, answer.clone())));
        }
        if let Some(title) = title {
            sections.push(Section {
                title: title.to_owned(),
                answers: Vec::new(),
            });
        } else if let Some((range, rest)) = entry {
            let range = range.trim_start_matches('v');
            // A dash in front is a sign: version -1 can be asked for, too.
            let dash = range.char_indices().skip(1).find(|(_, c)| *c == '-');
            let (first, last) =
                dash.map_or((range, range), |(at, _)| (&range[..at], &range[at + 1..]));
            let version = |word: &str| word.parse::<i16>().map_err(|e| format!("{line:?}: {e}"));
            open = Some((
                (version(first)?..=version(last)?).collect(),
                rest.to_owned(),
            ));
        } else if let Some((_, json)) = &mut open {
            json.push_str(line);
        }
    }
    sections.pop();
    Ok(sections)
}

/// Writes JSON that breaks lines where it must: list elements below each other, fields in a row.
struct Pretty<'a> {
    out: &'a mut String,
    column: usize,
}

impl Pretty<'_> {
    fn value(&mut self, value: &Value, indent: usize) {
        let line = value.to_string();
        if self.column + line.len() <= WIDTH {
            return self.text(&line);
        }
        match value {
            Value::Array(elements) => {
                self.text("[");
                for (i, element) in elements.iter().enumerate() {
                    self.text(if i == 0 { "" } else { "," });
                    self.new_line(indent);
                    self.value(element, indent + 1);
                }
                self.text("]");
            }
            Value::Object(fields) => {
                self.text("{");
                for (i, (name, value)) in fields.iter().enumerate() {
                    let name = format!("\"{name}\":");
                    self.text(if i == 0 { "" } else { "," });
                    let opens = value.is_array() || value.is_object();
                    let length = if opens { 0 } else { value.to_string().len() };
                    if i != 0 && self.column + name.len() + length >= WIDTH {
                        self.new_line(indent);
                    }
                    self.text(&name);
                    self.value(value, indent + 1);
                }
                self.text("}");
            }
            _ => self.text(&line),
        }
    }

    fn text(&mut self, text: &str) {
        self.out.push_str(text);
        self.column += text.len();
    }

    fn new_line(&mut self, indent: usize) {
        let _ = write!(self.out, "\n{:indent$}", "");
        self.column = indent;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_was_written_is_read() {
        let long = json!({"list": [{"text": "x".repeat(60)}, {"text": "y".repeat(60)}], "n": 1});
        let sections = vec![
            Section {
                title: "Produce: some".to_owned(),
                answers: vec![
                    (3, json!("closed")),
                    (4, json!("closed")),
                    (5, long.clone()),
                ],
            },
            Section {
                title: "Produce: more".to_owned(),
                answers: vec![(7, long)],
            },
        ];
        let text = write(&sections);
        assert!(text.contains("\nv3-4: \"closed\"\n"), "{text}");
        assert_eq!(read(&text).expect("a file"), sections);
    }
}
