//! Whether a value of the right type is allowed for its key.

// Addresses as values: sockets are elsewhere.
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::collections::BTreeMap;

use super::def::{Check, ConfigDef};
use super::value::{ConfigValue, InvalidConfig};

/// What is wrong with what is no list of `address:count`.
const ADDRESS_COUNTS: &str =
    "Value must be a list of ADDRESS:COUNT, and of names only localhost is known";

/// Checks `value` against the rule of `def`. The texts of refusals are Kafka's.
pub(super) fn check(def: &ConfigDef, value: &ConfigValue) -> Result<(), InvalidConfig> {
    let refuse = |why: String| {
        let text = match value {
            ConfigValue::List(items) => format!("[{}]", items.join(", ")),
            other => other.to_text().unwrap_or_else(|| "null".to_owned()),
        };
        Err(InvalidConfig::value(def.name, &text, &why))
    };
    match (def.check, value) {
        (Check::AtLeast(min), ConfigValue::Number(n)) if *n < min => {
            refuse(format!("Value must be at least {min}"))
        }
        (Check::Between(min, _), ConfigValue::Number(n)) if *n < min => {
            refuse(format!("Value must be at least {min}"))
        }
        (Check::Between(_, max), ConfigValue::Number(n)) if *n > max => {
            refuse(format!("Value must be no more than {max}"))
        }
        (Check::Fraction, ConfigValue::Double(x)) if *x > 1.0 => {
            refuse("Value must be no more than 1".to_owned())
        }
        // Written so that NaN, which Kafka lets pass, is refused: no comparison with it holds.
        (Check::Fraction, ConfigValue::Double(x)) if !(0.0..=1.0).contains(x) => {
            refuse("Value must be at least 0".to_owned())
        }
        (Check::GzipLevel, ConfigValue::Number(n)) if *n != -1 && !(1..=9).contains(n) => {
            refuse("Value must be between 1 and 9 or equal to -1".to_owned())
        }
        (Check::OneOf(allowed), ConfigValue::Text(text)) if !allowed.contains(&&**text) => {
            refuse(format!("String must be one of: {}", allowed.join(", ")))
        }
        (Check::OneOfIgnoringCase(allowed), ConfigValue::Text(text))
            if !allowed.iter().any(|one| one.eq_ignore_ascii_case(text)) =>
        {
            let allowed = allowed.join(", ");
            refuse(format!(
                "String must be one of (case insensitive): {allowed}"
            ))
        }
        (Check::NonEmpty, ConfigValue::Text(text)) if text.is_empty() => {
            refuse("String must be non-empty".to_owned())
        }
        (Check::ListOf(allowed), ConfigValue::List(items)) => check_list(def, items, allowed),
        (Check::DistinctNonEmpty, ConfigValue::List(items)) if items.is_empty() => {
            Err(InvalidConfig(format!(
                "Configuration '{}' must not be empty. Valid values include: any non-empty value",
                def.name
            )))
        }
        (Check::Distinct | Check::DistinctNonEmpty, ConfigValue::List(items)) => {
            check_list(def, items, &[])
        }
        (Check::ThrottledReplicas, ConfigValue::List(items)) if !are_throttled(items) => {
            refuse(format!(
                "{} must be the literal '*' or a list of replicas in the following format: \
                 [partitionId]:[brokerId],[partitionId]:[brokerId],...",
                def.name
            ))
        }
        (Check::AddressCounts, ConfigValue::Text(text)) if address_counts(text).is_none() => {
            refuse(ADDRESS_COUNTS.to_owned())
        }
        (Check::OffsetReset, ConfigValue::Text(text)) if !is_offset_reset(text) => refuse(format!(
            "Invalid value `{text}` for configuration {}. The value must be either 'earliest', \
             'latest' or of the format 'by_duration:<PnDTnHnMn.nS>'.",
            def.name
        )),
        _ => Ok(()),
    }
}

