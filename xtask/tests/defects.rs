//! The seeded defects fit the tree as it stands. Whether each is caught says
//! `cargo xtask mutants`.

use std::collections::BTreeSet;
use std::fs;

use xtask::fuzz::targets;
use xtask::mutants::defects::{DEFECTS, FUZZ};
use xtask::step::root;
use xtask::style::sources;

#[test]
fn each_defect_still_applies() {
    for defect in DEFECTS {
        let files = defect.applied(&root()).unwrap_or_else(|why| {
            panic!("{why}; give xtask/src/mutants/defects.rs the new wording")
        });
        for (file, broken) in files {
            let sound = fs::read_to_string(root().join(file)).unwrap();
            assert_ne!(sound, broken, "{} changes nothing", defect.name);
        }
    }
}

#[test]
fn each_defect_has_a_name_of_its_own() {
    let names: BTreeSet<&str> = DEFECTS.iter().map(|defect| defect.name).collect();
    assert_eq!(names.len(), DEFECTS.len());
}

#[test]
fn each_named_test_is_there() {
    let files = sources::rust();
    for defect in DEFECTS.iter().filter(|defect| defect.package != FUZZ) {
        let function = defect.test.rsplit("::").next().unwrap_or_default();
        let (package, head) = (defect.package, format!("fn {function}("));
        let is_there = files
            .iter()
            .any(|source| source.path.contains(package) && source.text.contains(&head));
        assert!(is_there, "{}: {package} has no test {head}", defect.name);
    }
}

#[test]
fn each_fuzz_target_has_a_defect_to_find() {
    let named = DEFECTS.iter().filter(|defect| defect.package == FUZZ);
    let named: BTreeSet<String> = named.map(|defect| defect.test.to_owned()).collect();
    assert_eq!(named, BTreeSet::from_iter(targets().unwrap()));
}
