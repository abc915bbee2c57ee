//! The account, over a real directory.

use embedded::Account;

#[test]
fn an_account_is_what_its_history_says() {
    let dir = tempfile::tempdir().unwrap();
    let mut account = Account::open(dir.path(), "alice").unwrap();
    account.change(100).unwrap();
    account.change(-30).unwrap();
    assert_eq!(account.balance(), 70);
    drop(account);
    assert_eq!(Account::open(dir.path(), "alice").unwrap().balance(), 70);
}
