//! Keys that are said to have an effect: whether anything reads them.
//!
//! A key of the tables of configuration that is marked effective and that nothing reads would be
//! accepted in silence, shown, and do nothing. That a reader does the right thing is for tests of
//! its own.

use super::{Finding, Source};

/// Where the tables and all that only lists, describes or checks keys is.
const TABLES: &str = "crates/ottla-partition/src/metadata/config/broker/keys_";
const NO_READERS: &[&str] = &[
    "crates/ottla-partition/src/metadata/config/broker/",
    "crates/ottla-partition/src/metadata/config/broker.rs",
    "crates/ottla-partition/src/metadata/config/check.rs",
    "crates/ottla-partition/src/metadata/config/describe.rs",
    "crates/ottla-partition/src/metadata/config/reason.rs",
];
/// The defaults of topics, which are read while the broker runs.
const TOPICS: &str = "crates/ottla-partition/src/metadata/config/topic.rs";

/// Effective keys that no code reads; among those that may change while the broker runs also such
/// that are read only from what it was started with.
#[must_use]
pub fn unread(files: &[Source]) -> Vec<Finding> {
    let readers = files.iter().filter(|file| {
        let crates = ["crates/ottla-partition/src/", "crates/ottla-broker/src/"];
        crates.iter().any(|of| file.path.starts_with(of))
            && !NO_READERS.iter().any(|path| file.path.starts_with(path))
    });
    let readers: Vec<(&str, String)> = readers.map(|f| (f.path.as_str(), code(f))).collect();
    let is_read = |name: &str| {
        let quoted = format!("\"{name}\"");
        readers.iter().any(|(_, text)| text.contains(&quoted))
    };
    let is_read_live = |name: &str| {
        let (asked, listed) = (format!("broker(\"{name}\""), format!("(\"{name}\","));
        let listed = |path: &str, text: &str| path == TOPICS && text.contains(&listed);
        readers
            .iter()
            .any(|(path, text)| text.contains(&asked) || listed(path, text))
    };
    let tables = files.iter().filter(|file| file.path.starts_with(TABLES));
    let keys = tables.flat_map(|file| keys(file).into_iter().map(move |key| (file, key)));
    let wrong = |(file, key): (&Source, Key)| {
        let text = if !key.is_effective || (is_read(&key.name) && !key.is_dynamic) {
            return None;
        } else if !is_read(&key.name) {
            "is marked effective and read nowhere: read it, or mark it reported with the reason"
        } else if !is_read_live(&key.name) {
            "may change while the broker runs and is read only at its start: ask the view for it"
        } else {
            return None;
        };
        Some(Finding {
            file: file.path.clone(),
            line: key.line,
            text: format!("{} {text}", key.name),
        })
    };
    keys.filter_map(wrong).collect()
}

/// How many keys are looked at.
#[must_use]
pub fn effective(files: &[Source]) -> usize {
    let tables = files.iter().filter(|file| file.path.starts_with(TABLES));
    let all = tables.flat_map(keys);
    all.filter(|key| key.is_effective).count()
}

/// The shipped code of a file without comments and white space.
fn code(file: &Source) -> String {
    let lines = file.shipped_lines().map(|(_, line)| line.trim());
    let lines = lines.filter(|line| !line.starts_with("//"));
    lines.flat_map(str::split_whitespace).collect()
}

/// One entry of a table.
#[derive(Debug)]
struct Key {
    name: String,
    line: usize,
    is_effective: bool,
    is_dynamic: bool,
}

/// The entries of a table, each of which begins with a line `key(`.
fn keys(table: &Source) -> Vec<Key> {
    let mut entries: Vec<(usize, String)> = Vec::new();
    for (number, line) in table.shipped_lines() {
        if line.trim_start().starts_with("key(") {
            entries.push((number, String::new()));
        }
        if let Some((_, text)) = entries.last_mut() {
            text.extend(line.split_whitespace());
        }
    }
    let of = |(line, text): (usize, String)| {
        // A text of documentation may say anything.
        let (name, rest) = text.strip_prefix("key(\"")?.split_once('"')?;
        Some(Key {
            name: name.to_owned(),
            line,
            is_effective: !rest.contains("Reported("),
            is_dynamic: rest.contains("ClusterWide,"),
        })
    };
    entries.into_iter().filter_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(path: &str, text: &str) -> Source {
        Source {
            path: path.to_owned(),
            text: text.to_owned(),
        }
    }

    #[test]
    fn a_key_needs_a_reader_and_a_dynamic_one_a_live_reader() {
        let table = source(
            &format!("{TABLES}x.rs"),
            r#"
    key("a", Int, ReadOnly, Effective, "doc"),
    key("b", Int, ReadOnly, Reported(WHY), "doc"),
    key("c", Int, ClusterWide, Effective, "doc"),
    key(
        "d",
        ClusterWide,
        Effective,
        "doc",
    ),
"#,
        );
        let reader = source(
            "crates/ottla-broker/src/x.rs",
            "fn x() {\n number(\"c\");\n // \"a\"\n view.broker(\n \"d\",\n );\n}\n",
        );
        let found = unread(&[table.clone(), reader]);
        let found: Vec<_> = found.iter().map(|f| (f.line, &f.text[..14])).collect();
        assert_eq!(found, [(2, "a is marked ef"), (4, "c may change w")]);
        assert_eq!(effective(&[table]), 3);
    }
}
