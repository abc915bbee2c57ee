//! Binds listeners, all or none, before anything else of a start touches the machine.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, ToSocketAddrs};

use socket2::{Domain, Protocol, Socket, Type};

use super::names::{advertised, names};
use super::{AdvertiseSpec, Advertised, Endpoint, ListenHost, Listener, ListenerSpec};
use crate::start::StartError;

/// How many free ports are tried until one is free on both loopback addresses.
const FREE_PORT_TRIES: u32 = 32;

/// Binds every listener of `specs` and gives each what it is advertised as. That they go together
/// is known (`listener_problems`). The machine holds up to `backlog` connections of each until the
/// broker accepts them.
///
/// # Errors
/// The first listener that cannot be bound, with what to do about it; the others are let go.
pub(crate) fn bind(
    specs: &[ListenerSpec],
    advertise: &[AdvertiseSpec],
    backlog: u32,
) -> Result<Vec<(Listener, Vec<TcpListener>)>, StartError> {
    let names = names(specs);
    let backlog = i32::try_from(backlog).unwrap_or(i32::MAX);
    let mut listeners: Vec<(Listener, Vec<TcpListener>)> = Vec::new();
    for (spec, name) in specs.iter().zip(&names) {
        let sockets = bind_one(spec, backlog)?;
        let addresses = sockets
            .iter()
            .map(TcpListener::local_addr)
            .collect::<io::Result<Vec<_>>>()
            .map_err(|source| listen_error(spec, None, source))?;
        let advertised = default_advertised(&addresses);
        let listener = Listener {
            name: name.clone(),
            addresses,
            advertised,
        };
        listeners.push((listener, sockets));
    }
    for spec in advertise {
        let owner = advertised(spec, &names).and_then(|at| listeners.get_mut(at));
        if let Some((listener, _)) = owner {
            listener.advertised = told(spec, &listener.addresses);
        }
    }
    Ok(listeners)
}

/// What clients are told of a listener that is bound to `addresses`.
fn told(spec: &AdvertiseSpec, addresses: &[SocketAddr]) -> Advertised {
    let bound = addresses.first().map_or(0, SocketAddr::port);
    Advertised::Fixed(Endpoint {
        host: spec.host.clone(),
        port: if spec.port == 0 { bound } else { spec.port },
    })
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

fn bind_one(spec: &ListenerSpec, backlog: i32) -> Result<Vec<TcpListener>, StartError> {
    let port = spec.port;
    match &spec.host {
        ListenHost::Loopback => bind_loopback(spec, backlog),
        ListenHost::Any => {
            let six = SocketAddr::from((Ipv6Addr::UNSPECIFIED, port));
            let four = SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
            let socket = match listen(six, backlog) {
                // A machine without IPv6.
                Err(e) if !is_in_use(&e) => {
                    listen(four, backlog).map_err(|e| listen_error(spec, Some(four), e))
                }
                other => other.map_err(|e| listen_error(spec, Some(six), e)),
            }?;
            Ok(vec![socket])
        }
        ListenHost::Address(address) => {
            bind_address(spec, SocketAddr::from((*address, port)), backlog)
        }
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
            bind_address(spec, resolved, backlog)
        }
    }
}

fn bind_address(
    spec: &ListenerSpec,
    address: SocketAddr,
    backlog: i32,
) -> Result<Vec<TcpListener>, StartError> {
    let socket = listen(address, backlog).map_err(|e| listen_error(spec, Some(address), e))?;
    Ok(vec![socket])
}

/// 127.0.0.1 and, where the machine has it, `[::1]`, on the same port.
fn bind_loopback(spec: &ListenerSpec, backlog: i32) -> Result<Vec<TcpListener>, StartError> {
    let mut tries = 0;
    loop {
        tries += 1;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, spec.port));
        let four = listen(address, backlog).map_err(|e| listen_error(spec, Some(address), e))?;
        let port = four
            .local_addr()
            .map_err(|e| listen_error(spec, Some(address), e))?
            .port();
        let address = SocketAddr::from((Ipv6Addr::LOCALHOST, port));
        match listen(address, backlog) {
            Ok(six) => return Ok(vec![four, six]),
            // The port was free on one of the two addresses only: take another.
            Err(e) if is_in_use(&e) && spec.port == 0 && tries < FREE_PORT_TRIES => {}
            Err(e) if is_in_use(&e) => return Err(listen_error(spec, Some(address), e)),
            // A machine without IPv6.
            Err(_) => return Ok(vec![four]),
        }
    }
}

fn listen(address: SocketAddr, backlog: i32) -> io::Result<TcpListener> {
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
    socket.listen(backlog)?;
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
