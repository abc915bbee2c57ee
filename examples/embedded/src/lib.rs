//! An account whose history is its state, kept in one log.

use ottla_log::{
    AppendError, AppendOptions, Condition, Log, LogOptions, Offset, Record, Store, StoreOptions,
};

/// An account as its events add up to it.
#[derive(Debug)]
pub struct Account {
    log: Log,
    balance: i64,
    /// The offset that the next event gets if nobody else writes one before.
    next: Offset,
}

impl Account {
    /// Opens the account `name` in the directory `dir` and replays its history.
    pub fn open(dir: &std::path::Path, name: &str) -> Result<Self, Box<dyn std::error::Error>> {
        let store = Store::open(dir, StoreOptions::default())?.store;
        let log = store.log(name, LogOptions::default())?;
        let (mut balance, mut next) = (0, Offset::ZERO);
        for record in log.records(Offset::ZERO) {
            let record = record?;
            let value = record.value.unwrap_or_default();
            balance += std::str::from_utf8(&value)?.parse::<i64>()?;
            next = record.offset.plus(1);
        }
        Ok(Self { log, balance, next })
    }

    /// What is on it.
    pub fn balance(&self) -> i64 {
        self.balance
    }

    /// Pays in, or takes out what is there. The event is durable when this returns, and refused
    /// where somebody else wrote one since this account was read.
    pub fn change(&mut self, by: i64) -> Result<(), AppendError> {
        let mut options = AppendOptions::default();
        options.condition = Condition::NextOffset(self.next);
        let appended = self.log.append(&[Record::new(by.to_string())], options)?;
        self.next = appended.end;
        self.balance += by;
        Ok(())
    }
}
