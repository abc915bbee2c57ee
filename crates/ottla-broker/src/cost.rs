//! What answering a request may take of memory, told from how much it asks for.
//!
//! Whatever a request asks for, it asks for by the elements of its lists, and whatever is said of
//! them repeats at most their texts. `tests/hostile/answers.rs` measures every API in every version
//! against these numbers, with counted allocations. What answers take that tell more than was
//! asked, all topics for example, depends on the state and is charged besides
//! (`handlers::state_cost`).

/// What one element takes: what a handler notes of it, its part of the response, and that encoded
/// in a buffer which doubles. Texts of refusals count here: they are bounded by themselves.
const ELEMENT_BYTES: u64 = 1024;
/// How often a byte of text is held at most: copied for the controller, quoted with escapes,
/// in the response, and encoded.
const TEXT_COPIES: u64 = 8;
/// What a request takes that lists nothing.
const BASE_BYTES: u64 = 4096;

/// What a topic takes that a request makes: on its way through the controller, in the records of
/// the metadata log, and in the image before and after.
const NEW_TOPIC_BYTES: u64 = 12 * 1024;
/// What each of its partitions takes.
const NEW_PARTITION_BYTES: u64 = 4 * 1024;

/// What a topic takes in an answer, and encoded.
const TOLD_TOPIC_BYTES: u64 = 1024;
/// What each of its partitions takes there, with its lists of brokers.
const TOLD_PARTITION_BYTES: u64 = 512;
/// What the configuration of a topic or of a broker takes in an answer, with everything that can
/// be asked of it.
pub(crate) const CONFIG_BYTES: u64 = 64 * 1024;

/// The most that handling a request of so many elements and bytes of text takes, and its answer.
pub(crate) const fn of_answering(elements: u64, text: u64) -> u64 {
    let elements = of_elements(elements);
    let text = text.saturating_mul(TEXT_COPIES);
    BASE_BYTES.saturating_add(elements).saturating_add(text)
}

/// The most that telling of so many elements takes which the request itself does not list.
pub(crate) const fn of_elements(elements: u64) -> u64 {
    elements.saturating_mul(ELEMENT_BYTES)
}

/// The most that making a topic takes.
pub(crate) const fn of_new_topic(partitions: u64) -> u64 {
    NEW_TOPIC_BYTES.saturating_add(partitions.saturating_mul(NEW_PARTITION_BYTES))
}

/// The most that telling of a topic takes.
pub(crate) const fn of_told_topic(partitions: u64) -> u64 {
    TOLD_TOPIC_BYTES.saturating_add(partitions.saturating_mul(TOLD_PARTITION_BYTES))
}
