//! docs/PROTOCOL.md is what the table says. To bring it up to date:
//! `OTTLA_WRITE_DOCS=1 cargo test -p ottla-protocol --test document`.

use std::path::Path;

#[test]
fn the_document_is_current() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    if !docs.is_dir() {
        // A package of the crate alone has no documents.
        return;
    }
    let path = docs.join("PROTOCOL.md");
    let expected = ottla_protocol::protocol_markdown();
    if std::env::var_os("OTTLA_WRITE_DOCS").is_some() {
        std::fs::write(&path, &expected).expect("the document can be written");
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == expected,
        "docs/PROTOCOL.md is out of date; run OTTLA_WRITE_DOCS=1 cargo test -p ottla-protocol \
         --test document"
    );
    assert!(expected.lines().filter(|l| l.starts_with("| ")).count() > 50);
}
