//! Lets each call of a workload fail in turn, and lets a checker look at what is left.
//!
//! The counterpart of [`CrashPoints`](super::CrashPoints): there the machine stops, here it goes
//! on after an error, and what was promised before and after the error must hold when the process
//! ends or the power goes.

use std::collections::BTreeSet;
use std::fmt::{self, Debug};
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::sync::Arc;

use super::{Call, CrashPlan, Fault, FaultVfs, MemVfs, Rule};

/// Runs a workload again and again over copies of one file system, each time with another call
/// failing, and then crashes it.
#[derive(Clone, Debug)]
pub struct FaultPoints {
    base: MemVfs,
    faults: Vec<Fault>,
    step: u64,
    lasting: bool,
    /// Places in the source that need not fail any more; `None` where they do not matter.
    passed: Option<BTreeSet<Location<'static>>>,
}

/// One failed call, and the crash after the workload. Displays what a failed check has to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What failed first, and how.
    pub call: Call,
    /// Its number among the calls that this fault can befall, from 0.
    pub nth: u64,
    /// What the crash left.
    pub plan: CrashPlan,
}

impl FaultPoints {
    /// Every fault that has an effect of its own.
    const FAULTS: [Fault; 5] = [
        Fault::Io,
        Fault::LostSync,
        Fault::NoSpace,
        Fault::Short(1),
        Fault::Interrupted,
    ];

    /// Fails workloads that start from `base`, which itself stays as it is: every call, with every
    /// fault that can befall it, once.
    #[must_use]
    pub fn new(base: MemVfs) -> Self {
        Self {
            base,
            faults: Self::FAULTS.to_vec(),
            step: 1,
            lasting: false,
            passed: None,
        }
    }

    /// Only with these faults.
    #[must_use]
    pub fn faults(mut self, faults: &[Fault]) -> Self {
        self.faults = faults.to_vec();
        self
    }

    /// Only every `step`-th call.
    #[must_use]
    pub const fn step(mut self, step: u64) -> Self {
        self.step = step;
        self
    }

    /// The fault lasts: all later calls that it can befall fail, too.
    #[must_use]
    pub const fn lasting(mut self) -> Self {
        self.lasting = true;
        self
    }

    /// Only the first call of each place in the source, and none of those in `passed`.
    #[must_use]
    pub fn once_per_place(mut self, passed: BTreeSet<Location<'static>>) -> Self {
        self.passed = Some(passed);
        self
    }

    /// Runs `workload` once without a fault and then with each, and `check` with what a kill of
    /// the process and what a power cut left, without faults, and with what the workload noted.
    /// Answers how often it checked.
    ///
    /// A workload may go on after an error or end with it. `workload` and `check` panic (assert)
    /// where something is wrong.
    ///
    /// # Panics
    /// Where the workload fails without a fault, and where `workload` or `check` panicked; the
    /// text says at which call.
    pub fn run<N, E>(
        &self,
        workload: impl Fn(FaultVfs, &mut N) -> Result<(), E>,
        check: impl Fn(MemVfs, &N, &Failure),
    ) -> u64
    where
        N: Default,
        E: Debug,
    {
        let whole = FaultVfs::over(Arc::new(self.base.fork()));
        let mut notes = N::default();
        workload(whole.clone(), &mut notes).expect("the workload succeeds without a fault");
        let calls = whole.calls();
        let step = usize::try_from(self.step).unwrap_or(usize::MAX).max(1);
        let mut checked = 0;
        for fault in &self.faults {
            let befallen = calls.iter().filter(|call| fault.befalls(call.operation));
            let mut passed = self.passed.clone();
            let is_wanted = |(_, call): &(u64, &Call)| {
                let passed = passed.as_mut();
                passed.is_none_or(|passed| passed.insert(*call.place))
            };
            for (nth, call) in (0..).zip(befallen).filter(is_wanted).step_by(step) {
                let call = Call {
                    fault: Some(*fault),
                    ..call.clone()
                };
                checked += self.fail(*fault, nth, call, &workload, &check);
            }
        }
        checked
    }

    /// One run, in which `call` is the first that meets `fault`. Answers how often it checked.
    fn fail<N: Default, E>(
        &self,
        fault: Fault,
        nth: u64,
        call: Call,
        workload: &impl Fn(FaultVfs, &mut N) -> Result<(), E>,
        check: &impl Fn(MemVfs, &N, &Failure),
    ) -> u64 {
        let mem = self.base.fork();
        let vfs = FaultVfs::over(Arc::new(mem.clone()));
        let rule = Rule::new(fault);
        vfs.inject(if self.lasting {
            rule.from(nth)
        } else {
            rule.nth(nth)
        });
        let mut notes = N::default();
        let run = || workload(vfs.clone(), &mut notes);
        let ended = catch_unwind(AssertUnwindSafe(run));
        assert!(ended.is_ok(), "panicked: {nth}. {call:?}");
        let met = vfs.calls().into_iter().find(|call| call.fault.is_some());
        assert_eq!(met, Some(call.clone()), "differs from run to run");
        let plans = [
            CrashPlan::EVERYTHING,
            CrashPlan::SYNCED_ONLY,
            CrashPlan::torn(nth),
        ];
        for plan in plans {
            let call = call.clone();
            let failure = Failure { call, nth, plan };
            let checks = || check(mem.crash(&plan), &notes, &failure);
            let holds = catch_unwind(AssertUnwindSafe(checks));
            assert!(holds.is_ok(), "does not hold: {failure}");
        }
        plans.len() as u64
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { call, nth, plan } = self;
        let (operation, path) = (call.operation, call.path.display());
        write!(f, "{:?} at call {nth}, {operation:?} of {path}", call.fault)?;
        write!(f, " in {}", call.place)?;
        write!(f, ", left by a crash later: {plan:?}")
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, IoSlice};
    use std::path::Path;

