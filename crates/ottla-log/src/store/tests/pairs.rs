//! Each step that writes, followed by each other one, with a crash after every operation: what one
//! leaves half done the next must not stumble over, nor the recovery over both.
//!
//! The check crashes a sample, the same each time; with `OTTLA_EXHAUSTIVE` set all of them.

use super::history::{Failed, History, Run, check};
use super::kit::small;
use crate::vfs::{CrashPoints, MemVfs};

/// Something that writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Append,
    Roll,
    /// An append that is synced in its own file, past the journal.
    Direct,
    Truncate,
    DeleteRecords,
    Retain,
    Compact,
    /// The topic is deleted and another one made of the same name.
    MakeAnew,
    /// So many rounds that the journal changes areas.
    Journal,
    /// Everything that is due later: files synced, checkpoints written.
    Background,
    CleanStop,
    Kill,
}

const STEPS: [Step; 12] = [
    Step::Append,
    Step::Roll,
    Step::Direct,
    Step::Truncate,
    Step::DeleteRecords,
    Step::Retain,
    Step::Compact,
    Step::MakeAnew,
    Step::Journal,
    Step::Background,
    Step::CleanStop,
    Step::Kill,
];

/// A store with two logs; the steps are done to one of them.
struct Stage<'h> {
    vfs: MemVfs,
    run: Run<'h>,
    a: usize,
    b: usize,
    topic: u8,
}

impl<'h> Stage<'h> {
    fn new(vfs: MemVfs, history: &'h mut History) -> Result<Self, Failed> {
        let mut run = Run::open(vfs.clone(), small(), history)?;
        let (a, b) = (run.log("a", 1)?, run.log("b", 2)?);
        run.durably(a, 4, 1500)?;
        run.durably(b, 1, 10)?;
        Ok(Self {
            vfs,
            run,
            a,
            b,
            topic: 2,
        })
    }

    fn step(mut self, step: Step) -> Result<Self, Failed> {
        let (a, run) = (self.a, &mut self.run);
        match step {
            Step::Append => run.durably(a, 1, 10)?,
            Step::Roll => run.durably(a, 3, 1500)?,
            Step::Direct => {
                for _ in 0..8 {
                    run.written(a, 2500)?;
                }
                run.flush()?;
            }
            Step::Truncate => {
                let end = run.end(a);
                run.written(a, 10)?;
                run.truncate(a, (end - 1).max(run.start(a)))?;
            }
            Step::DeleteRecords => run.delete_records(a, run.end(a).min(run.start(a) + 3))?,
            Step::Retain => run.retain(a)?,
            Step::Compact => run.compact(a)?,
            Step::MakeAnew => {
                run.delete(a)?;
                self.topic += 1;
                self.a = run.log("a", self.topic)?;
                run.durably(self.a, 3, 1500)?;
            }
            Step::Journal => {
                for _ in 0..9 {
                    run.durably(self.b, 1, 1500)?;
                }
            }
            Step::Background => {
                run.maintain()?;
                run.maintain_late();
            }
            Step::CleanStop => self.run = self.run.again(self.vfs.clone(), true)?,
            Step::Kill => self.run = self.run.again(self.vfs.clone(), false)?,
        }
        Ok(self)
    }
}

fn workload(vfs: MemVfs, history: &mut History, steps: &[Step]) -> Result<(), Failed> {
    history.strict = true;
    let mut stage = Stage::new(vfs, history)?;
    for step in steps {
        stage = stage.step(*step)?;
    }
    let (a, b) = (stage.a, stage.b);
    stage.run.durably(a, 1, 10)?;
    stage.run.written(b, 10)?;
    stage.run.look(b);
    Ok(())
}

#[test]
fn crash_after_each_pair_of_steps() {
    let is_exhaustive = std::env::var_os("OTTLA_EXHAUSTIVE").is_some();
    let (every, torn) = if is_exhaustive { (1, 4) } else { (41, 1) };
    let (mut pairs, mut crashes) = (0, 0);
    for first in STEPS {
        for second in STEPS {
            pairs += 1;
            let points = CrashPoints::new(MemVfs::new()).torn(torn).step(every);
            // Other points for each pair.
            crashes += points.from(pairs % every).run(
                |vfs, history| workload(vfs, history, &[first, second]),
                |vfs, history: &History, crash| check(&vfs, history, &(first, second, crash)),
            );
        }
    }
    println!("counters {{\"workloads\":{pairs},\"crashes\":{crashes}}}");
    assert_eq!(pairs as usize, STEPS.len() * STEPS.len());
    assert!(crashes >= 10 * pairs, "{crashes}");
}
