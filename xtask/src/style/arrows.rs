//! Which crate may know which: arrows go down only.

use std::process::Command;

use serde_json::Value;

use crate::step::root;

/// The crates of the house and what each may depend on, tests aside.
const ARROWS: &[(&str, &[&str])] = &[
    ("ottla-log", &[]),
    ("ottla-protocol", &[]),
    ("ottla-partition", &["ottla-log", "ottla-protocol"]),
    ("ottla-coordinator", &["ottla-log", "ottla-protocol"]),
    (
        "ottla-broker",
        &[
            "ottla-log",
            "ottla-protocol",
            "ottla-partition",
            "ottla-coordinator",
        ],
    ),
    ("ottla", &["ottla-log", "ottla-broker", "ottla-protocol"]),
];

/// Packages that only the named crates of the house may use.
const RESERVED: &[(&str, &[&str])] = &[
    ("kafka-protocol", &["ottla-protocol", "ottla-broker"]),
    ("tokio", &["ottla-broker", "ottla"]),
    ("rustix", &["ottla-log", "ottla-broker", "ottla"]),
];

/// Packages that compile or link C, by name or by the end of their name.
const C_BUILDERS: &[&str] = &["cc", "cmake", "bindgen", "ring", "aws-lc-rs", "openssl"];

/// Dependencies that go up, sideways, or past a crate that keeps them to itself.
///
/// # Panics
/// Where cargo does not describe the workspace.
#[must_use]
pub fn wrong_arrows() -> Vec<String> {
    let metadata = metadata(&["--no-deps"]);
    let packages = metadata["packages"]
        .as_array()
        .expect("cargo lists packages");
    let mut wrong = Vec::new();
    for package in packages {
        let name = package["name"].as_str().expect("a package has a name");
        let Some((_, allowed)) = ARROWS.iter().find(|(n, _)| *n == name) else {
            continue;
        };
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let to = dependency["name"]
                .as_str()
                .expect("a dependency has a name");
            let dev = dependency["kind"].as_str() == Some("dev");
            let ours = to.starts_with("ottla");
            if ours && !dev && !allowed.contains(&to) {
                wrong.push(format!("{name} -> {to}"));
            }
            let reserved = RESERVED.iter().find(|(n, _)| *n == to);
            if !dev && reserved.is_some_and(|(_, users)| !users.contains(&name)) {
                wrong.push(format!("{name} -> {to}"));
            }
        }
    }
    wrong
}

/// Packages of the default build that compile or link C.
///
/// # Panics
/// Where cargo does not describe the workspace.
#[must_use]
pub fn c_in_the_build() -> Vec<String> {
    let tree = [
        "tree",
        "-p",
        "ottla",
        "--features",
        "cli",
        "-e",
        "normal,build",
        "--prefix",
        "none",
        "-f",
        "{p}",
    ];
    let output = Command::new("cargo")
        .args(tree)
        .current_dir(root())
        .output();
    let output = output.expect("cargo draws the tree");
    assert!(output.status.success(), "cargo tree failed: {output:?}");
    let text = String::from_utf8(output.stdout).expect("the tree is UTF-8");
    let mut found: Vec<String> = text
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| C_BUILDERS.contains(name) || (name.ends_with("-sys") && !is_raw_sys(name)))
        .map(str::to_owned)
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// Bindings that are only declarations: no C is compiled and no library is linked but the
/// platform's own.
fn is_raw_sys(name: &str) -> bool {
    matches!(name, "linux-raw-sys" | "windows-sys" | "js-sys" | "web-sys")
}

fn metadata(args: &[&str]) -> Value {
    let output = Command::new("cargo")
        .args(["metadata", "--format-version", "1"])
        .args(args)
        .current_dir(root())
        .output()
        .expect("cargo describes the workspace");
    assert!(output.status.success(), "cargo metadata failed: {output:?}");
    serde_json::from_slice(&output.stdout).expect("cargo writes JSON")
}
