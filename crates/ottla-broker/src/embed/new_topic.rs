//! What a new topic is to be like.

use ottla_partition::metadata::controller;

/// Describes a topic that is to be created; what is not said is the broker's default.
///
/// ```
/// # use ottla_broker::NewTopic;
/// let orders = NewTopic::new("orders")
///     .partitions(3)
///     .config("retention.ms", 60_000);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTopic {
    name: String,
    partitions: Option<i32>,
    configs: Vec<(String, Option<String>)>,
}

impl NewTopic {
    /// A topic called `name`.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            partitions: None,
            configs: Vec::new(),
        }
    }

    /// With this many partitions; otherwise `num.partitions` of the broker.
    #[must_use]
    pub const fn partitions(mut self, partitions: i32) -> Self {
        self.partitions = Some(partitions);
        self
    }

    /// With one of Kafka's topic settings, such as `retention.ms`.
    #[must_use]
    pub fn config(mut self, key: impl Into<String>, value: impl ToString) -> Self {
        self.configs.push((key.into(), Some(value.to_string())));
        self
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn into_request(self) -> controller::NewTopic {
        let mut request = controller::NewTopic::new(self.name);
        if let Some(partitions) = self.partitions {
            request.partitions = partitions;
        }
        request.configs = self.configs;
        request
    }
}
