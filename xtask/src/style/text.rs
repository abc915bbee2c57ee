//! Rules about the text of lines: forbidden calls, stubs, columns, characters, paths of a machine.

use super::{Finding, Source};

/// The widest line, in characters.
pub const COLUMNS_MAX: usize = 100;

/// The crates whose code never touches the world.
const PURE: &[&str] = &[
    "crates/ottla-log/src/",
    "crates/ottla-protocol/src/",
    "crates/ottla-partition/src/",
    "crates/ottla-coordinator/src/",
];

/// The part of the pure crates that may: the injected world itself.
const WORLD: &[&str] = &[
    "crates/ottla-log/src/vfs",
    "crates/ottla-log/src/clock",
    "crates/ottla-log/src/entropy",
];

/// What a pure crate never calls, and what to use.
const IMPURE: &[(&str, &str)] = &[
    (
        "Instant::now",
        "take the time as an argument or from the Clock",
    ),
    (
        "SystemTime",
        "take the time as an argument or from the Clock",
    ),
    ("std::fs", "go through the Vfs"),
    ("std::net", "sockets live in ottla-broker"),
    ("std::thread", "threads live in ottla-broker"),
    ("thread::spawn", "threads live in ottla-broker"),
    ("tokio::", "tokio lives in ottla-broker"),
    ("getrandom::", "go through the Entropy"),
    ("rand::", "go through the Entropy"),
    (
        "HashMap::new()",
        "use BTreeMap, IndexMap or a seeded hasher: its order differs from run to run",
    ),
    (
        "HashSet::new()",
        "use BTreeSet, IndexSet or a seeded hasher: its order differs from run to run",
    ),
];

/// What never stands in code that ships.
const STUBS: &[&str] = &[
    "todo!(",
    "unimplemented!(",
    "dbg!(",
    concat!("FIX", "ME"),
    concat!("XX", "X:"),
    "#[ignore",
];

/// Calls to the world outside its module.
#[must_use]
pub fn impure_calls(source: &Source) -> Vec<Finding> {
    let starts = |places: &[&str]| places.iter().any(|p| source.path.starts_with(p));
    if !starts(PURE) || starts(WORLD) {
        return Vec::new();
    }
    search(
        source,
        IMPURE
            .iter()
            .map(|(word, advice)| (*word, format!("{word} in a pure crate: {advice}"))),
    )
}

/// `tokio::spawn` and `tokio::time` outside the broker's one module, and `select!` that is not
/// biased, whose order differs from run to run.
#[must_use]
pub fn runtime_calls(source: &Source) -> Vec<Finding> {
    if !source.path.starts_with("crates/ottla-broker/src/") {
        return Vec::new();
    }
    let mut findings = Vec::new();
    if !source.path.ends_with("/runtime.rs") && !source.path.contains("/runtime/") {
        let words = ["tokio::spawn", "tokio::time", "task::spawn"];
        findings = search(
            source,
            words
                .map(|w| (w, format!("{w} belongs to runtime.rs")))
                .into_iter(),
        );
    }
    let lines: Vec<(usize, &str)> = source.shipped_lines().collect();
    for pair in lines.windows(2) {
        let [(number, line), (_, next)] = pair else {
            continue;
        };
        if line.contains("select! {") && next.trim() != "biased;" {
            findings.push(at(
                source,
                *number,
                "select! without `biased;` on its next line",
            ));
        }
    }
    findings
}

/// Stubs and leftovers of debugging.
#[must_use]
pub fn stubs(source: &Source) -> Vec<Finding> {
    if source.path.starts_with("xtask/src/style/") {
        return Vec::new();
    }
    let words = STUBS
        .iter()
        .map(|word| (*word, format!("{word} is a hole")));
    source
        .lines()
        .flat_map(|(number, line)| {
            words
                .clone()
                .filter(move |(word, _)| line.contains(word))
                .map(move |(_, text)| (number, text))
        })
        .map(|(number, text)| Finding {
            file: source.path.clone(),
            line: number,
            text,
        })
        .collect()
}

