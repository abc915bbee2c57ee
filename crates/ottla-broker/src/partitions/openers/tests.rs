use std::sync::mpsc::{Receiver, Sender, channel};

use ottla_log::TopicName;

use super::*;

const TOPIC: TopicId = TopicId::from_bytes([7; 16]);

fn asked(number: i32, is_urgent: bool) -> Asked {
    let topic = TopicName::new("t").unwrap();
    Asked {
        id: LogId::new(topic, number),
        topic: TOPIC,
        is_urgent,
    }
}

/// Openings that say when they begin, and go on when they are told to.
#[derive(Clone)]
struct Held {
    begun: Sender<i32>,
    go: Arc<Mutex<Receiver<()>>>,
}

impl Held {
    fn new() -> (Self, Receiver<i32>, Sender<()>) {
        let (begun, begins) = channel();
        let (go_on, go) = channel();
        let go = Arc::new(Mutex::new(go));
        (Self { begun, go }, begins, go_on)
    }

    /// No log is opened here: what matters is the order, and that everybody hears.
    fn open(&self, id: &LogId) -> Opening {
        self.begun.send(id.partition()).unwrap();
        self.go.lock().recv().unwrap();
        Err(OpenPartitionError::Deleted { id: id.clone() })
    }
}

fn is_answered(runtime: &Runtime, to_come: ToCome) -> bool {
    let opened = runtime.block_on(to_come.opened()).unwrap();
    matches!(opened, Err(OpenPartitionError::Deleted { .. }))
}

#[test]
fn a_log_is_opened_once_and_everybody_hears() {
    let runtime = Runtime::shared().unwrap();
    let openers = Arc::new(Openers::default());
    let (held, begins, go_on) = Held::new();
    let open = move |id: &LogId, _| held.open(id);
    let first = openers.ask(&runtime, [asked(0, false)], open.clone());
    assert_eq!(begins.recv(), Ok(0));
    let more = openers.ask(&runtime, [asked(0, true), asked(0, false)], open);
    go_on.send(()).unwrap();
    for to_come in first.into_iter().chain(more) {
        assert!(is_answered(&runtime, to_come));
    }
    assert!(begins.try_recv().is_err(), "it was opened again");
}

#[test]
fn what_a_request_waits_for_goes_first() {
    let runtime = Runtime::shared().unwrap();
    let openers = Arc::new(Openers::default());
    let (held, begins, go_on) = Held::new();
    let open = move |id: &LogId, _| held.open(id);
    let last = OPENERS_MAX as i32 + 2;
    let behind = openers.ask(&runtime, (0..=last).map(|n| asked(n, false)), open.clone());
    let mut begun: Vec<i32> = begins.iter().take(OPENERS_MAX).collect();
    begun.sort_unstable();
    assert_eq!(begun, (0..OPENERS_MAX as i32).collect::<Vec<_>>());
    let urgent = openers.ask(&runtime, [asked(last, true)], open);
    go_on.send(()).unwrap();
    assert_eq!(begins.recv(), Ok(last), "it waited for its turn");
    for _ in 0..=last {
        go_on.send(()).unwrap();
    }
    for to_come in behind.into_iter().chain(urgent) {
        assert!(is_answered(&runtime, to_come));
    }
}

#[test]
fn a_panic_is_told_and_the_next_is_opened() {
    let runtime = Runtime::shared().unwrap();
    let openers = Arc::new(Openers::default());
    let open = |id: &LogId, _| {
        assert_ne!(id.partition(), 0, "on purpose");
        Err(OpenPartitionError::Deleted { id: id.clone() })
    };
    let mut to_come = openers.ask(&runtime, [asked(0, true), asked(1, true)], open);
    assert!(is_answered(&runtime, to_come.pop().unwrap()));
    let panicked = runtime.block_on(to_come.pop().unwrap().opened()).unwrap();
    assert!(matches!(
        panicked,
        Err(OpenPartitionError::Log(LogError::Closed { .. }))
    ));
}

#[test]
fn an_end_leaves_what_was_not_begun() {
    let runtime = Runtime::shared().unwrap();
    let openers = Arc::new(Openers::default());
    let (held, begins, go_on) = Held::new();
    let open = move |id: &LogId, _| held.open(id);
    let count = OPENERS_MAX as i32 + 1;
    let mut to_come = openers.ask(&runtime, (0..count).map(|n| asked(n, false)), open);
    assert_eq!(begins.iter().take(OPENERS_MAX).count(), OPENERS_MAX);
    openers.clear();
    assert!(!is_answered(&runtime, to_come.pop().unwrap()));
    // Whichever of them hears it first goes on first.
    to_come.iter().for_each(|_| go_on.send(()).unwrap());
    for begun in to_come {
        assert!(is_answered(&runtime, begun));
    }
}
