//! Altering configuration: single keys (KIP-339) and whole resources.

mod others;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ottla_log::TopicName;
use ottla_protocol::ErrorCode;

use super::create::{CONFIG_VALUE_LEN_MAX, value_too_long};
use super::error::{ApiError, ApiResult, invalid_topic_name};
use super::{Controller, Decision, repeated};
use crate::BrokerId;
use crate::metadata::config::{ConfigKind, broker_def, dynamic_refusal, topic_def};
use crate::metadata::image::ConfigMap;
use crate::metadata::record::{
    ClearElrRecord, ConfigRecord, ConfigResource, ConfigResourceKind, MetadataRecord,
};

use others::check_client_metrics;

/// Changes of single keys of one resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlterResource {
    /// Kafka's code of the resource's kind.
    pub kind: i8,
    /// The resource's name.
    pub name: String,
    /// The changes.
    pub ops: Vec<AlterOp>,
    /// Why the asker may not alter it, where that is so.
    pub denied: Option<ErrorCode>,
}

/// A change of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlterOp {
    /// The key.
    pub name: String,
    /// Kafka's code of what to do.
    pub op: i8,
    /// The value to do it with.
    pub value: Option<String>,
}

/// What to do with a key, with Kafka's codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpType {
    /// Give it this value.
    Set,
    /// Forget what it was given.
    Delete,
    /// Add these to its list.
    Append,
    /// Take these off its list.
    Subtract,
}

impl OpType {
    /// The operation with Kafka's `code`.
    #[must_use]
    pub const fn from_code(code: i8) -> Option<Self> {
        match code {
            0 => Some(Self::Set),
            1 => Some(Self::Delete),
            2 => Some(Self::Append),
            3 => Some(Self::Subtract),
            _ => None,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Set => "SET",
            Self::Delete => "DELETE",
            Self::Append => "APPEND",
            Self::Subtract => "SUBTRACT",
        }
    }
}

/// All the keys of one resource, in place of those it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetResource {
    /// Kafka's code of the resource's kind.
    pub kind: i8,
    /// The resource's name.
    pub name: String,
    /// The keys.
    pub configs: Vec<(String, Option<String>)>,
    /// Why the asker may not alter it, where that is so.
    pub denied: Option<ErrorCode>,
}

/// What became of one resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Altered {
    /// Kafka's code of the resource's kind.
    pub kind: i8,
    /// The resource's name.
    pub name: String,
    /// Whether it was altered, or why not; if one key is refused none is altered.
    pub result: ApiResult<()>,
}

/// The key whose meaning the eligible leader replicas hang on.
const MIN_ISR: &str = "min.insync.replicas";

