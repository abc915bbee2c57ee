//! Sans-IO state machines of partitions, replication and cluster metadata.
