//! Kafka's broker keys that this broker knows by name only: it neither keeps nor shows them.

use crate::metadata::config::reason::{
    NO_PLUGINS, NO_SECURITY, NO_SHARE_GROUPS, NO_STREAMS_GROUPS, NO_TIERED_STORAGE, ONE_DIRECTORY,
};

/// What to do about such a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unsupported {
    /// Refuse to start: its user relies on protection that would not be there.
    Security,
    /// Start, and say that it does nothing and why.
    NoEffect(&'static str),
}

/// Looks `key` up; `None` where it is not one of these, or has the value of an open broker.
pub(super) fn find(key: &str, value: &str) -> Option<Unsupported> {
    if let Some((_, harmless)) = SECURITY.iter().find(|(name, _)| *name == key) {
        return Some(if harmless.contains(&value.trim()) {
            Unsupported::NoEffect(NO_SECURITY)
        } else {
            Unsupported::Security
        });
    }
    if SECURITY_PREFIXES
        .iter()
        .any(|prefix| key.starts_with(prefix))
    {
        return Some(Unsupported::Security);
    }
    NO_EFFECT
        .iter()
        .find(|(name, _)| *name == key || name.ends_with('.') && key.starts_with(name))
        .map(|(_, why)| Unsupported::NoEffect(why))
}

/// The names among them that are whole.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    SECURITY
        .iter()
        .map(|(name, _)| *name)
        .chain(NO_EFFECT.iter().map(|(name, _)| *name))
        .filter(|name| !name.ends_with('.'))
}

/// Security keys with the values under which a broker is as open as without them.
const SECURITY: &[(&str, &[&str])] = &[
    ("allow.everyone.if.no.acl.found", &["true"]),
    ("authorizer.class.name", &[""]),
    ("connections.max.reauth.ms", &["0"]),
    ("principal.builder.class", &[]),
    ("security.inter.broker.protocol", &["PLAINTEXT"]),
    ("security.providers", &[""]),
    ("super.users", &[]),
];

/// Everything under these is about security: TLS, SASL, tokens, and single listeners' settings.
const SECURITY_PREFIXES: &[&str] = &["delegation.token.", "listener.name.", "sasl.", "ssl."];

/// Keys without effect; one that ends with a dot stands for everything under it.
const NO_EFFECT: &[(&str, &str)] = &[
    ("alter.config.policy.class.name", NO_PLUGINS),
    ("client.quota.callback.class", NO_PLUGINS),
    ("config.providers", NO_PLUGINS),
    ("config.providers.", NO_PLUGINS),
    ("cordoned.log.dirs", ONE_DIRECTORY),
    ("create.topic.policy.class.name", NO_PLUGINS),
    (
        "follower.fetch.last.tiered.offset.enable",
        NO_TIERED_STORAGE,
    ),
    ("group.share.", NO_SHARE_GROUPS),
    ("group.streams.", NO_STREAMS_GROUPS),
    ("remote.", NO_TIERED_STORAGE),
    ("replica.selector.class", NO_PLUGINS),
    ("share.coordinator.", NO_SHARE_GROUPS),
    ("share.fetch.", NO_SHARE_GROUPS),
];