impl Controller<'_> {
    /// Decides about changes of single keys. One result for each resource, in their order.
    pub fn incremental_alter_configs(
        &self,
        resources: &[AlterResource],
        validate_only: bool,
    ) -> Decision<Vec<Altered>> {
        let twice = repeated(resources.iter().map(|r| (r.kind, &*r.name)));
        self.alter_each(resources, validate_only, |resource| {
            let is_twice = twice.contains(&(resource.kind, &*resource.name));
            let result = self
                .check_resource(resource.kind, &resource.name, is_twice)
                .and_then(|kind| self.alter_keys(kind, resource));
            (resource.kind, &resource.name, result)
        })
    }

    /// Decides about all the keys of resources. One result for each resource, in their order.
    pub fn alter_configs(
        &self,
        resources: &[SetResource],
        validate_only: bool,
    ) -> Decision<Vec<Altered>> {
        let twice = repeated(resources.iter().map(|r| (r.kind, &*r.name)));
        self.alter_each(resources, validate_only, |resource| {
            let is_twice = twice.contains(&(resource.kind, &*resource.name));
            let result = self
                .check_resource(resource.kind, &resource.name, is_twice)
                .and_then(|kind| self.replace_keys(kind, resource));
            (resource.kind, &resource.name, result)
        })
    }

    fn alter_each<'r, R>(
        &self,
        resources: &'r [R],
        validate_only: bool,
        alter: impl Fn(&'r R) -> (i8, &'r String, ApiResult<Vec<ConfigRecord>>),
    ) -> Decision<Vec<Altered>> {
        let mut records = Vec::new();
        let mut outcome = Vec::with_capacity(resources.len());
        for resource in resources {
            let (kind, name, result) = alter(resource);
            outcome.push(Altered {
                kind,
                name: name.clone(),
                result: result.map(|changes| records.extend(changes)),
            });
        }
        if validate_only {
            return Decision::unchanged(outcome);
        }
        let cleared = self.cleared_elrs(&records);
        let records = records.into_iter().map(MetadataRecord::Config);
        Decision {
            records: records.chain(cleared).collect(),
            outcome,
        }
    }

    /// The kind of a resource that can be altered, where it comes once.
    fn check_resource(
        &self,
        kind: i8,
        name: &str,
        is_twice: bool,
    ) -> ApiResult<ConfigResourceKind> {
        if is_twice {
            return Err(invalid_request("Each resource must appear at most once."));
        }
        match ConfigResourceKind::from_code(kind) {
            Some(ConfigResourceKind::Broker) => {
                self.check_broker_name(name)?;
                Ok(ConfigResourceKind::Broker)
            }
            Some(other) => Ok(other),
            None => Err(invalid_request(format!("Unknown resource type {kind}"))),
        }
    }

    /// A broker answers for itself and for the default of all brokers.
    fn check_broker_name(&self, name: &str) -> ApiResult<()> {
        if name.is_empty() {
            return Ok(());
        }
        let id: i32 = name.parse().map_err(|_| {
            invalid_request(format!("Node id must be an integer, but it is: {name}"))
        })?;
        if BrokerId::new(id) == self.node {
            return Ok(());
        }
        let node = self.node;
        Err(invalid_request(format!(
            "Unexpected broker id, expected {node}, but received {name}"
        )))
    }

    /// The records of changes of single keys.
    fn alter_keys(
        &self,
        kind: ConfigResourceKind,
        resource: &AlterResource,
    ) -> ApiResult<Vec<ConfigRecord>> {
        let names = resource.ops.iter().map(|op| &*op.name);
        check_distinct(names)?;
        let is_delete = |op: &&AlterOp| OpType::from_code(op.op) == Some(OpType::Delete);
        let set = resource.ops.iter().filter(|op| !is_delete(op));
        check_values(set.map(|op| (&*op.name, op.value.as_deref())))?;
        if let Some(denied) = resource.denied {
            return Err(denied.into());
        }
        if kind == ConfigResourceKind::BrokerLogger {
            return self.check_loggers(resource).map(|()| Vec::new());
        }
        let target = ConfigResource {
            kind,
            name: resource.name.as_str().into(),
        };
        let current = self.image.config(&target);
        let mut changes = BTreeMap::new();
        for op in &resource.ops {
            let op_type = OpType::from_code(op.op)
                .ok_or_else(|| invalid_request(format!("Unknown operations type {}", op.op)))?;
            let old = current.and_then(|keys| keys.get(&*op.name));
            let new = apply(kind, op_type, op, old.map(|text| &**text))?;
            changes.insert(op.name.as_str(), new);
        }
        self.check_and_record(&target, current.map(|keys| &**keys), changes)
    }

    /// The records that give a resource these keys and no others.
    fn replace_keys(
        &self,
        kind: ConfigResourceKind,
        resource: &SetResource,
    ) -> ApiResult<Vec<ConfigRecord>> {
        check_distinct(resource.configs.iter().map(|(name, _)| &**name))?;
        let pairs = resource.configs.iter();
        check_values(pairs.map(|(name, value)| (&**name, value.as_deref())))?;
        if kind == ConfigResourceKind::BrokerLogger {
            let code = kind.code();
            return Err(invalid_request(format!("Unknown resource type {code}")));
        }
        if let Some(denied) = resource.denied {
            return Err(denied.into());
        }
        let target = ConfigResource {
            kind,
            name: resource.name.as_str().into(),
        };
        let current = self.image.config(&target);
        let old = current.into_iter().flat_map(|keys| keys.keys());
        let mut changes: BTreeMap<&str, Option<Arc<str>>> =
            old.map(|name| (&**name, None)).collect();
        for (name, value) in &resource.configs {
            changes.insert(name, value.as_deref().map(Into::into));
        }
        self.check_and_record(&target, current.map(|keys| &**keys), changes)
    }

    /// Checks what the resource would have and makes the records of what changes. A broker's keys
    /// are recorded even where they stay: setting a key again makes the broker read it again.
    fn check_and_record(
        &self,
        target: &ConfigResource,
        current: Option<&ConfigMap>,
        changes: BTreeMap<&str, Option<Arc<str>>>,
    ) -> ApiResult<Vec<ConfigRecord>> {
        let mut after = current.cloned().unwrap_or_default();
        for (name, value) in &changes {
            match value {
                Some(value) => after.insert((*name).into(), value.clone()),
                None => after.remove(*name),
            };
        }
        match target.kind {
            ConfigResourceKind::Topic => self.check_topic(&target.name, &after)?,
            ConfigResourceKind::Group => self.check_group(&target.name, &after)?,
            ConfigResourceKind::ClientMetrics => check_client_metrics(&target.name, &after)?,
            _ => self.check_broker(&target.name, &changes, &after)?,
        }
        let is_broker = target.kind == ConfigResourceKind::Broker;
        Ok(changes
            .into_iter()
            .filter(|(name, value)| {
                is_broker || current.and_then(|keys| keys.get(*name)) != value.as_ref()
            })
            .map(|(name, value)| ConfigRecord {
                resource: target.clone(),
                name: name.into(),
                value,
            })
            .collect())
    }

    fn check_topic(&self, name: &str, after: &ConfigMap) -> ApiResult<()> {
        if name.is_empty() {
            return Err(invalid_request("Default topic resources are not allowed."));
        }
        TopicName::new(name).map_err(|error| invalid_topic_name(name, &error))?;
        self.check_topic_configs(after)?;
        if self.image.topic_id(name).is_none() {
            return Err(ApiError::new(
                ErrorCode::UnknownTopicOrPartition,
                format!("The topic '{name}' does not exist."),
            ));
        }
        Ok(())
    }

    fn check_broker(
        &self,
        name: &str,
        changes: &BTreeMap<&str, Option<Arc<str>>>,
        after: &ConfigMap,
    ) -> ApiResult<()> {
        let is_one = !name.is_empty();
        for key in after.keys() {
            if let Some(refusal) = dynamic_refusal(key, is_one) {
                return Err(invalid_request(refusal));
            }
        }
        for (key, value) in after {
            let def = broker_def(key).ok_or(ErrorCode::InvalidRequest)?;
            def.parse(value)
                .map_err(|error| invalid_request(error.to_string()))?;
        }
        let invalid = |why: String| Err(ApiError::new(ErrorCode::InvalidConfig, why));
        check_lengths(after)?;
        if let Some(value) = changes.get(MIN_ISR).filter(|_| self.has_elr()) {
            if is_one {
                return invalid(format!(
                    "Broker-level {MIN_ISR} cannot be altered while ELR is enabled."
                ));
            }
            if value.is_none() {
                return invalid(format!(
                    "Cluster-level {MIN_ISR} cannot be removed while ELR is enabled."
                ));
            }
        }
        Ok(())
    }

    /// A changed min ISR makes the eligible leader replicas that followed from the old one void.
    fn cleared_elrs(&self, records: &[ConfigRecord]) -> Vec<MetadataRecord> {
        let changed = records
            .iter()
            .filter(|record| self.has_elr() && &*record.name == MIN_ISR);
        changed
            .map(|record| {
                let topic = match record.resource.kind {
                    ConfigResourceKind::Topic => TopicName::new(&record.resource.name).ok(),
                    _ => None,
                };
                MetadataRecord::ClearElr(ClearElrRecord { topic })
            })
            .collect()
    }
}

