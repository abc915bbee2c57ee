//! Which brokers a new partition's replicas go to.
//!
//! Partitions are striped over racks and, within a rack, over brokers: each next partition begins
//! one rack and one broker further on, so that leaders and followers spread evenly. Unfenced
//! brokers of a rack come before fenced ones, and the first replica, which will lead, is never on
//! a fenced broker.

use std::collections::BTreeMap;

use ottla_log::Entropy;
use ottla_protocol::ErrorCode;

use super::error::{ApiError, ApiResult};
use crate::BrokerId;
use crate::metadata::image::Image;

/// Draws the replicas of `partitions` partitions, `replication_factor` each.
pub(super) fn place(
    image: &Image,
    partitions: usize,
    replication_factor: i16,
    entropy: &dyn Entropy,
) -> ApiResult<Vec<Vec<BrokerId>>> {
    let refuse = |why| Err(ApiError::new(ErrorCode::InvalidReplicationFactor, why));
    let wanted = match usize::try_from(replication_factor) {
        Ok(wanted) if wanted > 0 => wanted,
        _ => {
            return refuse(format!(
                "Invalid replication factor {replication_factor}: the replication factor must be \
                 positive."
            ));
        }
    };
    let mut draw = Draw { entropy };
    let mut cluster = Cluster::new(image, &mut draw);
    if cluster.unfenced == 0 {
        return refuse(
            "All brokers are currently fenced, or have all their log directories cordoned."
                .to_owned(),
        );
    }
    if wanted > cluster.brokers {
        return refuse(format!(
            "The target replication factor of {wanted} cannot be reached because only {} \
             broker(s) are registered or some brokers have all their log directories cordoned.",
            cluster.brokers
        ));
    }
    Ok((0..partitions)
        .map(|_| cluster.next_partition(wanted, &mut draw))
        .collect())
}

/// The brokers of a cluster by rack, with what was handed out so far.
struct Cluster {
    racks: Vec<Rack>,
    brokers: usize,
    unfenced: usize,
    /// The rack that the next partition begins with.
    first_rack: usize,
    /// How many partitions were placed since the brokers were last shuffled.
    placed: usize,
}

#[derive(Default)]
struct Rack {
    unfenced: Ring,
    fenced: Ring,
}

/// Brokers taken in turn, each at most once per partition; the first one moves on by one with
/// each partition.
#[derive(Default)]
struct Ring {
    brokers: Vec<BrokerId>,
    first: usize,
    taken: usize,
}

impl Cluster {
    fn new(image: &Image, draw: &mut Draw<'_>) -> Self {
        let mut by_rack: BTreeMap<Option<&str>, Rack> = BTreeMap::new();
        let mut brokers = 0;
        let mut unfenced = 0;
        for broker in image.brokers() {
            let rack = by_rack.entry(broker.rack.as_deref()).or_default();
            brokers += 1;
            if broker.fenced {
                rack.fenced.brokers.push(broker.id);
            } else {
                unfenced += 1;
                rack.unfenced.brokers.push(broker.id);
            }
        }
        let mut racks: Vec<Rack> = by_rack.into_values().collect();
        for rack in &mut racks {
            rack.unfenced.first = draw.below(rack.unfenced.brokers.len());
            rack.fenced.first = draw.below(rack.fenced.brokers.len());
        }
        let first_rack = draw.below(racks.len());
        Self {
            racks,
            brokers,
            unfenced,
            first_rack,
            placed: 0,
        }
    }

    /// The replicas of one more partition. There are `wanted` brokers and one of them is unfenced.
    fn next_partition(&mut self, wanted: usize, draw: &mut Draw<'_>) -> Vec<BrokerId> {
        // Once every broker has led, the same assignments would come again: mix them up.
        if self.placed == self.unfenced && self.unfenced > 1 {
            self.shuffle(draw);
            self.placed = 0;
        }
        let mut replicas = Vec::with_capacity(wanted);
        let mut leader_rack = None;
        for turn in 0..self.racks.len() {
            let index = (self.first_rack + turn) % self.racks.len();
            let unfenced = self.racks.get_mut(index).map(|rack| &mut rack.unfenced);
            if let Some(leader) = unfenced.and_then(Ring::take) {
                replicas.push(leader);
                leader_rack = Some(index);
                break;
            }
        }
        let mut index = self.first_rack;
        while replicas.len() < wanted {
            // The leader's rack has given one already: its first turn is over.
            if leader_rack == Some(index) {
                leader_rack = None;
            } else if let Some(rack) = self.racks.get_mut(index) {
                replicas.extend(rack.unfenced.take().or_else(|| rack.fenced.take()));
            }
            index = (index + 1) % self.racks.len();
        }
        for rack in &mut self.racks {
            rack.unfenced.advance();
            rack.fenced.advance();
        }
        self.first_rack = (self.first_rack + 1) % self.racks.len();
        self.placed += 1;
        replicas
    }

    fn shuffle(&mut self, draw: &mut Draw<'_>) {
        draw.shuffle(&mut self.racks);
        for rack in &mut self.racks {
            draw.shuffle(&mut rack.unfenced.brokers);
            draw.shuffle(&mut rack.fenced.brokers);
        }
    }
}

impl Ring {
    fn take(&mut self) -> Option<BrokerId> {
        if self.taken == self.brokers.len() {
            return None;
        }
        let at = (self.first + self.taken) % self.brokers.len();
        self.taken += 1;
        self.brokers.get(at).copied()
    }

    fn advance(&mut self) {
        self.taken = 0;
        if !self.brokers.is_empty() {
            self.first = (self.first + 1) % self.brokers.len();
        }
    }
}

/// Numbers drawn from injected entropy.
struct Draw<'a> {
    entropy: &'a dyn Entropy,
}

impl Draw<'_> {
    /// A number below `bound`, or 0 where `bound` is. Fair to one part in 2^32 for any cluster
    /// that exists.
    fn below(&mut self, bound: usize) -> usize {
        if bound < 2 {
            return 0;
        }
        let mut bytes = [0; 8];
        self.entropy.fill(&mut bytes);
        let bound = u64::try_from(bound).unwrap_or(u64::MAX);
        usize::try_from(u64::from_le_bytes(bytes) % bound).unwrap_or(0)
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}
