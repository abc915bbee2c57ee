//! The configuration of what is neither topic nor broker: groups, subscriptions to client metrics,
//! and loggers.

use ottla_protocol::ErrorCode;

use super::{AlterResource, Controller, OpType, check_lengths, invalid_request};
use crate::BrokerId;
use crate::metadata::config::{INTERVAL_MS, check_patterns, client_metrics_def};
use crate::metadata::controller::error::{ApiError, ApiResult};
use crate::metadata::image::ConfigMap;

impl Controller<'_> {
    /// A group may have a configuration before it exists.
    pub(super) fn check_group(&self, name: &str, after: &ConfigMap) -> ApiResult<()> {
        check_lengths(after)?;
        if name.is_empty() {
            return Err(invalid_request("Default group resources are not allowed."));
        }
        let checked = self.config().check_group(after);
        checked.map_err(|error| invalid_config(error.to_string()))
    }

    /// What a broker says of its loggers: it has none with a level of its own. What is logged is
    /// the process's matter, set when it starts.
    pub(super) fn check_loggers(&self, resource: &AlterResource) -> ApiResult<()> {
        let name = &resource.name;
        let id: i32 = name.parse().map_err(|_| {
            invalid_request(format!("Node id must be an integer, but it is: {name}"))
        })?;
        if BrokerId::new(id) != self.node {
            let node = self.node;
            return Err(invalid_request(format!(
                "Unexpected node id. Expected {node}, but received {id}"
            )));
        }
        let Some(op) = resource.ops.first() else {
            return Ok(());
        };
        Err(match OpType::from_code(op.op) {
            Some(OpType::Set | OpType::Delete) => {
                invalid_config(format!("Logger {} does not exist!", op.name))
            }
            Some(other) => {
                let other = other.name();
                invalid_request(format!(
                    "{other} operation is not allowed for the BROKER_LOGGER resource"
                ))
            }
            None => {
                let code = op.op;
                invalid_request(format!(
                    "Unknown operation type {code} is not allowed for the BROKER_LOGGER resource"
                ))
            }
        })
    }
}

pub(super) fn check_client_metrics(name: &str, after: &ConfigMap) -> ApiResult<()> {
    check_lengths(after)?;
    if name.is_empty() {
        return Err(invalid_request("Subscription name can't be empty"));
    }
    if let Some(key) = after.keys().find(|key| client_metrics_def(key).is_none()) {
        return Err(invalid_request(format!(
            "Unknown client metrics configuration: {key}"
        )));
    }
    for (key, text) in after {
        let def = client_metrics_def(key).ok_or(ErrorCode::InvalidRequest)?;
        let invalid =
            |error: crate::metadata::config::InvalidConfig| invalid_config(error.to_string());
        let value = def.parse(text).map_err(invalid)?;
        if let Some(ms) = value.number().filter(|ms| !INTERVAL_MS.contains(ms)) {
            let (least, most) = (INTERVAL_MS.start(), INTERVAL_MS.end());
            return Err(invalid_request(format!(
                "Invalid value {ms} for {key}, interval must be between {least} and {most} (1 hour)"
            )));
        }
        if def.name == "match" {
            check_patterns(value.list().unwrap_or_default()).map_err(invalid)?;
        }
    }
    Ok(())
}

fn invalid_config(why: String) -> ApiError {
    ApiError::new(ErrorCode::InvalidConfig, why)
}
