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
        let account = budget.account();
        let waiting = Granted::queue(&account, 5, false);
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

#[test]
fn all_charges_of_an_account_have_its_overdraft() {
    let budget = Budget::new(100);
    let account = budget.account();
    let mut frame = account.charge();
    assert_eq!(
        poll(pin!(frame.grow(150))),
        Poll::Ready(()),
        "the overdraft"
    );
    let mut behind = budget.charge();
    let mut waiting = pin!(behind.grow(1));
    assert_eq!(poll(waiting.as_mut()), Poll::Pending);
    // The same request needs more while somebody waits: by the same charge and by another one.
    assert_eq!(poll(pin!(frame.grow(1000))), Poll::Ready(()));
    let mut records = frame.another();
    assert_eq!(poll(pin!(records.room())), Poll::Ready(()));
    assert_eq!(poll(pin!(records.grow(200))), Poll::Ready(()));
    drop(frame);
    assert_eq!(poll(waiting.as_mut()), Poll::Pending, "held by the records");
    drop(records);
    assert_eq!(poll(waiting), Poll::Ready(()));
}

#[test]
fn who_waits_already_gets_on_by_the_overdraft_of_its_account() {
    let budget = Budget::new(100);
    let account = budget.account();
    let (mut other, mut stranger) = (budget.charge(), budget.charge());
    let (mut answer, mut request) = (account.charge(), account.charge());
    assert!(answer.try_grow(10));
    assert!(request.try_grow(40));
    assert_eq!(poll(pin!(other.grow(60))), Poll::Ready(()), "the overdraft");
    {
        let mut of_answer = pin!(answer.grow(5));
        let mut of_stranger = pin!(stranger.grow(5));
        let mut of_request = pin!(request.grow(500));
        assert_eq!(poll(of_answer.as_mut()), Poll::Pending);
        assert_eq!(poll(of_stranger.as_mut()), Poll::Pending);
        assert_eq!(poll(of_request.as_mut()), Poll::Pending);
        drop(other);
        // 50 are held. Everybody who fits is served, and then who does not, by the overdraft.
        assert_eq!(poll(of_answer), Poll::Ready(()));
        assert_eq!(poll(of_stranger), Poll::Ready(()));
        assert_eq!(poll(of_request), Poll::Ready(()));
    }
    drop((answer, request));

    // An answer is granted the overdraft while a request behind it waits at the queue's end.
    let (mut other, mut stranger) = (budget.charge(), budget.charge());
    let (mut answer, mut request) = (account.charge(), account.charge());
    assert!(request.try_grow(40));
    assert_eq!(
        poll(pin!(other.grow(100))),
        Poll::Ready(()),
        "the overdraft"
    );
    let mut of_answer = pin!(answer.grow(200));
    let mut of_stranger = pin!(stranger.grow(50));
    let mut of_request = pin!(request.grow(500));
    assert_eq!(poll(of_answer.as_mut()), Poll::Pending);
    assert_eq!(poll(of_stranger.as_mut()), Poll::Pending);
    assert_eq!(poll(of_request.as_mut()), Poll::Pending);
    drop(other);
    assert_eq!(poll(of_answer), Poll::Ready(()));
    assert_eq!(poll(of_stranger), Poll::Pending);
    assert_eq!(
        poll(of_request),
        Poll::Ready(()),
        "waits for its own account"
    );
}

#[test]
fn the_next_request_waits_for_its_turn_in_spite_of_an_overdraft() {
    let budget = Budget::new(100);
    let account = budget.account();
    let mut answer = account.charge();
    assert_eq!(
        poll(pin!(answer.grow(150))),
        Poll::Ready(()),
        "the overdraft"
    );
    let mut stranger = budget.charge();
    let mut of_stranger = pin!(stranger.grow(10));
    assert_eq!(poll(of_stranger.as_mut()), Poll::Pending);
    let mut next = account.charge();
    let mut of_next = pin!(next.grow(10));
    assert_eq!(poll(of_next.as_mut()), Poll::Pending, "kept the overdraft");
    // Its connection has nothing in hand any more, and the others had to wait for that alone.
    drop(answer);
    assert_eq!(poll(of_stranger), Poll::Ready(()));
    assert_eq!(poll(of_next), Poll::Ready(()));
}

