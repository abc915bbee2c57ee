//! Cuts a workload after each of its operations, and lets a checker look at what a crash left.
//!
//! The workload notes what it was promised (acknowledged appends, for instance); the checker
//! reopens the image and holds it against the notes. A workload must do the same operations in
//! every run: one thread, a frozen clock, seeded entropy.

use std::fmt::{self, Debug};
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{CrashPlan, Keep, MemVfs};

/// Runs a workload again and again over copies of one file system, each time one operation
/// further, and crashes each run in several ways.
#[derive(Clone, Debug)]
pub struct CrashPoints {
    base: MemVfs,
    torn: u64,
    step: u64,
    from: u64,
}

/// One crash: where the workload was cut and what was left. Displays what a failed check has to
/// say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crash {
    /// How many of the workload's operations were done.
    pub after: u64,
    /// How many it has.
    pub of: u64,
    /// What the crash left of them.
    pub plan: CrashPlan,
}

impl CrashPoints {
    /// Crashes workloads that start from `base`, which itself stays as it is; with four torn
    /// images per point, at every point.
    #[must_use]
    pub const fn new(base: MemVfs) -> Self {
        Self {
            base,
            torn: 4,
            step: 1,
            from: 0,
        }
    }

    /// With `images` torn images per point, each with a seed of its own.
    #[must_use]
    pub const fn torn(mut self, images: u64) -> Self {
        self.torn = images;
        self
    }

    /// Only at every `step`-th point, for workloads of many operations or for a checker that cuts
    /// the recovery as well.
    #[must_use]
    pub const fn step(mut self, step: u64) -> Self {
        self.step = step;
        self
    }

    /// The first point is the one after `from` operations: with [`CrashPoints::step`], another
    /// sample for each of several workloads.
    #[must_use]
    pub const fn from(mut self, from: u64) -> Self {
        self.from = from;
        self
    }

    /// Runs `workload` uncut once and then cut after each number of operations, and `check` with
    /// what each crash left and what the workload noted. Answers how often it checked.
    ///
    /// A cut workload gets errors from the cut on and may end with one or without. `workload` and
    /// `check` panic (assert) where something is wrong.
    ///
    /// # Panics
    /// Where the uncut workload fails or does nothing, and where `workload` or `check` panicked;
    /// the text says at which crash.
    pub fn run<N, E>(
        &self,
        workload: impl Fn(MemVfs, &mut N) -> Result<(), E>,
        check: impl Fn(MemVfs, &N, &Crash),
    ) -> u64
    where
        N: Default,
        E: Debug,
    {
        let whole = self.base.fork();
        let mut notes = N::default();
        workload(whole.clone(), &mut notes).expect("the uncut workload succeeds");
        let of = whole.operations();
        assert!(of > 0, "the workload does nothing that a crash could cut");
        let mut checked = 0;
        let step = usize::try_from(self.step).unwrap_or(usize::MAX).max(1);
        for after in (self.from..of).step_by(step).chain([of]) {
            let vfs = self.base.fork();
            vfs.stop_after(after);
            let mut notes = N::default();
            let cut = || workload(vfs.clone(), &mut notes);
            let ended = catch_unwind(AssertUnwindSafe(cut));
            assert!(
                ended.is_ok(),
                "cut after operation {after} of {of}, panicked"
            );
            let done = vfs.operations();
            assert_eq!(
                done, after,
                "a workload of {of} operations differs from run to run"
            );
            for plan in self.plans(after) {
                let crash = Crash { after, of, plan };
                let checks = || check(vfs.crash(&plan), &notes, &crash);
                let holds = catch_unwind(AssertUnwindSafe(checks));
                assert!(holds.is_ok(), "does not hold: {crash}");
                checked += 1;
            }
        }
        checked
    }

    /// The crashes at the point `after`: the four extremes, and the torn ones.
    fn plans(&self, after: u64) -> impl Iterator<Item = CrashPlan> {
        let extremes = [
            (Keep::Nothing, Keep::Nothing),
            (Keep::Nothing, Keep::Everything),
            (Keep::Everything, Keep::Nothing),
            (Keep::Everything, Keep::Everything),
        ];
        let extremes = extremes.map(|(data, names)| CrashPlan {
            data,
            names,
            ..CrashPlan::SYNCED_ONLY
        });
        let seeds = after * self.torn..(after + 1) * self.torn;
        extremes.into_iter().chain(seeds.map(CrashPlan::torn))
    }
}