/// The counts that a list of `address:count` gives, the last one where an address comes twice.
/// `localhost` is both loopback addresses; no other name is looked up, and none is passed over.
#[must_use]
pub fn address_counts(text: &str) -> Option<BTreeMap<IpAddr, usize>> {
    let mut counts = BTreeMap::new();
    for entry in text.split(',').map(str::trim).filter(|e| !e.is_empty()) {
        let (host, count) = entry.rsplit_once(':')?;
        // As large as Kafka's numbers.
        let count: i32 = count.trim().parse().ok()?;
        let count = usize::try_from(count).ok()?;
        let host = host.trim();
        let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
        if host == "localhost" {
            counts.insert(IpAddr::V4(Ipv4Addr::LOCALHOST), count);
            counts.insert(IpAddr::V6(Ipv6Addr::LOCALHOST), count);
        } else {
            let address: IpAddr = bare.unwrap_or(host).parse().ok()?;
            counts.insert(address.to_canonical(), count);
        }
    }
    Some(counts)
}

/// Whether `text` says where to begin to read.
fn is_offset_reset(text: &str) -> bool {
    match text.strip_prefix("by_duration:") {
        Some(duration) => is_duration(duration),
        None => matches!(text, "earliest" | "latest"),
    }
}

/// Whether `text` is `PnDTnHnMn.nS`, of which any but the last part may be missing.
fn is_duration(text: &str) -> bool {
    let upper = text.to_ascii_uppercase();
    let Some(rest) = upper.strip_prefix('P') else {
        return false;
    };
    let (days, time) = match rest.split_once('T') {
        Some((days, time)) if !time.is_empty() => (days, time),
        Some(_) => return false,
        None => (rest, ""),
    };
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let (mut days, mut time) = (days, time);
    let part = |text: &mut &str, unit: char| match text.split_once(unit) {
        Some((number, rest)) => {
            *text = rest;
            let whole = number.split_once('.').filter(|_| unit == 'S');
            let fraction_holds = whole.is_none_or(|(_, n)| n.is_empty() || is_number(n));
            is_number(whole.map_or(number, |(n, _)| n)) && fraction_holds
        }
        None => true,
    };
    let holds = part(&mut days, 'D')
        && part(&mut time, 'H')
        && part(&mut time, 'M')
        && part(&mut time, 'S');
    holds && !rest.is_empty() && days.is_empty() && time.is_empty()
}

/// No entry empty, and where `allowed` has any, none but those.
fn check_list(def: &ConfigDef, items: &[String], allowed: &[&str]) -> Result<(), InvalidConfig> {
    let name = def.name;
    for item in items {
        if item.is_empty() {
            let why = format!("Configuration '{name}' values must not be empty.");
            return Err(InvalidConfig(why));
        }
        if !allowed.is_empty() && !allowed.contains(&&**item) {
            let why = format!("String must be one of: {}", allowed.join(", "));
            return Err(InvalidConfig::value(name, item, &why));
        }
    }
    Ok(())
}

/// Whether `items` is `*` alone or nothing but `partition:broker`; empty entries are passed over.
fn are_throttled(items: &[String]) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let is_replica = |item: &String| {
        item.is_empty()
            || item
                .split_once(':')
                .is_some_and(|(partition, broker)| is_number(partition) && is_number(broker))
    };
    items.iter().all(is_replica) || items.concat() == "*"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_of_addresses() {
        let counts = |text| address_counts(text).map(|c| c.into_iter().collect::<Vec<_>>());
        let at = |address: &str, count: usize| (address.parse::<IpAddr>().unwrap(), count);
        assert_eq!(counts(""), Some(vec![]));
        assert_eq!(
            counts("192.0.2.1:5, [2001:db8::1]:0,2001:db8::2:7"),
            Some(vec![
                at("192.0.2.1", 5),
                at("2001:db8::1", 0),
                at("2001:db8::2", 7)
            ])
        );
        assert_eq!(
            counts("localhost:3"),
            Some(vec![at("127.0.0.1", 3), at("::1", 3)])
        );
        // One address, however it is written; what comes last counts.
        let twice = counts("192.0.2.1:5,::ffff:192.0.2.1:6");
        assert_eq!(twice, Some(vec![at("192.0.2.1", 6)]));
        for wrong in [
            "192.0.2.1",
            "192.0.2.1:-1",
            "192.0.2.1:x",
            "example:1",
            ":1",
        ] {
            assert_eq!(counts(wrong), None, "{wrong}");
        }
    }
}
