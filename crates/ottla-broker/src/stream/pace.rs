//! How fast a peer must take its answers.
//!
//! A peer that reads a byte now and then would hold the memory of its answers, or of many, for as
//! long as it likes. So besides some byte within the stall timeout, all of what is being sent has
//! its time: a grace, then a rate. While others wait for the budget, the time is shorter, counted
//! from when their waiting was noticed.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::time::Duration;

use crate::budget::Budget;
use crate::limits::Limits;
use crate::runtime::{self, Instant};

/// The time that one write has.
#[derive(Debug)]
pub(crate) struct Pace<'a> {
    limits: &'a Limits,
    budget: &'a Budget,
    bytes: u64,
    started: Instant,
    /// Since when others wait for the budget, as far as noticed.
    pressed: Option<Instant>,
}

impl<'a> Pace<'a> {
    /// The time for `bytes`, from now on.
    pub(crate) fn new(limits: &'a Limits, budget: &'a Budget, bytes: u64) -> Self {
        Self {
            limits,
            budget,
            bytes,
            started: Instant::now(),
            pressed: None,
        }
    }

    /// What `future` yields, which waits for the peer to take some byte.
    ///
    /// # Errors
    /// `TimedOut` where it takes too long.
    pub(crate) async fn wait<T>(
        &mut self,
        future: impl Future<Output = io::Result<T>>,
    ) -> io::Result<T> {
        let mut future = pin!(future);
        let stalled = Instant::now() + self.limits.write_stall_timeout;
        loop {
            let pressed = self.pressed_since();
            let (deadline, why) = self.deadline(stalled, pressed);
            let pressure = async {
                match pressed {
                    None => self.budget.pressed().await,
                    Some(_) => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                done = &mut future => return done,
                () = pressure => {}
                () = runtime::sleep_until(deadline) => {
                    if pressed.is_none() || self.budget.is_pressed() {
                        return Err(io::Error::new(io::ErrorKind::TimedOut, why));
                    }
                }
            }
        }
    }

    fn pressed_since(&mut self) -> Option<Instant> {
        self.pressed = match self.budget.is_pressed() {
            true => Some(self.pressed.unwrap_or_else(Instant::now)),
            false => None,
        };
        self.pressed
    }

    /// When the peer is given up, and what is said of it.
    fn deadline(&self, stalled: Instant, pressed: Option<Instant>) -> (Instant, &'static str) {
        let limits = self.limits;
        let at = |from: Instant, grace, rate| from + grace + time_for(self.bytes, rate);
        let whole = at(self.started, limits.answer_grace, limits.answer_rate_min);
        let mut first = (stalled, "the peer takes no byte of its responses");
        if whole < first.0 {
            first = (whole, "the peer takes its responses too slowly");
        }
        if let Some(since) = pressed {
            let short = at(since, limits.pressed_grace, limits.pressed_rate_min);
            if short < first.0 {
                let why = "the peer takes its responses slowly while others wait for memory";
                first = (short, why);
            }
        }
        first
    }
}

fn time_for(bytes: u64, rate: u64) -> Duration {
    Duration::from_millis(bytes.saturating_mul(1000) / rate.max(1))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use tokio::io::{AsyncReadExt, DuplexStream};

    use super::*;
    use crate::runtime::Runtime;
    use crate::stream::{Piece, Stream, WriteSide};

    /// Runs `test` in a time that stands still while anything is to be done.
    fn in_test_time<T>(test: impl Future<Output = T>) -> T {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_time().start_paused(true).build().unwrap();
        runtime.block_on(test)
    }

    fn limits() -> Limits {
        Limits {
            write_stall_timeout: Duration::from_secs(30),
            answer_grace: Duration::from_secs(30),
            answer_rate_min: 16 << 10,
            pressed_grace: Duration::from_secs(5),
            pressed_rate_min: 1 << 20,
            ..Limits::default()
        }
    }

    fn connected() -> (WriteSide, DuplexStream) {
        let (ours, theirs) = Stream::pipe();
        let (read, write) = ours.split().unwrap();
        std::mem::forget(read);
        (write, theirs)
    }

    /// Sends a MiB to a peer that takes `step` bytes every `gap`; how it ends, and after what time.
    async fn send(budget: &Budget, step: usize, gap: Duration) -> (io::Result<()>, Duration) {
        let (mut write, mut peer) = connected();
        let runtime = Runtime::shared().unwrap();
        let bytes = Bytes::from(vec![0; 1 << 20]);
        let started = Instant::now();
        let limits = limits();
        let mut pace = Pace::new(&limits, budget, bytes.len() as u64);
        let mut pieces = [Piece::Bytes(bytes)].into();
        let read = async {
            let mut taken = vec![0; step];
            loop {
                runtime::sleep(gap).await;
                // The writer's end decides what the test sees.
                if peer.read(&mut taken).await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        let ended = tokio::select! {
            ended = write.write_all(&runtime, &mut pieces, &mut pace) => ended,
            () = read => panic!("it reads for ever"),
        };
        (ended, started.elapsed())
    }

    fn said(ended: io::Result<()>) -> String {
        let error = ended.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        error.to_string()
    }

    #[test]
    fn a_byte_now_and_then_is_not_enough() {
        in_test_time(async {
            let budget = Budget::new(100);
            let (ended, after) = send(&budget, 1, Duration::from_secs(29)).await;
            assert!(said(ended).contains("too slowly"));
            // The grace, and 64 seconds for a MiB.
            assert_eq!(after.as_secs(), 94);
            let (ended, after) = send(&budget, 1, Duration::from_secs(31)).await;
            assert!(said(ended).contains("no byte"));
            assert_eq!(after.as_secs(), 30);
        });
    }

    #[test]
    fn whoever_reads_at_the_rate_gets_everything() {
        in_test_time(async {
            let budget = Budget::new(100);
            let (ended, after) = send(&budget, 16 << 10, Duration::from_secs(1)).await;
            ended.unwrap();
            assert!(after.as_secs() > 40, "{after:?}");
        });
    }

    #[test]
    fn the_time_is_shorter_while_others_wait_for_the_budget() {
        in_test_time(async {
            let budget = Budget::new(100);
            let (mut holder, mut overdrawn, mut waiter) =
                (budget.charge(), budget.charge(), budget.charge());
            let others = async {
                holder.grow(100).await;
                overdrawn.grow(1).await;
                runtime::sleep(Duration::from_secs(20)).await;
                waiter.grow(1).await;
                panic!("nobody gives anything back");
            };
            let (ended, after) = tokio::select! {
                sent = send(&budget, 1, Duration::from_secs(1)) => sent,
                () = others => panic!("nobody gives anything back"),
            };
            assert!(said(ended).contains("others wait"));
            // The grace, and a second for a MiB.
            assert_eq!(after.as_secs(), 20 + 6);
        });
    }

    #[test]
    fn pressure_that_is_over_counts_no_more() {
        in_test_time(async {
            let budget = Budget::new(100);
            let (mut holder, mut overdrawn, mut waiter) =
                (budget.charge(), budget.charge(), budget.charge());
            holder.grow(100).await;
            overdrawn.grow(1).await;
            let others = async {
                tokio::select! {
                    biased;
                    () = waiter.grow(50) => {}
                    () = runtime::sleep(Duration::from_secs(3)) => {}
                }
                std::future::pending::<()>().await;
            };
            let (ended, after) = tokio::select! {
                sent = send(&budget, 1, Duration::from_secs(1)) => sent,
                () = others => panic!("it waits for ever"),
            };
            assert!(said(ended).contains("too slowly"));
            assert_eq!(after.as_secs(), 94);
        });
    }
}
