use std::pin::pin;
use std::task::{Context, Poll, Waker};

use super::*;

/// Polls once, with a waker that does nothing.
fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn a_charge_gives_everything_back() {
    let budget = Budget::new(100);
    let mut charge = budget.charge();
    assert!(charge.try_grow(60));
    assert!(!charge.try_grow(41));
    charge.shrink_to(10);
    assert_eq!(budget.used(), 10);
    assert!(charge.try_grow(90));
    drop(charge);
    assert_eq!(budget.used(), 0);
}

#[test]
fn askers_are_served_in_order() {
    let budget = Budget::new(100);
    let mut first = budget.charge();
    assert!(first.try_grow(100));
    // The overdraft goes to the first asker; the others wait in order.
    let mut second = budget.charge();
    assert_eq!(poll(pin!(second.grow(50))), Poll::Ready(()));
    assert_eq!(budget.used(), 150);

    let (mut third, mut fourth) = (budget.charge(), budget.charge());
    {
        let mut big = pin!(third.grow(80));
        let mut small = pin!(fourth.grow(10));
        assert_eq!(poll(big.as_mut()), Poll::Pending);
        assert_eq!(poll(small.as_mut()), Poll::Pending);
        first.shrink_to(30);
        // 80 are held, so 10 would fit, but the 80 were asked for first.
        assert_eq!(poll(small.as_mut()), Poll::Pending);
        assert_eq!(poll(big.as_mut()), Poll::Pending);
        drop(second);
        // The overdraft is free again: both are served, the first one with it.
        assert_eq!(poll(big.as_mut()), Poll::Ready(()));
    }
    assert_eq!(budget.used(), 110);
    drop(first);
    drop(third);
    assert_eq!(budget.used(), 0);
    assert!(fourth.try_grow(100));
}

#[test]
fn nobody_overtakes_a_waiter() {
    let budget = Budget::new(100);
    let (mut a, mut b, mut c) = (budget.charge(), budget.charge(), budget.charge());
    assert!(a.try_grow(90));
    assert_eq!(poll(pin!(b.grow(50))), Poll::Ready(()));
    let mut waiting = pin!(c.grow(20));
    assert_eq!(poll(waiting.as_mut()), Poll::Pending);
    let mut late = budget.charge();
    assert!(!late.try_grow(1), "overtook a waiter");
    drop(b);
    assert_eq!(poll(waiting), Poll::Ready(()));
}

#[test]
fn the_holder_of_the_overdraft_always_gets_on() {
    let budget = Budget::new(100);
    let (mut a, mut b) = (budget.charge(), budget.charge());
    assert!(a.try_grow(60));
    assert!(b.try_grow(40));
    // Both need more to complete their requests: without the overdraft neither would.
    assert_eq!(poll(pin!(a.grow(50))), Poll::Ready(()));
    assert_eq!(poll(pin!(b.grow(50))), Poll::Pending);
    assert!(a.try_grow(500));
    drop(a);
    assert_eq!(poll(pin!(b.grow(50))), Poll::Ready(()));
}

#[test]
fn the_overdraft_goes_back_with_what_was_over() {
    let budget = Budget::new(100);
    let mut a = budget.charge();
    assert_eq!(poll(pin!(a.grow(300))), Poll::Ready(()));
    a.set(101);
    let mut b = budget.charge();
    let mut waiting = pin!(b.grow(20));
    assert_eq!(poll(waiting.as_mut()), Poll::Pending);
    // Within the budget again, but what `b` wants does not fit: it gets the overdraft.
    a.set(90);
    assert_eq!(poll(waiting), Poll::Ready(()));
    assert!(!a.try_grow(1), "the overdraft was kept");
}

#[test]
fn a_waiter_that_gives_up_holds_nothing() {
    let budget = Budget::new(10);
    let (mut a, mut b, mut c) = (budget.charge(), budget.charge(), budget.charge());
    assert!(a.try_grow(10));
    {
        // Granted the overdraft while it waits, and dropped before it saw so.
        let waiting = Granted::queue(&budget, 5);
        assert_eq!(budget.used(), 15);
        drop(waiting);
    }
    assert_eq!(budget.used(), 10);
    assert_eq!(poll(pin!(b.grow(5))), Poll::Ready(()));
    {
        let mut given_up = pin!(c.grow(3));
        assert_eq!(poll(given_up.as_mut()), Poll::Pending);
    }
    drop((a, b));
    assert_eq!(budget.used(), 0);
    assert!(c.try_grow(10));
}

#[test]
fn room_waits_while_the_budget_is_spent() {
    let budget = Budget::new(10);
    let (mut a, mut b) = (budget.charge(), budget.charge());
    a.force(25);
    assert_eq!(poll(pin!(b.grow(1))), Poll::Ready(()), "the overdraft");
    let mut c = budget.charge();
    let mut room = pin!(c.room());
    assert_eq!(poll(room.as_mut()), Poll::Pending);
    a.shrink_to(0);
    assert_eq!(poll(room.as_mut()), Poll::Ready(()));
}
