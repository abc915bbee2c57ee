//! Runs the scenarios of `testdata/*.txt`.
//!
//! A line that begins with `> ` is an input; the indented lines below it are all that follows
//! from it. Everything else is prose. `testdata/README.md` lists the inputs, and the rules with
//! the script that shows each.

mod stage;
mod tell;
mod words;

use std::collections::BTreeSet;
use std::fmt::Write as _;

use self::stage::Stage;

macro_rules! scripts {
    ($($name:literal)+) => {
        [$(($name, include_str!(concat!("../../testdata/", $name, ".txt"))),)+]
    };
}

const SCRIPTS: [(&str, &str); 16] = scripts! {
    "admin" "commit" "cooperative" "crash" "durable" "expiry" "first_joins" "heartbeat" "join"
    "leave" "limits" "other_types" "rebalance" "refused" "static_members" "sync"
};

const README: &str = include_str!("../../testdata/README.md");

#[test]
fn every_script_ends_as_written() {
    for (name, text) in SCRIPTS {
        let got = run(text);
        let differs = got
            .lines()
            .zip(text.lines())
            .find(|(got, written)| got != written);
        assert!(got == text, "{name}: {differs:?}; the whole:\n{got}");
    }
}

#[test]
fn every_rule_has_its_script_and_every_script_its_rules() {
    let mut shown = BTreeSet::new();
    for (script, text) in SCRIPTS {
        for rule in text.lines().filter_map(|line| line.strip_prefix("# ")) {
            assert!(shown.insert((rule, script)), "{script} shows {rule} twice");
        }
    }
    let rows = README
        .lines()
        .filter_map(|line| line.strip_prefix("| rule: "));
    let listed: BTreeSet<_> = rows
        .map(|row| {
            let cells: Vec<_> = row.split(" | ").collect();
            let [rule, script, _] = cells[..] else {
                panic!("a row of three cells: {row}");
            };
            (rule, script)
        })
        .collect();
    assert!(listed.len() > 50, "the rules are listed");
    let missing: Vec<_> = listed.difference(&shown).collect();
    let unlisted: Vec<_> = shown.difference(&listed).collect();
    assert!(
        missing.is_empty(),
        "rules that no script shows: {missing:?}"
    );
    assert!(
        unlisted.is_empty(),
        "rules that are not listed: {unlisted:?}"
    );
}

/// The script as it would have to be written for what really follows from its inputs.
fn run(text: &str) -> String {
    let mut stage = Stage::default();
    let mut written = String::new();
    let mut after_input = false;
    for line in text.lines() {
        if let Some(input) = line.strip_prefix("> ") {
            writeln!(written, "{line}").unwrap();
            for output in stage.input(input) {
                writeln!(written, "    {output}").unwrap();
            }
            after_input = true;
        } else if !(after_input && line.starts_with("    ")) {
            after_input = false;
            writeln!(written, "{line}").unwrap();
        }
    }
    written
}
