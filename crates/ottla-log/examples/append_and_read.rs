//! An event log in a directory: append, append only if nobody else did, read back.
//!
//! `cargo run -p ottla-log --example append_and_read`

#![allow(clippy::print_stdout)] // an example's output

use ottla_log::{AppendError, AppendOptions, Condition, LogOptions, Offset, Record, Store};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = std::env::temp_dir().join(format!("ottla-example-{}", std::process::id()));
    let store = Store::open(&dir, ottla_log::StoreOptions::default())?.store;
    let log = store.log("orders-0", LogOptions::default())?;

    // On return the record survives a power cut.
    let placed = Record::new("placed").with_key("order 7");
    let first = log.append(&[placed], AppendOptions::default())?;

    // Appends if the log ends where we last saw it: two writers never both go on from one state.
    let options = AppendOptions {
        condition: Condition::NextOffset(first.end),
        ..AppendOptions::default()
    };
    log.append(&[Record::new("paid").with_key("order 7")], options)?;
    match log.append(&[Record::new("cancelled").with_key("order 7")], options) {
        Err(AppendError::Condition { end, .. }) => println!("too late: the next offset is {end}"),
        other => println!("unexpected: {other:?}"),
    }

    for record in log.records(Offset::ZERO) {
        let record = record?;
        let value = record.value.unwrap_or_default();
        println!("{} {}", record.offset, String::from_utf8_lossy(&value));
    }
    store.close();
    std::fs::remove_dir_all(&dir)?;
    Ok(())
}
