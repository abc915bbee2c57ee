//! The house rules, applied to the tree as it stands.

use xtask::style::{Finding, Source, arrows, functions, settings, sources, text};

fn assert_none(rule: &str, findings: &[Finding]) {
    let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
    assert!(findings.is_empty(), "{rule}:\n{}", lines.join("\n"));
}

fn over(files: &[Source], rule: fn(&Source) -> Vec<Finding>) -> Vec<Finding> {
    files.iter().flat_map(rule).collect()
}

#[test]
fn arrows_between_crates_go_down() {
    assert_eq!(arrows::wrong_arrows(), Vec::<String>::new());
}

#[test]
fn the_default_build_has_no_c() {
    assert_eq!(arrows::c_in_the_build(), Vec::<String>::new());
}

#[test]
fn pure_crates_never_touch_the_world() {
    assert_none(
        "calls to the world in a pure crate",
        &over(&sources::rust(), text::impure_calls),
    );
}

#[test]
fn the_runtime_is_used_in_one_module() {
    assert_none(
        "runtime calls",
        &over(&sources::rust(), text::runtime_calls),
    );
}

#[test]
fn files_and_functions_keep_their_size() {
    assert_none("too long", &over(&sources::rust(), functions::too_long));
}

#[test]
fn no_stub_is_left() {
    assert_none("stubs", &over(&sources::rust(), text::stubs));
}

#[test]
fn lines_are_narrow_and_ascii() {
    assert_none("shape of lines", &over(&sources::rust(), text::shape));
}

#[test]
fn settings_that_have_an_effect_are_read() {
    let files = sources::rust();
    let seen = settings::effective(&files);
    assert!(seen > 60, "only {seen} effective keys found");
    assert_none("settings have readers", &settings::unread(&files));
}

#[test]
fn no_machine_is_named() {
    assert_none("places", &over(&sources::tracked(), text::places));
}

#[test]
fn every_rule_sees_files() {
    // A rule over an empty list would pass for ever.
    let files = sources::rust();
    assert!(files.len() > 10, "only {} Rust files found", files.len());
    assert!(
        files
            .iter()
            .any(|f| f.path == "crates/ottla-log/src/lib.rs")
    );
}
