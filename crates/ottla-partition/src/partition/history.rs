//! Leader epochs as a history: where two logs part, and what one of them must cut off.
//!
//! A log's history is the list of its leaders' terms with the offsets they began at. Two logs
//! agree up to the end of the last term they have in common (KIP-101, KIP-279, KIP-595).

use ottla_log::{LeaderEpoch, Offset};

/// The history of a log, as the log itself answers for it.
pub trait LeaderHistory {
    /// The last term that is `epoch` or before it, and where it ends: where the next one begins,
    /// or where the log ends. `None` where the log knows of no such term.
    fn end_of(&self, epoch: LeaderEpoch) -> Option<(LeaderEpoch, Offset)>;
}

impl<F> LeaderHistory for F
where
    F: Fn(LeaderEpoch) -> Option<(LeaderEpoch, Offset)>,
{
    fn end_of(&self, epoch: LeaderEpoch) -> Option<(LeaderEpoch, Offset)> {
        self(epoch)
    }
}

/// How a fetcher's position lies to the leader's history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Divergence {
    /// It is on it.
    None,
    /// It left it: what the fetcher has beyond this end of this term is not the leader's.
    At {
        /// The last term both have, or the leader's last one before the fetcher's.
        epoch: LeaderEpoch,
        /// Where it ends on the leader.
        end: Offset,
    },
    /// The leader does not know the term: its history begins later.
    Unknown,
}

/// How the position `offset`, reached by records of the term `epoch`, lies to the leader's
/// `history`.
pub fn divergence(history: &impl LeaderHistory, epoch: LeaderEpoch, offset: Offset) -> Divergence {
    match history.end_of(epoch) {
        None => Divergence::Unknown,
        Some((known, end)) if known < epoch || end < offset => Divergence::At { epoch: known, end },
        Some(_) => Divergence::None,
    }
}

/// What a follower must do to its log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Truncation {
    /// Cut off everything from here on.
    pub to: Offset,
    /// Whether the logs agree then; if not, the leader has to be asked again from there.
    pub done: bool,
}

/// What a follower must cut off once the leader has said that the term `epoch` ends at `end`.
/// `history` and `log_end` are the follower's own.
pub fn truncation(
    history: &impl LeaderHistory,
    log_end: Offset,
    (epoch, end): (LeaderEpoch, Offset),
) -> Truncation {
    match history.end_of(epoch) {
        Some((own, own_end)) if own == epoch => Truncation {
            to: own_end.min(end).min(log_end),
            done: true,
        },
        // The follower has no records of that term: those of the one before it may still differ.
        Some((_, own_end)) => Truncation {
            to: own_end.min(log_end),
            done: false,
        },
        // Its history begins later than the leader's term: only the leader's word is left.
        None => Truncation {
            to: end.min(log_end),
            done: true,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A history of `(term, start)` and a log end.
    fn log(terms: &[(i32, i64)], end: i64) -> impl LeaderHistory + use<> {
        let terms = terms.to_vec();
        move |epoch: LeaderEpoch| {
            let at = terms.iter().rposition(|(term, _)| *term <= epoch.get())?;
            let end = terms.get(at + 1).map_or(end, |(_, start)| *start);
            Some((LeaderEpoch::new(terms[at].0), Offset::new(end)))
        }
    }

    fn cut(follower: &impl LeaderHistory, log_end: i64, leader: (i32, i64)) -> (i64, bool) {
        let leader = (LeaderEpoch::new(leader.0), Offset::new(leader.1));
        let truncation = truncation(follower, Offset::new(log_end), leader);
        (truncation.to.get(), truncation.done)
    }

    #[test]
    fn a_position_on_the_leaders_history_does_not_diverge() {
        let leader = log(&[(1, 0), (3, 10), (5, 20)], 30);
        let at = |epoch, offset| divergence(&leader, LeaderEpoch::new(epoch), Offset::new(offset));
        let parts = |epoch, end| Divergence::At {
            epoch: LeaderEpoch::new(epoch),
            end: Offset::new(end),
        };
        assert_eq!(at(3, 15), Divergence::None);
        assert_eq!(at(3, 20), Divergence::None);
        assert_eq!(at(3, 21), parts(3, 20), "beyond the end of its term");
        assert_eq!(at(4, 15), parts(3, 20), "a term the leader never had");
        assert_eq!(at(5, 31), parts(5, 30), "beyond the leader's log");
        assert_eq!(at(0, 5), Divergence::Unknown);
    }

    #[test]
    fn a_follower_cuts_to_the_end_of_the_last_term_both_have() {
        let follower = log(&[(1, 0), (2, 10), (4, 20)], 25);
        assert_eq!(cut(&follower, 25, (4, 22)), (22, true));
        assert_eq!(
            cut(&follower, 25, (4, 30)),
            (25, true),
            "never beyond its own end"
        );
        assert_eq!(cut(&follower, 25, (1, 12)), (10, true));
        assert_eq!(
            cut(&follower, 25, (3, 30)),
            (20, false),
            "it has none of term 3: ask again"
        );
        assert_eq!(cut(&follower, 25, (0, 7)), (7, true));
    }

    /// The case of KIP-279: after quick changes of leaders both logs have records of terms that
    /// the other lacks, and one round is not enough.
    #[test]
    fn repeated_rounds_find_where_two_logs_part() {
        let leader_terms = [(0, 0), (2, 4), (4, 6), (6, 8)];
        let leader = log(&leader_terms, 10);
        let mut terms = vec![(0, 0), (1, 2), (3, 5), (5, 7)];
        let mut end = 9;
        for round in 0.. {
            assert!(round < 5, "no agreement");
            let follower = log(&terms, end);
            let last = LeaderEpoch::new(terms[terms.len() - 1].0);
            let said = leader.end_of(last).unwrap();
            let truncation = truncation(&follower, Offset::new(end), said);
            end = truncation.to.get();
            terms.retain(|(_, start)| *start < end);
            if truncation.done {
                break;
            }
        }
        assert_eq!((terms, end), (vec![(0, 0)], 2));
    }
}
