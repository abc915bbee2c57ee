use tokio::io::AsyncWriteExt;
use tokio::io::DuplexStream;

use super::*;
use crate::runtime::Runtime;
use crate::stream::Stream;

/// A body of at least a header's length: no client id, then `fill`.
fn body(fill: usize) -> Vec<u8> {
    let mut body = vec![0, 18, 0, 0, 0, 0, 0, 7, 0xff, 0xff];
    body.extend((0..fill).map(|i| i as u8));
    body
}

fn frame(body: &[u8]) -> Vec<u8> {
    [&(body.len() as u32).to_be_bytes(), body].concat()
}

fn frames(limits: Limits) -> (Frames, DuplexStream, Arc<Budget>) {
    let (ours, theirs) = Stream::pipe();
    let (read, write) = ours.split().unwrap();
    std::mem::forget(write);
    let budget = Budget::new(limits.budget_bytes);
    let frames = Frames::new(read, Arc::new(limits), budget.account());
    (frames, theirs, budget)
}

fn run<T: Send + 'static>(test: impl Future<Output = T> + Send + 'static) -> T {
    Runtime::shared().unwrap().block_on(test).unwrap()
}

#[test]
fn frames_arrive_whole_however_they_are_cut() {
    run(async {
        let bodies = [body(0), body(50_000), body(3), body(500_000), body(1)];
        let bytes: Vec<u8> = bodies.iter().flat_map(|b| frame(b)).collect();
        for step in [1_000_000, 65_536, 4099, 7] {
            let (mut frames, mut theirs, budget) = frames(Limits::default());
            let bytes = bytes.clone();
            let send = async move {
                for part in bytes.chunks(step) {
                    theirs.write_all(part).await.unwrap();
                }
            };
            let receive = async {
                for expected in &bodies {
                    let frame = frames.next().await.unwrap();
                    assert!(frame.bytes == expected[..], "cut every {step} bytes");
                    assert_eq!(frame.charge.bytes(), expected.len() as u64);
                }
                assert!(matches!(frames.next().await, Err(FrameError::Closed)));
            };
            tokio::join!(send, receive);
            assert_eq!(budget.used(), 0);
        }
    });
}

#[test]
fn a_frame_has_its_memory_to_itself() {
    run(async {
        let (mut frames, mut theirs, _) = frames(Limits::default());
        let both = [frame(&body(10)), frame(&body(12))].concat();
        theirs.write_all(&both).await.unwrap();
        for _ in 0..2 {
            let frame = frames.next().await.unwrap();
            assert!(frame.bytes.try_into_mut().is_ok());
        }
    });
}

#[test]
fn an_announced_length_takes_no_memory() {
    run(async {
        let (mut frames, mut theirs, budget) = frames(Limits::default());
        let announced = 100_u32 << 20;
        let mut body = body(1000);
        body[1] = 0; // A Produce, as it is large.
        theirs.write_all(&announced.to_be_bytes()).await.unwrap();
        theirs.write_all(&body).await.unwrap();
        drop(theirs);
        assert!(matches!(frames.next().await, Err(FrameError::Cut)));
        assert_eq!(budget.used(), 0);
    });
    assert_eq!(room(1010, 100 << 20), BODY_START);
    assert_eq!(room(BODY_START, 100 << 20), 2 * BODY_START);
    assert_eq!(room(BODY_START, BODY_START + 1), BODY_START + 1);
}

#[test]
fn lengths_that_no_request_has_are_refused() {
    run(async {
        let too_large = Limits::default().request_bytes_max + 1;
        for length in [-1, i32::MIN, i32::MAX, too_large as i32, 0, 9] {
            let (mut frames, mut theirs, _) = frames(Limits::default());
            theirs.write_all(&length.to_be_bytes()).await.unwrap();
            let error = frames.next().await.unwrap_err();
            let expected = matches!(error, FrameError::Frame(_) | FrameError::Short(_));
            assert!(expected, "{length}: {error:?}");
        }
    });
}

