use super::*;

fn gather(file: &str, pairs: &[&str]) -> Result<Settings, InvalidSettings> {
    let pairs: Vec<String> = pairs.iter().map(ToString::to_string).collect();
    Settings::gather(Some(("server.properties", file)), &pairs)
}

#[test]
fn all_problems_are_told_at_once() {
    let file = "num.partitons=3\nnum.partitions=0\nssl.keystore.location=/k\n";
    let problems = gather(file, &["nonsense"]).unwrap_err().problems;
    assert_eq!(problems.len(), 4, "{problems:?}");
    assert!(
        problems[0].contains("\"nonsense\" is not of the form"),
        "{problems:?}"
    );
    let all = problems.join("\n");
    assert!(all.contains("server.properties:1: "), "{all}");
    assert!(all.contains("did you mean \"num.partitions\"?"), "{all}");
    assert!(
        all.contains("server.properties:2: Invalid value 0"),
        "{all}"
    );
    assert!(all.contains("security"), "{all}");
}

#[test]
fn a_pair_goes_before_the_file() {
    let settings = gather("num.partitions=3\n", &["num.partitions=5"]).unwrap();
    assert_eq!(settings.config.text("num.partitions"), Some("5"));
}

#[test]
fn a_key_like_no_other_gets_no_suggestion() {
    let problems = gather("", &["zzz=1"]).unwrap_err().problems;
    assert!(!problems[0].contains("did you mean"), "{problems:?}");
}

#[test]
fn a_stock_kafka_file_starts() {
    let file = "process.roles=broker,controller\nnode.id=7\n\
                controller.quorum.bootstrap.servers=localhost:9093\n\
                listeners=PLAINTEXT://:9092,CONTROLLER://:9093\n\
                inter.broker.listener.name=PLAINTEXT\n\
                advertised.listeners=PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093\n\
                controller.listener.names=CONTROLLER\n\
                listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL\n\
                num.network.threads=3\nsocket.request.max.bytes=1000000\n\
                log.dirs=/var/lib/kafka\nlog.retention.hours=168\n";
    let settings = gather(file, &[]).unwrap();
    assert_eq!(settings.listen, ["PLAINTEXT://:9092".parse().unwrap()]);
    assert_eq!(
        settings.advertise,
        ["PLAINTEXT://localhost:9092".parse().unwrap()]
    );
    assert_eq!(settings.data, Some(PathBuf::from("/var/lib/kafka")));
    assert_eq!(settings.node_id, Some(7));
    assert_eq!(settings.limits.request_bytes_max, 1_000_000);
    assert!(
        settings
            .warnings
            .iter()
            .any(|w| w.starts_with("num.network.threads")),
        "{settings:?}"
    );
}

#[test]
fn a_secure_listener_is_refused_and_not_ignored() {
    for pair in ["listeners=SSL://:9093", "listeners=SASL_PLAINTEXT://:9093"] {
        let problems = gather("", &[pair]).unwrap_err().problems;
        assert!(problems[0].contains("does not implement"), "{problems:?}");
    }
    let map = "listener.security.protocol.map=OUT:SSL";
    assert!(gather("", &["listeners=OUT://:9093", map]).is_err());
}

#[test]
fn limits_are_changed_only_by_what_was_given() {
    assert_eq!(gather("", &[]).unwrap().limits, Limits::default());
    let settings = gather("", &["max.connections=7", "connections.max.idle.ms=1500"]).unwrap();
    assert_eq!(settings.limits.connections_max, 7);
    assert_eq!(settings.limits.idle_timeout, Duration::from_millis(1500));
}

#[test]
fn bounds_of_connections_are_taken_without_a_warning() {
    let pairs = [
        "max.connection.creation.rate=9",
        "max.connections.per.ip.overrides=192.0.2.1:3",
        "socket.listen.backlog.size=5",
        "connections.max.idle.ms=-1",
        "metadata.log.segment.bytes=8388608",
        "producer.id.expiration.ms=60000",
    ];
    let settings = gather("", &pairs).unwrap();
    assert_eq!(settings.warnings, [] as [&str; 0]);
    let limits = settings.limits;
    assert_eq!((limits.connection_rate_max, limits.listen_backlog), (9, 5));
    let address = "192.0.2.1".parse().unwrap();
    assert_eq!(
        limits.connections_per_address_overrides,
        [(address, 3)].into()
    );
    let year = Duration::from_secs(365 * 24 * 60 * 60);
    assert!(limits.idle_timeout > 100 * year, "-1 is for ever");

    let pair = "max.connections.per.ip.overrides=example:3";
    let problems = gather("", &[pair]).unwrap_err().problems;
    assert!(problems[0].contains("ADDRESS:COUNT"), "{problems:?}");
}
