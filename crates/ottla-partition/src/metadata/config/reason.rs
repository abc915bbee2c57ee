//! Why a key of Kafka's has no effect here, each as the end of "has no effect here: ...".

pub(super) const ONLY_CLASSIC: &str = "only groups of the classic protocol are coordinated";
pub(super) const NO_LINGER: &str = "what a group decides is written at once";
pub(super) const OWN_LOADING: &str = "groups are read batch by batch";
pub(super) const NO_METRICS: &str = "there are no metrics reporters";
pub(super) const NO_PLUGINS: &str = "there are no plug-in classes";
pub(super) const NO_PREALLOCATION: &str = "files grow as they are written";
pub(super) const NO_PURGATORY: &str = "a request that is done leaves nothing behind to sweep";
pub(super) const NO_QUOTAS: &str = "there are no quotas yet";
pub(super) const NO_SECURITY: &str = "there is no authentication yet";
pub(super) const NO_SHARE_GROUPS: &str = "there are no share groups";
pub(super) const NO_STREAMS_GROUPS: &str = "there are no streams groups";
pub(super) const NO_TIERED_STORAGE: &str = "there is no tiered storage";
pub(super) const NO_TRANSACTIONS: &str = "there are no transactions yet";
pub(super) const ONE_DIRECTORY: &str = "there is one data directory";
pub(super) const ONE_NODE: &str = "a cluster has one node so far";
pub(super) const OS_BUFFERS: &str = "the operating system sizes socket buffers";
pub(super) const OWN_BUDGET: &str = "one budget of bytes bounds what waits";
pub(super) const OWN_FLUSHING: &str = "what is durable is noted with every flush round";
pub(super) const OWN_QUORUM: &str = "the process is its own controller";
pub(super) const OWN_THREADS: &str = "the number of threads follows the machine";
pub(super) const OWN_UPKEEP: &str = "compaction is a part of the upkeep of each log";