#[test]
fn only_produce_may_be_large() {
    run(async {
        let max = Limits::default().small_request_bytes_max;
        let head = |key: u16, len: u32| [&len.to_be_bytes()[..], &key.to_be_bytes()].concat();
        for (key, len, refused) in [(3, max + 1, true), (3, max, false), (0, max + 1, false)] {
            let (mut frames, mut theirs, budget) = frames(Limits::default());
            // The API's number may come later than the length.
            theirs.write_all(&head(key, len)[..4]).await.unwrap();
            theirs.write_all(&head(key, len)[4..]).await.unwrap();
            drop(theirs);
            let error = frames.next().await.unwrap_err();
            let found = matches!(error, FrameError::Large { key: 3, .. });
            assert_eq!(found, refused, "{key} {len}: {error}");
            assert!(refused || matches!(error, FrameError::Cut));
            assert_eq!(budget.used(), 0);
        }
    });
}

#[test]
fn strangers_are_recognised_in_the_first_frame_only() {
    run(async {
        let hellos: [(&[u8], Stranger); 3] = [
            (b"\x16\x03\x01\x02\x00\x01\x00", Stranger::Tls),
            (b"GET / HTTP/1.1\r\n", Stranger::Http),
            (b"SSH-2.0-x\r\n", Stranger::Ssh),
        ];
        for (hello, stranger) in hellos {
            let (mut frames, mut theirs, _) = frames(Limits::default());
            theirs.write_all(hello).await.unwrap();
            let error = frames.next().await.unwrap_err();
            assert!(matches!(error, FrameError::Stranger(s) if s == stranger));
        }
        let (mut frames, mut theirs, _) = frames(Limits::default());
        theirs.write_all(&frame(&body(0))).await.unwrap();
        theirs.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
        frames.next().await.unwrap();
        assert!(matches!(frames.next().await, Err(FrameError::Frame(_))));
    });
}

#[test]
fn a_peer_that_never_completes_a_header_is_given_up() {
    run(async {
        let limits = Limits {
            first_header_timeout: Duration::from_millis(20),
            ..Limits::default()
        };
        // Nothing at all; half a length; a length; a client id that does not come.
        let long_id = [0, 18, 0, 0, 0, 0, 0, 7, 0x7f, 0xff];
        let beginnings: [&[u8]; 4] = [
            &[],
            &[0, 0],
            &100_u32.to_be_bytes(),
            &[&40_000_u32.to_be_bytes()[..], &long_id].concat(),
        ];
        for beginning in beginnings {
            let (mut frames, mut theirs, _) = frames(limits.clone());
            theirs.write_all(beginning).await.unwrap();
            let error = frames.next().await.unwrap_err();
            assert!(matches!(error, FrameError::NoHeader(_)), "{error:?}");
        }
    });
}

#[test]
fn a_body_that_trickles_is_given_up_and_an_idle_peer_too() {
    run(async {
        let limits = Limits {
            body_grace: Duration::from_millis(20),
            idle_timeout: Duration::from_millis(20),
            ..Limits::default()
        };
        let (mut trickling, mut theirs, _) = frames(limits.clone());
        theirs.write_all(&40_000_u32.to_be_bytes()).await.unwrap();
        theirs.write_all(&body(20)).await.unwrap();
        let error = trickling.next().await.unwrap_err();
        assert!(matches!(error, FrameError::SlowBody(1024)), "{error:?}");

        let (mut idle, mut theirs, _) = frames(limits);
        theirs.write_all(&frame(&body(0))).await.unwrap();
        idle.next().await.unwrap();
        let error = idle.next().await.unwrap_err();
        assert!(matches!(error, FrameError::Idle(_)), "{error:?}");
    });
}

