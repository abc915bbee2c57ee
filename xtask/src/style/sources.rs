//! The tracked files of the tree, and which of their lines are code that ships.

use std::process::Command;

use crate::step::root;

/// A tracked text file.
#[derive(Clone, Debug)]
pub struct Source {
    /// Its path from the workspace's root, with `/`.
    pub path: String,
    /// Its text.
    pub text: String,
}

impl Source {
    /// Its lines with their numbers from 1, without the tests at its end.
    pub fn shipped_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        let end = if self.is_test() {
            Some(0)
        } else {
            self.tests_start()
        };
        self.lines().take(end.unwrap_or(usize::MAX))
    }

    /// All its lines with their numbers from 1.
    pub fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(i, line)| (i + 1, line))
    }

    /// Whether all of it is test code.
    #[must_use]
    pub fn is_test(&self) -> bool {
        let parts: Vec<&str> = self.path.split('/').collect();
        parts.iter().any(|p| {
            p.ends_with("tests.rs") || matches!(*p, "tests" | "fuzz" | "benches" | "examples")
        })
    }

    /// How many lines stand before the module of tests at the end.
    fn tests_start(&self) -> Option<usize> {
        let lines: Vec<&str> = self.text.lines().collect();
        let is_module = |line: &str| line.starts_with("mod ") && line.ends_with('{');
        lines
            .windows(2)
            .position(|pair| matches!(pair, ["#[cfg(test)]", next] if is_module(next)))
    }
}

/// Every file git tracks, or would track, that is text.
///
/// # Panics
/// Where git does not answer: the check cannot say anything then.
#[must_use]
pub fn tracked() -> Vec<Source> {
    let output = Command::new("git")
        .args([
            "ls-files",
            "--cached",
            "--others",
            "--exclude-standard",
            "-z",
        ])
        .current_dir(root())
        .output()
        .expect("git lists the files");
    assert!(output.status.success(), "git ls-files failed: {output:?}");
    let names = String::from_utf8(output.stdout).expect("file names are UTF-8");
    let read = |path: &str| {
        // A file deleted but not yet committed is listed and cannot be read; so is a binary one.
        let text = std::fs::read_to_string(root().join(path)).ok()?;
        Some(Source {
            path: path.to_owned(),
            text,
        })
    };
    names
        .split('\0')
        .filter(|name| !name.is_empty())
        .filter_map(read)
        .collect()
}

/// The Rust files among [`tracked`].
#[must_use]
pub fn rust() -> Vec<Source> {
    tracked()
        .into_iter()
        .filter(|s| s.path.ends_with(".rs"))
        .collect()
}