/// Lines over the width, and characters outside ASCII in code.
#[must_use]
pub fn shape(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, line) in source.lines() {
        if line.chars().count() > COLUMNS_MAX {
            findings.push(at(source, number, "more than 100 columns"));
        }
        if !line.is_ascii() {
            findings.push(at(
                source,
                number,
                "a character outside ASCII; write it as an escape",
            ));
        }
    }
    findings
}

/// Paths of one machine and host names of package registries.
#[must_use]
pub fn places(source: &Source) -> Vec<Finding> {
    if source.path.ends_with(".lock") || source.path.ends_with("go.sum") {
        return Vec::new();
    }
    let slash = |name: &str| format!("/{name}/");
    let mut words: Vec<String> = ["work", "farm"].iter().map(|n| slash(n)).collect();
    words.extend(
        ["crates", "pypi", "npmjs"]
            .iter()
            .zip([".io", ".org", ".org"])
            .map(|(a, b)| format!("{a}{b}")),
    );
    words.extend([["proxy", "golang"], ["repo1", "maven"], ["deb", "debian"]].map(|p| p.join(".")));
    let line_finding = |(number, line): (usize, &str)| {
        let word = words.iter().find(|word| line.contains(word.as_str()))?;
        Some(at(
            source,
            number,
            &format!("{word:?}: no machine's path, no registry's host name"),
        ))
    };
    source.lines().filter_map(line_finding).collect()
}

/// The shipped lines with one of `words` outside a comment.
fn search(
    source: &Source,
    words: impl Iterator<Item = (&'static str, String)> + Clone,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, line) in source.shipped_lines() {
        if line.trim_start().starts_with("//") {
            continue;
        }
        for (word, text) in words.clone() {
            if line.contains(word) {
                findings.push(at(source, number, &text));
            }
        }
    }
    findings
}

fn at(source: &Source, line: usize, text: &str) -> Finding {
    Finding {
        file: source.path.clone(),
        line,
        text: text.to_owned(),
    }
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
    fn a_pure_crate_may_not_ask_for_the_time() {
        let text = "fn f() {\n    Instant::now();\n}\n";
        assert_eq!(
            impure_calls(&source("crates/ottla-log/src/log.rs", text)).len(),
            1
        );
        assert!(impure_calls(&source("crates/ottla-log/src/clock.rs", text)).is_empty());
        assert!(impure_calls(&source("crates/ottla-broker/src/lib.rs", text)).is_empty());
        let tests = format!("#[cfg(test)]\nmod tests {{\n{text}}}\n");
        assert!(impure_calls(&source("crates/ottla-log/src/log.rs", &tests)).is_empty());
    }

    #[test]
    fn only_the_runtime_module_spawns() {
        let text = "fn f() {\n    tokio::spawn(g());\n}\n";
        assert_eq!(
            runtime_calls(&source("crates/ottla-broker/src/server.rs", text)).len(),
            1
        );
        assert!(runtime_calls(&source("crates/ottla-broker/src/runtime.rs", text)).is_empty());
        let random = "tokio::select! {\n    a = b => {}\n}\n";
        assert_eq!(
            runtime_calls(&source("crates/ottla-broker/src/server.rs", random)).len(),
            1
        );
    }

    #[test]
    fn wide_lines_and_strange_characters_are_found() {
        assert_eq!(
            shape(&source("a.rs", &"x".repeat(COLUMNS_MAX + 1))).len(),
            1
        );
        assert_eq!(shape(&source("a.rs", "caf\u{e9}")).len(), 1);
        assert!(shape(&source("a.rs", &"x".repeat(COLUMNS_MAX))).is_empty());
    }

    #[test]
    fn stubs_and_places_are_found() {
        assert_eq!(stubs(&source("crates/x.rs", "    todo!()\n")).len(), 1);
        assert_eq!(
            places(&source("README.md", &format!("see /{}/x", "farm"))).len(),
            1
        );
    }
}
