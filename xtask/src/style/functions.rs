//! Sizes of files and functions. Relies on rustfmt: a function ends at the first line that is just
//! a brace as far in as the line it began on.

use super::{Finding, Source};

/// The longest file that ships, in lines without its tests.
pub const FILE_LINES_MAX: usize = 600;
/// The longest function, in lines from its signature to its closing brace.
pub const FUNCTION_LINES_MAX: usize = 70;

/// Files and functions over their size.
#[must_use]
pub fn too_long(source: &Source) -> Vec<Finding> {
    let lines: Vec<(usize, &str)> = source.shipped_lines().collect();
    let mut findings = Vec::new();
    if lines.len() > FILE_LINES_MAX {
        findings.push(finding(
            source,
            1,
            format!("{} lines; split it by type", lines.len()),
        ));
    }
    for (index, (number, line)) in lines.iter().enumerate() {
        if !starts_function(line) {
            continue;
        }
        let closing = format!("{}}}", " ".repeat(line.len() - line.trim_start().len()));
        let one_line = line.trim_end().ends_with(['}', ';']);
        let length = lines
            .iter()
            .skip(index)
            .position(|(_, l)| *l == closing)
            .map_or(1, |n| n + 1);
        if !one_line && length > FUNCTION_LINES_MAX {
            let text = format!("a function of {length} lines (at most {FUNCTION_LINES_MAX})");
            findings.push(finding(source, *number, text));
        }
    }
    findings
}

fn finding(source: &Source, line: usize, text: String) -> Finding {
    Finding {
        file: source.path.clone(),
        line,
        text,
    }
}

fn starts_function(line: &str) -> bool {
    let mut words = line.split_whitespace().peekable();
    while let Some(word) = words.next() {
        match word {
            "fn" => return words.peek().is_some(),
            "pub" | "const" | "async" | "unsafe" | "extern" | "\"C\"" => {}
            _ if word.starts_with("pub(") => {}
            _ => return false,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: String) -> Source {
        Source {
            path: "crates/x/src/lib.rs".to_owned(),
            text,
        }
    }

    #[test]
    fn a_long_function_is_found_and_a_short_one_is_not() {
        let body = "    x();\n".repeat(FUNCTION_LINES_MAX);
        let found = too_long(&source(format!(
            "fn short() {{\n}}\n\npub(crate) fn long() {{\n{body}}}\n"
        )));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].line, 4);
    }

    #[test]
    fn a_long_file_is_found_and_its_tests_do_not_count() {
        let long = "// x\n".repeat(FILE_LINES_MAX + 1);
        assert_eq!(too_long(&source(long.clone())).len(), 1);
        assert!(too_long(&source(format!("#[cfg(test)]\nmod tests {{\n{long}}}\n"))).is_empty());
    }
}
