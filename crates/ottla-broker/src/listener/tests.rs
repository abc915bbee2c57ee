use std::net::Ipv4Addr;

use super::*;
use crate::options::{BrokerOptions, Storage};
use crate::session::Principal;
use crate::settings::InvalidSettings;
use crate::start::{StartError, start_blocking};

fn spec(text: &str) -> ListenerSpec {
    text.parse().unwrap()
}

#[test]
fn specs_are_read() {
    assert_eq!(spec("localhost:9092"), ListenerSpec::loopback(9092));
    assert_eq!(spec(":9092").host, ListenHost::Any);
    assert_eq!(spec("*:9092").host, ListenHost::Any);
    assert_eq!(spec("[::]:0").host, ListenHost::Any);
    assert_eq!(
        spec("0.0.0.0:9092").host,
        ListenHost::Address(Ipv4Addr::UNSPECIFIED.into())
    );
    assert_eq!(
        spec("[::1]:9092").host,
        ListenHost::Address("::1".parse().unwrap())
    );
    let named = spec("INSIDE://broker-1.example:19092");
    assert_eq!(named.name.as_deref(), Some("INSIDE"));
    assert_eq!(named.host, ListenHost::Name("broker-1.example".to_owned()));
    assert_eq!(named.to_string(), "INSIDE://broker-1.example:19092");
}

#[test]
fn wrong_specs_say_why() {
    for (text, why) in [
        ("localhost", "port is missing"),
        ("localhost:70000", "0 to 65535"),
        ("::1:9092", "brackets"),
        ("[::1:9092", "not closed"),
        ("9://a:1", "name"),
        ("a b:1", "character"),
    ] {
        let error = text.parse::<ListenerSpec>().unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }
    for text in [":9092", "0.0.0.0:9092", "*:1"] {
        assert!(text.parse::<AdvertiseSpec>().is_err(), "{text} passed");
    }
}

#[test]
fn loopbacks_are_advertised_as_localhost() {
    let bound = bind(&[ListenerSpec::loopback(0)], &[], 16).unwrap();
    let (listener, sockets) = &bound[0];
    let port = listener.addresses[0].port();
    assert_ne!(port, 0);
    assert!(listener.addresses.iter().all(|a| a.port() == port));
    assert_eq!(listener.addresses.len(), sockets.len());
    let host = if sockets.len() == 2 {
        "localhost"
    } else {
        "127.0.0.1"
    };
    let expected = Endpoint {
        host: host.to_owned(),
        port,
    };
    assert_eq!(listener.endpoint_for(&Session::in_process()), expected);
}

#[test]
fn one_address_is_advertised_as_it_is() {
    let bound = bind(&[spec("127.0.0.1:0")], &[], 16).unwrap();
    assert_eq!(
        bound[0].0.endpoint_for(&Session::in_process()).host,
        "127.0.0.1"
    );
}

#[test]
fn every_address_is_advertised_as_the_one_reached() {
    let bound = bind(&[spec(":0")], &[], 16).unwrap();
    let listener = &bound[0].0;
    let reached = "[::ffff:192.0.2.7]:1".parse().unwrap();
    let peer = (Ipv4Addr::new(192, 0, 2, 9), 5).into();
    let session = Session::new(Principal::anonymous(), 0, peer, reached);
    let endpoint = listener.endpoint_for(&session);
    assert_eq!(endpoint.host, "192.0.2.7");
    assert_eq!(endpoint.port, listener.addresses[0].port());
}

#[test]
fn every_ipv4_address_is_no_ipv6_address() {
    let bound = bind(&[spec("0.0.0.0:0")], &[], 16).unwrap();
    let (listener, sockets) = &bound[0];
    assert!(sockets.iter().all(|s| s.local_addr().unwrap().is_ipv4()));
    assert!(listener.advertises_reached());
    let both = bind(&[spec("*:0")], &[], 16).unwrap();
    assert!(both[0].0.advertises_reached());
    let one = bind(&[spec("127.0.0.1:0")], &[], 16).unwrap();
    assert!(!one[0].0.advertises_reached());
}

#[test]
fn an_advertised_address_wins() {
    let specs = [spec("A://127.0.0.1:0"), spec("B://127.0.0.1:0")];
    let advertise = ["B://example.org:0".parse().unwrap()];
    let bound = bind(&specs, &advertise, 16).unwrap();
    let endpoint = bound[1].0.endpoint_for(&Session::in_process());
    assert_eq!(endpoint.host, "example.org");
    assert_eq!(endpoint.port, bound[1].0.addresses[0].port());
}

#[test]
fn a_port_in_use_is_named_with_the_way_out() {
    let held = bind(&[spec("127.0.0.1:0")], &[], 16).unwrap();
    let port = held[0].0.addresses[0].port();
    let error = bind(&[spec(&format!("127.0.0.1:{port}"))], &[], 16).unwrap_err();
    let text = error.to_string();
    assert!(
        text.starts_with(&format!("127.0.0.1:{port} is in use (another Kafka?)")),
        "{text}"
    );
}

#[test]
fn each_listener_has_its_name() {
    let bound = bind(&[spec("127.0.0.1:0"), spec("127.0.0.1:0")], &[], 16).unwrap();
    assert_eq!(bound[0].0.name, "PLAINTEXT");
    assert_eq!(bound[1].0.name, "PLAINTEXT_2");
}

#[test]
fn what_does_not_go_together_is_refused_before_anything_is_bound() {
    let held = bind(&[spec("127.0.0.1:0")], &[], 16).unwrap();
    let taken = format!("A://{}", held[0].0.addresses[0]);
    let mut options = BrokerOptions::new(Storage::InMemory);
    options.listen = vec![spec(&taken), spec("A://127.0.0.1:0")];
    options.advertise = vec!["B://example.org:1".parse().unwrap()];
    let Err(StartError::Settings(InvalidSettings { problems })) = start_blocking(options) else {
        panic!("binding A would have failed first");
    };
    assert_eq!(problems.len(), 2, "{problems:?}");
}
