//! Binds listeners, all or none, before anything else of a start touches the machine.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, ToSocketAddrs};

use socket2::{Domain, Protocol, Socket, Type};

use super::{
    AdvertiseSpec, Advertised, Endpoint, ListenHost, Listener, ListenerSpec, NAME_DEFAULT,
};
use crate::start::StartError;

/// Connections the machine holds until the broker accepts them.
const BACKLOG: i32 = 1024;
/// How many free ports are tried until one is free on both loopback addresses.
const FREE_PORT_TRIES: u32 = 32;

/// Binds every listener of `specs` and gives each what it is advertised as.
///
/// # Errors
/// The first listener that cannot be bound, with what to do about it; the others are let go.
pub(crate) fn bind(
    specs: &[ListenerSpec],
    advertise: &[AdvertiseSpec],
) -> Result<Vec<(Listener, Vec<TcpListener>)>, StartError> {
    let mut listeners: Vec<(Listener, Vec<TcpListener>)> = Vec::new();
    for spec in specs {
        let name = unused_name(spec, &listeners)?;
        let sockets = bind_one(spec)?;
        let addresses = sockets
            .iter()
            .map(TcpListener::local_addr)
            .collect::<io::Result<Vec<_>>>()
            .map_err(|source| listen_error(spec, None, source))?;
        let advertised = default_advertised(&addresses);
        let listener = Listener {
            name,
            addresses,
            advertised,
        };
        listeners.push((listener, sockets));
    }
    for spec in advertise {
        advertise_as(spec, &mut listeners)?;
    }
    Ok(listeners)
}

/// The name of the next listener: its own, or the default with a number where that is taken.
fn unused_name(
    spec: &ListenerSpec,
    listeners: &[(Listener, Vec<TcpListener>)],
) -> Result<String, StartError> {
    let taken = |name: &str| listeners.iter().any(|(l, _)| l.name == name);
    match &spec.name {
        Some(name) if taken(name) => Err(StartError::DuplicateListener { name: name.clone() }),
        Some(name) => Ok(name.clone()),
        None if taken(NAME_DEFAULT) => Ok(format!("{NAME_DEFAULT}_{}", listeners.len() + 1)),
        None => Ok(NAME_DEFAULT.to_owned()),
    }
}

fn advertise_as(
    spec: &AdvertiseSpec,
    listeners: &mut [(Listener, Vec<TcpListener>)],
) -> Result<(), StartError> {
    let listener = listeners
        .iter_mut()
        .map(|(listener, _)| listener)
        .find(|l| spec.name.as_ref().is_none_or(|name| *name == l.name));
    let Some(listener) = listener else {
        return Err(StartError::AdvertiseWithoutListener {
            name: spec.name.clone().unwrap_or_else(|| NAME_DEFAULT.to_owned()),
        });
    };
    let bound = listener.addresses.first().map_or(0, SocketAddr::port);
    listener.advertised = Advertised::Fixed(Endpoint {
        host: spec.host.clone(),
        port: if spec.port == 0 { bound } else { spec.port },
    });
    Ok(())
}

fn default_advertised(addresses: &[SocketAddr]) -> Advertised {
    let port = addresses.first().map_or(0, SocketAddr::port);
    let host = match addresses {
        [one] if one.ip().is_unspecified() => return Advertised::Reached(port),
        [one] => one.ip().to_string(),
        _ => "localhost".to_owned(),
    };
    Advertised::Fixed(Endpoint { host, port })
}

fn bind_one(spec: &ListenerSpec) -> Result<Vec<TcpListener>, StartError> {
    let port = spec.port;
    match &spec.host {
        ListenHost::Loopback => bind_loopback(spec),
        ListenHost::Any => {
            let six = SocketAddr::from((Ipv6Addr::UNSPECIFIED, port));
            let four = SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
            let socket = match listen(six) {
                // A machine without IPv6.
                Err(e) if !is_in_use(&e) => {
                    listen(four).map_err(|e| listen_error(spec, Some(four), e))
                }
                other => other.map_err(|e| listen_error(spec, Some(six), e)),
            }?;
            Ok(vec![socket])
        }
        ListenHost::Address(address) => bind_address(spec, SocketAddr::from((*address, port))),
        ListenHost::Name(name) => {
            let resolved = (name.as_str(), port)
                .to_socket_addrs()
                .and_then(|mut found| {
                    found
                        .next()
                        .ok_or_else(|| io::Error::other("the name has no address"))
                })
                .map_err(|source| StartError::Resolve {
                    host: name.clone(),
                    source,
                })?;
            bind_address(spec, resolved)
        }
    }
}

fn bind_address(spec: &ListenerSpec, address: SocketAddr) -> Result<Vec<TcpListener>, StartError> {
    let socket = listen(address).map_err(|e| listen_error(spec, Some(address), e))?;
    Ok(vec![socket])
}

/// 127.0.0.1 and, where the machine has it, `[::1]`, on the same port.
fn bind_loopback(spec: &ListenerSpec) -> Result<Vec<TcpListener>, StartError> {
    let mut tries = 0;
    loop {
        tries += 1;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, spec.port));
        let four = listen(address).map_err(|e| listen_error(spec, Some(address), e))?;
        let port = four
            .local_addr()
            .map_err(|e| listen_error(spec, Some(address), e))?
            .port();
        let address = SocketAddr::from((Ipv6Addr::LOCALHOST, port));
        match listen(address) {
            Ok(six) => return Ok(vec![four, six]),
            // The port was free on one of the two addresses only: take another.
            Err(e) if is_in_use(&e) && spec.port == 0 && tries < FREE_PORT_TRIES => {}
            Err(e) if is_in_use(&e) => return Err(listen_error(spec, Some(address), e)),
            // A machine without IPv6.
            Err(_) => return Ok(vec![four]),
        }
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    // Connections of a broker that ended a moment ago do not hold the port.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    if let IpAddr::V6(ip) = address.ip() {
        socket.set_only_v6(!ip.is_unspecified())?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn is_in_use(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrInUse
}

fn listen_error(spec: &ListenerSpec, address: Option<SocketAddr>, source: io::Error) -> StartError {
    match address {
        Some(address) if is_in_use(&source) => StartError::PortInUse {
            address,
            next: SocketAddr::new(address.ip(), address.port().checked_add(1).unwrap_or(0)),
        },
        _ => StartError::Listen {
            spec: spec.to_string(),
            source,
        },
    }
}