#[test]
fn what_is_parked_keeps_the_overdraft_from_nobody() {
    let budget = Budget::new(100);
    let account = budget.account();
    let mut parked = account.charge();
    assert_eq!(
        poll(pin!(parked.grow(150))),
        Poll::Ready(()),
        "the overdraft"
    );
    let mut other = budget.charge();
    {
        let mut waiting = pin!(other.grow(10));
        assert_eq!(poll(waiting.as_mut()), Poll::Pending);
        parked.park();
        assert_eq!(poll(waiting), Poll::Ready(()));
    }
    assert_eq!(budget.used(), 160);
    {
        // It goes on as everybody else, once it may.
        let mut more = pin!(parked.grow(1));
        assert_eq!(poll(more.as_mut()), Poll::Pending);
        drop(other);
        assert_eq!(poll(more), Poll::Ready(()));
    }
    // An earlier answer of its connection that gets the overdraft gives it back once it is sent.
    parked.park();
    let mut answer = account.charge();
    assert_eq!(
        poll(pin!(answer.grow(10))),
        Poll::Ready(()),
        "the overdraft"
    );
    drop(answer);
    let mut other = budget.charge();
    assert_eq!(poll(pin!(other.grow(10))), Poll::Ready(()), "the overdraft");
    parked.set(7);
    drop(other);
    assert_eq!(budget.used(), 7);
    drop(parked);
    assert_eq!(budget.used(), 0);
    assert_eq!(account.held.load(Relaxed), 0);
}

/// Connections as they are: a half that takes requests in, each of several needs, and a half that
/// sends their answers in order, with needs of its own. Time stands still: where nobody gets on,
/// the hour is over at once.
#[test]
fn whatever_connections_need_everybody_gets_on() {
    async fn connection(budget: Arc<Budget>, seed: u64) {
        let account = budget.account();
        let (window, mut owed) = tokio::sync::mpsc::channel::<(Charge, Charge)>(3);
        let mut state = seed;
        let mut size = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005) + 1;
            (state >> 33) % 400
        };
        let mut of_answer = size;
        let requests = async move {
            for _ in 0..20 {
                let mut charge = account.charge();
                charge.grow(size()).await;
                tokio::task::yield_now().await;
                charge.grow(size()).await;
                let mut records = charge.another();
                records.room().await;
                records.force(size());
                tokio::task::yield_now().await;
                records.grow(size()).await;
                charge.shrink_to(size());
                let _ = window.send((charge, records)).await;
            }
        };
        let answers = async move {
            while let Some((mut charge, _records)) = owed.recv().await {
                charge.grow(of_answer()).await;
                tokio::task::yield_now().await;
            }
        };
        tokio::join!(requests, answers);
    }
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let paused = builder.enable_time().start_paused(true).build().unwrap();
    for total in [1, 500, 1000, 20_000] {
        let budget = Budget::new(total);
        let connection = |seed| Box::pin(connection(Arc::clone(&budget), seed));
        let mut connections: Vec<_> = (1..=40).map(connection).collect();
        let all = std::future::poll_fn(|cx| {
            connections.retain_mut(|connection| connection.as_mut().poll(cx).is_pending());
            match connections.is_empty() {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        });
        let hour = std::time::Duration::from_secs(3600);
        let ended = paused.block_on(async { crate::runtime::timeout(hour, all).await });
        assert!(ended.is_some(), "nobody gets on, with a budget of {total}");
        assert_eq!(budget.used(), 0);
    }
}
