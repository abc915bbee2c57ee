//! How the controller refuses.

use ottla_log::{InvalidTopicName, TopicName};
use ottla_protocol::ErrorCode;

/// A refusal as a client sees it: Kafka's code and a text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    /// The code.
    pub code: ErrorCode,
    /// The text.
    pub message: String,
}

/// What the controller answers for one thing that was asked.
pub type ApiResult<T> = Result<T, ApiError>;

impl ApiError {
    /// A refusal with a text of its own.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }
}

/// The refusal of a topic's name, in Kafka's words.
pub(super) fn invalid_topic_name(name: &str, error: &InvalidTopicName) -> ApiError {
    let why = match error {
        InvalidTopicName::Empty => "the empty string is not allowed".to_owned(),
        InvalidTopicName::Dots => format!("'{name}' is not allowed"),
        InvalidTopicName::TooLong(_) => format!(
            "the length of '{name}' is longer than the max allowed length {}",
            TopicName::LEN_MAX
        ),
        _ => format!(
            "'{name}' contains one or more characters other than ASCII alphanumerics, '.', '_' \
             and '-'"
        ),
    };
    ApiError::new(
        ErrorCode::InvalidTopicException,
        format!("Topic name is invalid: {why}"),
    )
}

impl From<ErrorCode> for ApiError {
    /// A refusal whose code says all.
    fn from(code: ErrorCode) -> Self {
        Self::new(code, code.message())
    }
}
