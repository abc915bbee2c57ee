//! The ids and epochs of brokers and partitions, each a type of its own.

use std::fmt;

use ottla_log::id_number;

id_number! {
    /// A broker's node id. -1 means none.
    BrokerId(i32)
}
id_number! {
    /// The term of a broker's registration: the offset of its `RegisterBroker` record. -1 means
    /// none.
    BrokerEpoch(i64)
}
id_number! {
    /// Counts every change of a partition's registration, of the leader or not.
    PartitionEpoch(i32)
}

impl BrokerId {
    /// No broker: a partition without a leader has it as its leader on the wire.
    pub const NONE: Self = Self(-1);
}

/// Declares a 16-byte id with a meaning of its own.
macro_rules! uuid {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 16]);

        impl $name {
            /// The id with these 16 bytes, most significant first.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            /// The 16 bytes, most significant first.
            #[must_use]
            pub const fn to_bytes(self) -> [u8; 16] {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                ottla_log::TopicId::from_bytes(self.0).fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }
    };
}

uuid! {
    /// The id of one data directory of a broker (KIP-858).
    DirectoryId
}
uuid! {
    /// The id of one run of a broker's process.
    IncarnationId
}

impl DirectoryId {
    /// The replica has not been placed in a directory yet.
    pub const UNASSIGNED: Self = Self([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
}