#[test]
fn a_body_must_hurry_while_others_wait_for_the_budget() {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let limits = Limits {
            budget_bytes: 100_000,
            ..Limits::default()
        };
        let (mut frames, mut theirs, budget) = frames(limits);
        let (mut all, mut other) = (budget.charge(), budget.charge());
        theirs
            .write_all(&1_000_000_u32.to_be_bytes())
            .await
            .unwrap();
        theirs.write_all(&body(50_000)).await.unwrap();
        let others = async {
            // The frame's bytes are counted, then the budget is spent and somebody waits.
            runtime::sleep(Duration::from_secs(20)).await;
            all.force(100_000);
            other.grow(1).await;
            let mut third = budget.charge();
            third.grow(1).await;
            panic!("nobody gives anything back");
        };
        let started = Instant::now();
        let error = tokio::select! {
            next = frames.next() => next.unwrap_err(),
            () = others => panic!("it waits for ever"),
        };
        assert!(matches!(error, FrameError::SlowBody(262_144)), "{error}");
        assert_eq!(started.elapsed().as_secs(), 25);
        assert!(error.to_string().contains("262144"));
    });
}

#[test]
fn reading_pauses_while_the_budget_is_spent() {
    run(async {
        let limits = Limits {
            budget_bytes: 1000,
            ..Limits::default()
        };
        let (mut frames, mut theirs, budget) = frames(limits);
        let mut all = budget.charge();
        all.force(1000);
        // Somebody else has the overdraft.
        let mut other = budget.charge();
        other.grow(1).await;
        theirs.write_all(&frame(&body(0))).await.unwrap();
        let mut next = std::pin::pin!(frames.next());
        let first =
            std::future::poll_fn(|cx| std::task::Poll::Ready(next.as_mut().poll(cx).is_pending()));
        assert!(first.await, "took a frame beyond the budget");
        drop((all, other));
        assert_eq!(next.await.unwrap().charge.bytes(), 10);
    });
}

#[test]
fn a_peer_that_sends_less_than_a_header_holds_no_more_room() {
    run(async {
        let (mut frames, mut theirs, budget) = frames(Limits::default());
        for byte in [0, 0, 0] {
            theirs.write_all(&[byte]).await.unwrap();
            frames.read_ahead().await.unwrap();
        }
        let mut next = Box::pin(frames.next());
        let polled =
            std::future::poll_fn(|cx| std::task::Poll::Ready(next.as_mut().poll(cx).is_pending()));
        assert!(polled.await);
        drop(next);
        assert!(frames.behind.bytes() <= 64, "{}", frames.behind.bytes());
        assert_eq!(budget.used(), frames.behind.bytes());
    });
}

#[test]
fn what_lies_behind_a_frame_is_charged_until_it_is_taken() {
    run(async {
        let (mut frames, mut theirs, budget) = frames(Limits::default());
        let bytes = [frame(&body(100)), frame(&body(9000))].concat();
        theirs.write_all(&bytes).await.unwrap();
        let first = frames.next().await.unwrap();
        let behind = budget.used() - first.charge.bytes();
        assert!(behind >= 9000 && behind == frames.ahead.capacity() as u64);
        let second = frames.next().await.unwrap();
        assert_eq!(budget.used(), first.charge.bytes() + second.charge.bytes());
    });
}

#[test]
fn what_lies_behind_a_frame_keeps_the_overdraft_from_nobody() {
    run(async {
        let (mut frames, mut theirs, budget) = frames(Limits {
            budget_bytes: 20_000,
            ..Limits::default()
        });
        let mut half_received = budget.charge();
        assert!(half_received.try_grow(15_000));
        let mut bytes = [frame(&body(5000)), frame(&body(9000))].concat();
        bytes.truncate(11_000);
        theirs.write_all(&bytes).await.unwrap();
        let first = frames.next().await.unwrap();
        assert!(budget.used() > 20_000, "it has the overdraft");
        drop(first);
        assert!(frames.behind.bytes() > 5000);
        let mut grows = Box::pin(half_received.grow(1000));
        let polled =
            std::future::poll_fn(|cx| std::task::Poll::Ready(grows.as_mut().poll(cx).is_ready()));
        assert!(polled.await, "the overdraft did not come back");
    });
}
