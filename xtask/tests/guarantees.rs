//! docs/GUARANTEES.md names tests that are there.

use std::fs;

use xtask::step::root;
use xtask::style::sources;

#[test]
fn each_guarantee_names_tests_that_are_there() {
    let text = fs::read_to_string(root().join("docs/GUARANTEES.md")).unwrap();
    let files = sources::rust();
    let mut named = 0;
    let quoted = text.split('`').skip(1).step_by(2);
    for name in quoted.filter(|word| word.contains("::")) {
        let (modules, function) = name.rsplit_once("::").unwrap();
        let module = modules.rsplit("::").next().unwrap();
        let is_there = files.iter().any(|source| {
            let is_module = source.path.contains(&modules.replace("::", "/"))
                || source.path.ends_with(&format!("/{module}.rs"))
                || source.text.contains(&format!("mod {module} {{"));
            is_module && source.text.contains(&format!("fn {function}("))
        });
        let is_module = files.iter().any(|source| {
            source
                .path
                .ends_with(&format!("{}.rs", name.replace("::", "/")))
        });
        assert!(is_there || is_module, "there is no {name}");
        named += 1;
    }
    assert!(named > 30, "{named}");
}