/// The new value of a key; `None` forgets it.
fn apply(
    kind: ConfigResourceKind,
    op_type: OpType,
    op: &AlterOp,
    old: Option<&str>,
) -> ApiResult<Option<Arc<str>>> {
    let given = op.value.as_deref().unwrap_or_default();
    match op_type {
        OpType::Set => return Ok(Some(given.into())),
        OpType::Delete => return Ok(None),
        OpType::Append | OpType::Subtract => {}
    }
    let def = match kind {
        ConfigResourceKind::Topic => topic_def(&op.name),
        ConfigResourceKind::Broker => broker_def(&op.name),
        // Kafka knows of no lists but theirs.
        _ => None,
    };
    let def = def.filter(|def| def.kind == ConfigKind::List);
    let Some(def) = def else {
        return Err(ApiError::new(
            ErrorCode::InvalidConfig,
            format!(
                "Can't {} to key {} because its type is not LIST.",
                op_type.name(),
                op.name
            ),
        ));
    };
    if given.len() > CONFIG_VALUE_LEN_MAX {
        return Err(value_too_long());
    }
    let old = old.or(def.default).unwrap_or_default();
    let mut list: Vec<&str> = old.split(',').filter(|item| !item.is_empty()).collect();
    if op_type == OpType::Append {
        let mut known: BTreeSet<&str> = list.iter().copied().collect();
        list.extend(given.split(',').filter(|item| known.insert(item)));
    } else {
        let mut gone: BTreeMap<&str, usize> = BTreeMap::new();
        for item in given.split(',') {
            *gone.entry(item).or_default() += 1;
        }
        // One of them for each time it is named.
        list.retain(|item| match gone.get_mut(item) {
            Some(left) if *left > 0 => {
                *left -= 1;
                false
            }
            _ => true,
        });
    }
    Ok(Some(list.join(",").into()))
}

fn check_lengths(after: &ConfigMap) -> ApiResult<()> {
    let too_long = |value: &Arc<str>| value.len() > CONFIG_VALUE_LEN_MAX;
    if after.values().any(too_long) {
        return Err(value_too_long());
    }
    Ok(())
}

fn check_distinct<'a>(names: impl Iterator<Item = &'a str>) -> ApiResult<()> {
    if repeated(names).is_empty() {
        Ok(())
    } else {
        Err(invalid_request("Error due to duplicate config keys"))
    }
}

fn check_values<'a>(pairs: impl Iterator<Item = (&'a str, Option<&'a str>)>) -> ApiResult<()> {
    let without: Vec<&str> = pairs
        .filter(|(_, value)| value.is_none())
        .map(|(name, _)| name)
        .collect();
    if without.is_empty() {
        return Ok(());
    }
    let names = without.join(", ");
    Err(invalid_request(format!(
        "Null value not supported for : {names}"
    )))
}

fn invalid_request(why: impl Into<String>) -> ApiError {
    ApiError::new(ErrorCode::InvalidRequest, why)
}
