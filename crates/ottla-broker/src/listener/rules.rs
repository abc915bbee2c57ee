//! How many connections may come in, and from where: what the settings say of it at the moment.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ottla_partition::metadata::config::{ConfigValue, ConfigView, address_counts};

use crate::limits::Limits;

/// Of all connections, one in so many is kept from an address that others need some beside.
const KEPT_FROM_ONE: usize = 8;

/// Who may come in. May change at any time; who is inside stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DoorRules {
    /// `max.connections`.
    pub(crate) connections_asked: usize,
    /// The same, as far as there are descriptors for them.
    pub(crate) connections_max: usize,
    /// `max.connections.per.ip`; not for loopback addresses.
    pub(crate) per_address_max: usize,
    /// `max.connections.per.ip.overrides`; for loopback addresses, too.
    pub(crate) overrides: BTreeMap<IpAddr, usize>,
    /// `max.connection.creation.rate`; not for loopback addresses.
    pub(crate) rate_max: u32,
}

impl DoorRules {
    /// What `config` allows now; `limits` are those of the start, from which the descriptors were
    /// shared out.
    pub(crate) fn of(config: ConfigView<'_>, limits: &Limits) -> Self {
        let number = |value: ConfigValue| value.number().and_then(|n| usize::try_from(n).ok());
        let asked = number(config.broker("max.connections")).unwrap_or(limits.connections_max);
        let per_address = number(config.broker("max.connections.per.ip"));
        let overrides = config.broker("max.connections.per.ip.overrides");
        let rate = config.broker("max.connection.creation.rate").number();
        Self {
            connections_asked: asked,
            // One at least: a broker that nobody can reach could never be told better.
            connections_max: asked.clamp(1, limits.files().connections_most),
            per_address_max: per_address.unwrap_or(limits.connections_per_address_max),
            overrides: overrides
                .text()
                .and_then(address_counts)
                .unwrap_or_else(|| limits.connections_per_address_overrides.clone()),
            rate_max: rate
                .and_then(|n| u32::try_from(n).ok())
                .unwrap_or(limits.connection_rate_max),
        }
    }

    /// How many connections `address` may have. No stranger may have all there are, where there are
    /// several, and the machine itself always has one.
    pub(crate) fn most_from(&self, address: IpAddr) -> usize {
        let kept = match self.connections_max {
            ..=1 => 0,
            several => (several / KEPT_FROM_ONE).max(1),
        };
        match self.overrides.get(&address) {
            Some(most) if address.is_loopback() => (*most).max(1),
            Some(most) => *most,
            None if address.is_loopback() => usize::MAX,
            None => self.per_address_max.min(self.connections_max - kept),
        }
    }

    /// Says what of it cannot be kept.
    pub(crate) fn warn(&self) {
        if self.connections_asked > self.connections_max {
            tracing::warn!(
                "max.connections is {}, and there are file descriptors for {}; raise the limit of \
                 open files (ulimit -n), then restart",
                self.connections_asked,
                self.connections_max
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use ottla_partition::BrokerId;
    use ottla_partition::metadata::Image;
    use ottla_partition::metadata::config::BrokerConfig;

    use super::*;

    fn rules(config: &BrokerConfig, limits: &Limits) -> DoorRules {
        DoorRules::of(
            ConfigView::new(&Image::new("c"), BrokerId::new(1), config),
            limits,
        )
    }

    #[test]
    fn limits_of_the_start_hold_where_no_setting_says_otherwise() {
        let address: IpAddr = "192.0.2.1".parse().unwrap();
        let limits = Limits {
            connections_max: 20,
            connections_per_address_max: 7,
            connections_per_address_overrides: [(address, 9)].into(),
            connection_rate_max: 5,
            ..Limits::default()
        };
        let own = rules(&limits.told_in(BrokerConfig::default()), &limits);
        assert_eq!((own.connections_max, own.per_address_max), (20, 7));
        assert_eq!((own.overrides, own.rate_max), ([(address, 9)].into(), 5));
        let given = [
            ("max.connections", "30"),
            ("max.connections.per.ip", "8"),
            ("max.connections.per.ip.overrides", "192.0.2.2:1"),
            ("max.connection.creation.rate", "6"),
        ];
        let given = given.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let (config, warnings) = BrokerConfig::new(given).unwrap();
        assert_eq!(warnings, []);
        let set = rules(&limits.told_in(config), &limits);
        assert_eq!((set.connections_asked, set.per_address_max), (30, 8));
        let other: IpAddr = "192.0.2.2".parse().unwrap();
        assert_eq!((set.overrides, set.rate_max), ([(other, 1)].into(), 6));
    }

    #[test]
    fn no_setting_asks_for_more_descriptors_than_there_are() {
        let all = ("max.connections".to_owned(), "2147483647".to_owned());
        let config = BrokerConfig::new([all]).unwrap().0;
        let limits = Limits::default();
        let rules = rules(&config, &limits);
        assert_eq!(rules.connections_asked, 2_147_483_647);
        assert_eq!(rules.connections_max, limits.files().connections_most);
    }

    #[test]
    fn nobody_is_locked_out_for_good() {
        let (own, stranger) = (
            "127.0.0.1".parse().unwrap(),
            "192.0.2.1".parse::<IpAddr>().unwrap(),
        );
        for (all, most_from_one) in [("0", 1), ("1", 1), ("2", 1), ("7", 6), ("80", 70)] {
            let given = [
                ("max.connections", all),
                ("max.connections.per.ip.overrides", "127.0.0.1:0"),
            ];
            let given = given.map(|(key, value)| (key.to_owned(), value.to_owned()));
            let (config, _) = BrokerConfig::new(given).unwrap();
            let rules = rules(&config, &Limits::default());
            assert_eq!(rules.connections_max, all.parse::<usize>().unwrap().max(1));
            assert_eq!(rules.most_from(stranger), most_from_one, "of {all}");
            assert_eq!(rules.most_from(own), 1);
        }
    }
}