    use super::*;
    use crate::checkpoint::write_atomically;
    use crate::vfs::{File, OpenMode, Vfs};

    const FILE: &str = "/checkpoint";

    fn version(number: u8) -> Vec<u8> {
        vec![b'a' + number; 5_000 + 700 * usize::from(number)]
    }

    /// Replaces a first version by three others with `write`, going on after an error where
    /// `go_on`; notes the last that is said to be durable. Checks that a version is there, whole
    /// and not older than that.
    fn replace_with(
        faults: &[Fault],
        go_on: bool,
        write: impl Fn(&dyn Vfs, &[u8]) -> io::Result<()>,
    ) -> u64 {
        let base = MemVfs::new();
        write_atomically(&base, Path::new(FILE), &version(0)).unwrap();
        let workload = |vfs: FaultVfs, durable: &mut u8| -> io::Result<()> {
            for number in 1..4 {
                match write(&vfs, &version(number)) {
                    Ok(()) => *durable = number,
                    Err(e) if !go_on => return Err(e),
                    Err(_) => {}
                }
            }
            Ok(())
        };
        let check = |vfs: MemVfs, durable: &u8, _: &Failure| {
            let file = vfs.open(Path::new(FILE), OpenMode::Read).unwrap();
            let mut bytes = vec![0; file.len().unwrap() as usize];
            file.read_exact_at(&mut bytes, 0).unwrap();
            assert!((*durable..4).any(|number| bytes == version(number)));
        };
        FaultPoints::new(base).faults(faults).run(workload, check)
    }

    /// A replacement whose data is written by `write` and synced by `sync`.
    fn replace(
        vfs: &dyn Vfs,
        write: impl Fn(&dyn File) -> io::Result<()>,
        sync: impl Fn(&dyn File) -> io::Result<()>,
    ) -> io::Result<()> {
        let temporary = Path::new("/temporary");
        let file = vfs.open(temporary, OpenMode::Create)?;
        file.set_len(0)?;
        write(&*file)?;
        sync(&*file)?;
        vfs.rename(temporary, Path::new(FILE))?;
        vfs.sync_dir(Path::new("/"))
    }

    #[test]
    fn an_atomic_replacement_survives_every_fault() {
        let atomic = |vfs: &dyn Vfs, bytes: &[u8]| {
            write_atomically(vfs, Path::new(FILE), bytes).map_err(io::Error::other)
        };
        let passing = [
            Fault::Io,
            Fault::NoSpace,
            Fault::Short(9),
            Fault::Interrupted,
        ];
        // Of six calls per version these faults befall 6, 4, 1 and 6; three crashes each.
        assert_eq!(
            replace_with(&passing, true, atomic),
            3 * (6 + 4 + 1 + 6) * 3
        );
        assert_eq!(replace_with(&[Fault::LostSync], false, atomic), 3 * 2 * 3);
    }

    #[test]
    #[should_panic(expected = "does not hold: Some(Io)")]
    fn an_ignored_error_is_caught() {
        replace_with(&[Fault::Io], true, |vfs, bytes| {
            let write = |file: &dyn File| file.write_all_at(&mut [IoSlice::new(bytes)], 0);
            replace(vfs, write, |file| file.sync_data().or(Ok(())))
        });
    }

    #[test]
    #[should_panic(expected = "does not hold: Some(LostSync)")]
    fn a_repeated_sync_is_caught() {
        replace_with(&[Fault::LostSync], true, |vfs, bytes| {
            let write = |file: &dyn File| file.write_all_at(&mut [IoSlice::new(bytes)], 0);
            replace(vfs, write, |file| {
                file.sync_data().or_else(|_| file.sync_data())
            })
        });
    }

    #[test]
    #[should_panic(expected = "does not hold: Some(Short(9))")]
    fn a_write_that_trusts_its_length_is_caught() {
        replace_with(&[Fault::Short(9)], true, |vfs, bytes| {
            let write = |file: &dyn File| file.write_at(&[IoSlice::new(bytes)], 0).map(drop);
            replace(vfs, write, |file| file.sync_data())
        });
    }

    #[test]
    fn a_lasting_fault_stays() {
        let seen = std::cell::Cell::new(0);
        let workload = |vfs: FaultVfs, failed: &mut u32| -> io::Result<()> {
            for _ in 0..5 {
                *failed += u32::from(vfs.sync_dir(Path::new("/")).is_err());
            }
            Ok(())
        };
        let check = |_: MemVfs, failed: &u32, failure: &Failure| {
            assert_eq!(u64::from(*failed), 5 - failure.nth);
            seen.set(seen.get() + 1);
        };
        let points = FaultPoints::new(MemVfs::new()).faults(&[Fault::Io]);
        assert_eq!(points.lasting().step(2).run(workload, check), 3 * 3);
        assert_eq!(seen.get(), 9);
    }
}