impl fmt::Display for Crash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { after, of, plan } = self;
        write!(f, "crash after operation {after} of {of}, left: {plan:?}")
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, IoSlice};
    use std::path::Path;

    use super::*;
    use crate::checkpoint::write_atomically;
    use crate::vfs::{OpenMode, Vfs};

    const FILE: &str = "/d/checkpoint";

    /// A directory with a first version in it, all durable.
    fn base() -> MemVfs {
        let vfs = MemVfs::new();
        vfs.create_dir(Path::new("/d")).unwrap();
        vfs.sync_dir(Path::new("/")).unwrap();
        write_atomically(&vfs, Path::new(FILE), &version(0)).unwrap();
        vfs
    }

    /// A file's content: longer than a block, of a length of its own.
    fn version(number: u8) -> Vec<u8> {
        vec![b'a' + number; 5_000 + 700 * usize::from(number)]
    }

    /// Replaces the first version by three others with `write`; notes the last that is said to be
    /// durable. Checks that a version is there, whole and not older than that.
    fn replace_with(write: impl Fn(&MemVfs, &[u8]) -> io::Result<()>) -> u64 {
        let workload = |vfs: MemVfs, durable: &mut u8| -> io::Result<()> {
            for number in 1..4 {
                write(&vfs, &version(number))?;
                *durable = number;
            }
            Ok(())
        };
        let check = |vfs: MemVfs, durable: &u8, _: &Crash| {
            let file = vfs.open(Path::new(FILE), OpenMode::Read).unwrap();
            let mut bytes = vec![0; file.len().unwrap() as usize];
            file.read_exact_at(&mut bytes, 0).unwrap();
            assert!((*durable..4).any(|number| bytes == version(number)));
        };
        CrashPoints::new(base()).run(workload, check)
    }

    /// A replacement with a step left out.
    fn careless(vfs: &MemVfs, bytes: &[u8], sync_data: bool, sync_dir: bool) -> io::Result<()> {
        let temporary = Path::new("/d/temporary");
        let file = vfs.open(temporary, OpenMode::Create)?;
        file.write_all_at(&mut [IoSlice::new(bytes)], 0)?;
        if sync_data {
            file.sync_data()?;
        }
        vfs.rename(temporary, Path::new(FILE))?;
        if sync_dir {
            vfs.sync_dir(Path::new("/d"))?;
        }
        Ok(())
    }

    #[test]
    fn an_atomic_replacement_survives_every_crash() {
        let checked = replace_with(|vfs, bytes| {
            write_atomically(vfs, Path::new(FILE), bytes).map_err(io::Error::other)
        });
        // Three versions of six operations, and the uncut end; eight crashes each.
        assert_eq!(checked, (3 * 6 + 1) * 8);
        let checked = replace_with(|vfs, bytes| careless(vfs, bytes, true, true));
        assert_eq!(checked, (3 * 5 + 1) * 8);
    }

    #[test]
    #[should_panic(expected = "does not hold: crash after operation")]
    fn a_replacement_without_its_data_synced_is_caught() {
        replace_with(|vfs, bytes| careless(vfs, bytes, false, true));
    }

    #[test]
    #[should_panic(expected = "does not hold: crash after operation")]
    fn a_replacement_without_its_name_synced_is_caught() {
        replace_with(|vfs, bytes| careless(vfs, bytes, true, false));
    }

    #[test]
    #[should_panic(expected = "does not hold: crash after operation")]
    fn a_file_written_in_place_is_caught() {
        replace_with(|vfs, bytes| {
            let file = vfs.open(Path::new(FILE), OpenMode::Write)?;
            file.write_all_at(&mut [IoSlice::new(bytes)], 0)?;
            file.sync_data()
        });
    }

    #[test]
    #[should_panic(expected = "differs from run to run")]
    fn a_workload_that_goes_on_without_its_disk_is_caught() {
        let runs = std::sync::atomic::AtomicU32::new(0);
        let workload = |vfs: MemVfs, _: &mut ()| -> io::Result<()> {
            if runs.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 0 {
                vfs.create_dir(Path::new("/only-once"))?;
            }
            vfs.sync_dir(Path::new("/"))
        };
        CrashPoints::new(MemVfs::new()).run(workload, |_, (), _| {});
    }

    #[test]
    fn steps_leave_points_out_but_never_the_last() {
        let workload = |vfs: MemVfs, done: &mut u64| -> io::Result<()> {
            for _ in 0..10 {
                vfs.sync_dir(Path::new("/"))?;
                *done += 1;
            }
            Ok(())
        };
        let seen = std::cell::RefCell::new(Vec::new());
        let check = |_: MemVfs, done: &u64, crash: &Crash| {
            assert_eq!((*done, crash.of), (crash.after, 10));
            seen.borrow_mut().push(crash.after);
        };
        let points = CrashPoints::new(base()).torn(0).step(4);
        assert_eq!(points.run(workload, check), 4 * 4);
        seen.borrow_mut().dedup();
        assert_eq!(*seen.borrow(), [0, 4, 8, 10]);
    }
}
