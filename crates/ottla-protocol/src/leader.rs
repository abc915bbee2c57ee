//! Who leads a partition, as Produce and Fetch tell it with an error, so that a client need not
//! ask again (KIP-951).

use crate::StrBytes;
use crate::fields::fields;

fields! {
    /// The leader of a partition.
    pub struct LeaderIdAndEpoch {
        /// The broker; -1 where there is none or it is not known.
        leader_id: i32 = -1,
        /// The latest leader epoch known; -1 for none.
        leader_epoch: i32 = -1,
    }

    /// Where a broker that is named as a leader can be reached.
    pub struct NodeEndpoint {
        /// The broker.
        node_id: i32,
        /// Its host.
        host: StrBytes,
        /// Its port.
        port: i32,
        /// Its rack, if it has one.
        rack: Option<StrBytes>,
    }
}
