use super::*;

fn config(settings: &[(&str, &str)]) -> Result<Vec<&'static str>, Vec<ConfigProblem>> {
    let owned = settings
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    BrokerConfig::new(owned)
        .map(|(_, warnings)| warnings.into_iter().map(|warning| warning.why).collect())
}

fn problems(settings: &[(&str, &str)]) -> Vec<String> {
    config(settings)
        .unwrap_err()
        .iter()
        .map(ToString::to_string)
        .collect()
}

#[test]
fn tables_are_sorted_and_every_default_is_allowed() {
    for table in TABLES {
        assert!(table.is_sorted_by_key(|def| def.name));
        for def in table {
            assert!(unsupported::find(def.name, "?").is_none(), "{}", def.name);
            if let Some(default) = def.default {
                def.parse(default).unwrap();
            }
        }
    }
    let all = broker_defs();
    assert!(all.windows(2).all(|pair| pair[0].name < pair[1].name));
    assert!(all.iter().all(|def| broker_def(def.name).is_some()));
}

#[test]
fn all_problems_are_reported_at_once() {
    assert_eq!(
        problems(&[
            ("num.partitions", "0"),
            ("num.partition", "1"),
            ("message.max.bytes", "1MB"),
            ("ssl.keystore.location", "/secret"),
            ("log.retention.hours", "24"),
        ]),
        [
            "Invalid value 1MB for configuration message.max.bytes: Not a number of type INT",
            "unknown configuration key \"num.partition\"",
            "Invalid value 0 for configuration num.partitions: Value must be at least 1",
            "\"ssl.keystore.location\" asks for security that Ottla does not implement; remove \
             it to start without",
        ]
    );
}

#[test]
fn what_does_not_go_together_is_refused() {
    assert_eq!(
        problems(&[
            ("log.retention.ms", "0"),
            ("log.roll.ms", "0"),
            ("log.cleaner.min.compaction.lag.ms", "10"),
            ("log.cleaner.max.compaction.lag.ms", "9"),
            ("node.id", "1"),
            ("broker.id", "2"),
            ("log.dirs", "/a,/b"),
        ]),
        [
            "log.retention.ms is 0; it must be at least 1, or -1 for no bound",
            "log.roll.ms is 0; it must be at least 1",
            "log.cleaner.min.compaction.lag.ms (10) is over log.cleaner.max.compaction.lag.ms (9)",
            "broker.id (2) is an older name of node.id (1); give one of them",
            "log.dirs names 2 directories; one is supported",
        ]
    );
    assert_eq!(config(&[("log.retention.ms", "-1")]).unwrap().len(), 0);
}

#[test]
fn security_refuses_to_start_unless_it_says_open() {
    for open in [
        ("authorizer.class.name", ""),
        ("security.inter.broker.protocol", "PLAINTEXT"),
        ("connections.max.reauth.ms", "0"),
    ] {
        assert_eq!(config(&[open]).unwrap().len(), 1, "{open:?}");
    }
    for closed in [
        ("authorizer.class.name", "org.example.Mine"),
        ("security.inter.broker.protocol", "SSL"),
        ("super.users", "User:a"),
        ("sasl.enabled.mechanisms", "PLAIN"),
        ("listener.name.internal.ssl.client.auth", "required"),
        ("delegation.token.secret.key", "k"),
    ] {
        let problems = config(&[closed]).unwrap_err();
        assert!(
            matches!(&problems[..], [ConfigProblem::Security { key }] if key == closed.0),
            "{closed:?}: {problems:?}"
        );
    }
}

#[test]
fn a_key_without_effect_says_why() {
    for (key, value, why) in [
        (
            "num.io.threads",
            "8",
            "the number of threads follows the machine",
        ),
        (
            "remote.log.storage.system.enable",
            "true",
            "there is no tiered storage",
        ),
        ("group.share.max.size", "10", "there are no share groups"),
        (
            "create.topic.policy.class.name",
            "x.Y",
            "there are no plug-in classes",
        ),
    ] {
        assert_eq!(config(&[(key, value)]).unwrap(), [why]);
    }
    assert_eq!(config(&[("num.partitions", "3")]).unwrap(), [] as [&str; 0]);
}

#[test]
fn dynamic_updates_are_refused_in_kafkas_words() {
    assert_eq!(dynamic_refusal("log.retention.ms", false), None);
    assert_eq!(
        dynamic_refusal("listeners", true).as_deref(),
        Some(
            "Listeners cannot be changed while the broker runs; restart it with them: [listeners]"
        )
    );
    for (key, per_broker, refusal) in [
        (
            "num.partitions",
            true,
            "Cannot update these configs dynamically: [num.partitions]",
        ),
        (
            "listeners",
            false,
            "Cannot update these configs at default cluster level, broker id must be specified: \
             [listeners]",
        ),
        (
            "no.such.key",
            true,
            "Unknown broker config name: no.such.key",
        ),
        (
            "ssl.keystore.type",
            true,
            "Security is not implemented; this config cannot be set: [ssl.keystore.type]",
        ),
    ] {
        assert_eq!(dynamic_refusal(key, per_broker).as_deref(), Some(refusal));
    }
}

#[test]
fn known_keys_have_no_doubles() {
    let known = known_broker_keys();
    assert!(known.windows(2).all(|pair| pair[0] < pair[1]));
    assert!(known.contains(&"authorizer.class.name") && known.contains(&"num.partitions"));
}
