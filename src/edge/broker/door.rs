//! The door to the embedded broker: TLS, certificates of the store's own authority, and what each member may say and hear.
//!
//! rumqttd knows certificates but no access lists, and rmqtt, which has both, takes four minutes of two cores to build. So
//! rumqttd stays on loopback, and whoever comes from elsewhere comes through here: what a client sends is read packet by
//! packet and handed on unchanged if it may be said.
//!
//! A client whose certificate or client id is not right is refused by the CONNACK that MQTT has for it. One that breaks the
//! rules later is cut off, for MQTT 3.1.1 has no other answer, and the log says why.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::BytesMut;
use rumqttc::mqttbytes::{self, v4};
use rustls::ServerConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::{CONNECTIONS_MAX, PACKET_BYTES_MAX};
use crate::edge::credentials::{Credentials, Identity, Who};
use crate::edge::home_assistant;
use crate::edge::wire::{self, Kind};

/// How long a client may take to show who it is.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often the list of what is revoked is looked at.
const REVOKED_EVERY: Duration = Duration::from_secs(2);

/// Lets members of the store in to the broker at `inner`, until it is dropped.
pub(super) async fn keep(listener: TcpListener, credentials: Credentials, inner: SocketAddr) {
    let rules = match credentials.server() {
        Ok(rules) => rules,
        Err(error) => return tracing::error!("nobody gets to the broker: {error}"),
    };
    let rules = watch::Sender::new(rules);
    let here = Arc::new(Here {
        store: credentials.identity.store.clone(),
        inner,
        seats: Arc::new(Semaphore::new(CONNECTIONS_MAX)),
    });
    tokio::join!(
        accept(&listener, &rules, &here),
        watch_revoked(&credentials, &rules)
    );
}

/// What every connection has to know.
#[derive(Debug)]
struct Here {
    store: String,
    inner: SocketAddr,
    seats: Arc<Semaphore>,
}

async fn accept(
    listener: &TcpListener,
    rules: &watch::Sender<Arc<ServerConfig>>,
    here: &Arc<Here>,
) {
    loop {
        let (stream, from) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // Too many open files, for example: it may pass.
                tracing::warn!("a connection to the broker cannot be taken: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let Ok(seat) = Arc::clone(&here.seats).try_acquire_owned() else {
            tracing::warn!("{from} is turned away: {CONNECTIONS_MAX} clients are connected");
            continue;
        };
        let (here, mut rules) = (Arc::clone(here), rules.subscribe());
        tokio::spawn(async move {
            let config = rules.borrow_and_update().clone();
            let passed = tokio::select! {
                passed = pass(stream, config, &here) => passed,
                // Whoever is still good comes back at once.
                _ = rules.changed() => Ok(()),
            };
            if let Err(refused) = passed {
                tracing::warn!("{from}: {refused}");
            }
            drop(seat);
        });
    }
}

/// Has everybody show their certificates again when the list of what is revoked has changed.
async fn watch_revoked(credentials: &Credentials, rules: &watch::Sender<Arc<ServerConfig>>) {
    let written = || -> Option<SystemTime> {
        let meta = std::fs::metadata(credentials.revoked_file()).ok()?;
        meta.modified().ok()
    };
    let mut known = written();
    let mut look = tokio::time::interval(REVOKED_EVERY);
    loop {
        look.tick().await;
        let now = written();
        if now == known {
            continue;
        }
        match credentials.server() {
            Ok(anew) => {
                known = now;
                rules.send_replace(anew);
            }
            Err(error) => tracing::error!("what is revoked stays as it was: {error}"),
        }
    }
}

/// Why a client is refused or cut off.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refused {
    #[error("it did not show in time who it is")]
    Slow,
    #[error("no member of the store by its certificate: {0}")]
    Stranger(String),
    #[error("{0} may not be `{1}`")]
    ClientId(Identity, String),
    #[error("{0} may not publish to {1}")]
    Publish(Identity, String),
    #[error("{0} may not hear {1}")]
    Subscribe(Identity, String),
    #[error("{0} breaks the rules of MQTT 3.1.1: {1}")]
    Protocol(Identity, String),
    #[error("the connection broke off: {0}")]
    Io(#[from] std::io::Error),
}

/// One client, from its first byte to its last.
async fn pass(stream: TcpStream, config: Arc<ServerConfig>, here: &Here) -> Result<(), Refused> {
    stream.set_nodelay(true)?;
    let shaken = timeout(PATIENCE, TlsAcceptor::from(config).accept(stream)).await;
    let mut client = match shaken {
        Err(_) => return Err(Refused::Slow),
        Ok(Err(error)) => return Err(Refused::Stranger(error.to_string())),
        Ok(Ok(client)) => client,
    };
    let certificates = client.get_ref().1.peer_certificates();
    let identity = (certificates.and_then(|c| c.first()))
        .and_then(Identity::of)
        .filter(|identity| identity.store == here.store)
        .ok_or_else(|| Refused::Stranger("it is of another store".to_owned()))?;
    let mut unread = BytesMut::new();
    let first = match timeout(PATIENCE, next(&mut client, &mut unread, &identity)).await {
        Err(_) => return Err(Refused::Slow),
        Ok(frame) => frame?,
    };
    let Some(first) = first else {
        return Ok(());
    };
    if let Err(refused) = may_connect(&identity, &first) {
        let mut answer = BytesMut::new();
        let no = v4::ConnAck::new(v4::ConnectReturnCode::NotAuthorized, false);
        if no.write(&mut answer).is_ok() {
            client.write_all(&answer).await?;
            client.shutdown().await?;
        }
        return Err(refused);
    }
    let mut broker = TcpStream::connect(here.inner).await?;
    broker.set_nodelay(true)?;
    broker.write_all(&first).await?;
    let (mut from_client, mut to_client) = tokio::io::split(client);
    let (mut from_broker, mut to_broker) = broker.split();
    let up = async {
        while let Some(frame) = next(&mut from_client, &mut unread, &identity).await? {
            may_send(&identity, &frame)?;
            to_broker.write_all(&frame).await?;
        }
        Ok(())
    };
    let down = async {
        tokio::io::copy(&mut from_broker, &mut to_client).await?;
        Ok(to_client.shutdown().await?)
    };
    tokio::select! {
        ended = up => ended,
        ended = down => ended,
    }
}

/// The next packet as it was sent; `None` at the end.
async fn next(
    client: &mut (impl AsyncReadExt + Unpin),
    unread: &mut BytesMut,
    identity: &Identity,
) -> Result<Option<BytesMut>, Refused> {
    loop {
        match mqttbytes::check(unread.iter(), PACKET_BYTES_MAX) {
            Ok(header) => return Ok(Some(unread.split_to(header.frame_length()))),
            Err(mqttbytes::Error::InsufficientBytes(_)) => {}
            Err(error) => {
                return Err(Refused::Protocol(identity.clone(), error.to_string()));
            }
        }
        if client.read_buf(unread).await? == 0 {
            return Ok(None);
        }
    }
}

fn read(identity: &Identity, frame: &BytesMut) -> Result<v4::Packet, Refused> {
    v4::Packet::read(&mut frame.clone(), PACKET_BYTES_MAX)
        .map_err(|error| Refused::Protocol(identity.clone(), error.to_string()))
}

/// Whether a connection may begin so: under the member's own client id, and with a last word that it may say.
fn may_connect(identity: &Identity, frame: &BytesMut) -> Result<(), Refused> {
    let v4::Packet::Connect(connect) = read(identity, frame)? else {
        let why = "it does not begin with CONNECT".to_owned();
        return Err(Refused::Protocol(identity.clone(), why));
    };
    if connect.client_id != client_id(identity) {
        return Err(Refused::ClientId(identity.clone(), connect.client_id));
    }
    match connect.last_will {
        Some(will) => may_publish(identity, &will.topic),
        None => Ok(()),
    }
}

/// What a member calls itself: a broker ends the older of two connections of one name, so nobody may use another's.
pub(crate) fn client_id(identity: &Identity) -> String {
    let store = &identity.store;
    match &identity.who {
        Who::Coordinator => wire::coordinator_client_id(store),
        Who::Node(node) => wire::node_client_id(store, node),
    }
}

fn may_send(identity: &Identity, frame: &BytesMut) -> Result<(), Refused> {
    match read(identity, frame)? {
        v4::Packet::Publish(publish) => may_publish(identity, &publish.topic),
        v4::Packet::Subscribe(subscribe) => {
            (subscribe.filters.iter()).try_for_each(|filter| may_hear(identity, &filter.path))
        }
        v4::Packet::PubAck(_)
        | v4::Packet::PubRec(_)
        | v4::Packet::PubRel(_)
        | v4::Packet::PubComp(_)
        | v4::Packet::Unsubscribe(_)
        | v4::Packet::PingReq
        | v4::Packet::Disconnect => Ok(()),
        v4::Packet::Connect(_)
        | v4::Packet::ConnAck(_)
        | v4::Packet::SubAck(_)
        | v4::Packet::UnsubAck(_)
        | v4::Packet::PingResp => {
            let why = "that is not for a client to say now".to_owned();
            Err(Refused::Protocol(identity.clone(), why))
        }
    }
}

/// A node speaks under its own name, and never for the coordinator; kinds that this version does not know yet are a newer
/// node's.
fn may_publish(identity: &Identity, topic: &str) -> Result<(), Refused> {
    let is_plain = !topic.contains(['+', '#']);
    let may = match &identity.who {
        Who::Coordinator => topic.starts_with(&wire::prefix_of_store(&identity.store)),
        Who::Node(node) => {
            let own = wire::prefix(&identity.store, node);
            let kind = topic.strip_prefix(&own);
            kind.is_some_and(|kind| {
                !Kind::ALL
                    .iter()
                    .any(|k| k.is_for_node() && k.path() == kind)
            }) || topic
                == home_assistant::config_topic(home_assistant::PREFIX, &identity.store, node)
        }
    };
    match may && is_plain {
        true => Ok(()),
        false => Err(Refused::Publish(identity.clone(), topic.to_owned())),
    }
}

/// A node hears what is committed of its own, its gate's orders, what the broker keeps as its status, and when Home
/// Assistant has come.
fn may_hear(identity: &Identity, filter: &str) -> Result<(), Refused> {
    let may = match &identity.who {
        Who::Coordinator => filter.starts_with(&wire::prefix_of_store(&identity.store)),
        Who::Node(node) => {
            let own = [Kind::Committed, Kind::Status, Kind::Order];
            own.iter()
                .any(|kind| filter == wire::topic(&identity.store, node, *kind))
                || filter == home_assistant::birth_topic(home_assistant::PREFIX)
        }
    };
    match may {
        true => Ok(()),
        false => Err(Refused::Subscribe(identity.clone(), filter.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(who: Who) -> Identity {
        Identity {
            store: "corner".to_owned(),
            who,
        }
    }

    #[test]
    fn a_node_speaks_under_its_own_name_and_hears_what_is_committed_of_it() {
        let shelf = identity(Who::Node("shelf".into()));
        let coordinator = identity(Who::Coordinator);
        for (who, topic, publish, hear) in [
            (
                &shelf,
                "stroll/v1/corner/shelf/observation/shelf",
                true,
                false,
            ),
            (
                &shelf,
                "stroll/v1/corner/shelf/observation/of-a-newer-node",
                true,
                false,
            ),
            (&shelf, "stroll/v1/corner/shelf/status", true, true),
            (&shelf, "stroll/v1/corner/shelf/committed", false, true),
            (&shelf, "stroll/v1/corner/shelf/order", false, true),
            (&shelf, "stroll/v1/corner/gate/order", false, false),
            (&shelf, "stroll/v1/corner/shelf/loads", true, false),
            (
                &shelf,
                "homeassistant/device/stroll_corner_shelf/config",
                true,
                false,
            ),
            (
                &shelf,
                "homeassistant/device/stroll_corner_gate/config",
                false,
                false,
            ),
            (&shelf, "homeassistant/status", false, true),
            (
                &shelf,
                "stroll/v1/corner/gate/observation/gate",
                false,
                false,
            ),
            (&shelf, "stroll/v1/corner/shelf-2/status", false, false),
            (&shelf, "stroll/v1/other/shelf/status", false, false),
            (&shelf, "stroll/v1/corner/+/committed", false, false),
            (&shelf, "stroll/v1/corner/shelf/#", false, false),
            (&shelf, "#", false, false),
            (&coordinator, "stroll/v1/corner/shelf/committed", true, true),
            (&coordinator, "stroll/v1/corner/+/#", false, true),
            (&coordinator, "stroll/v1/other/+/#", false, false),
            (&coordinator, "#", false, false),
        ] {
            assert_eq!(
                may_publish(who, topic).is_ok(),
                publish,
                "{who} publishes {topic}"
            );
            assert_eq!(may_hear(who, topic).is_ok(), hear, "{who} hears {topic}");
        }
    }

    fn frame(packet: &v4::Packet) -> BytesMut {
        let mut bytes = BytesMut::new();
        packet.write(&mut bytes, PACKET_BYTES_MAX).unwrap();
        bytes
    }

    #[test]
    fn a_connection_begins_under_the_members_own_name() {
        let shelf = identity(Who::Node("shelf".into()));
        let connect = |id: &str, will: Option<&str>| {
            let mut connect = v4::Connect::new(id);
            connect.last_will =
                will.map(|topic| v4::LastWill::new(topic, "", mqttbytes::QoS::AtLeastOnce, true));
            frame(&v4::Packet::Connect(connect))
        };
        let own = "stroll:corner:node:shelf";
        for (begins, refused) in [
            (connect(own, None), None),
            (connect(own, Some("stroll/v1/corner/shelf/status")), None),
            (
                connect(own, Some("stroll/v1/corner/gate/status")),
                Some("stroll:corner/node/shelf may not publish to stroll/v1/corner/gate/status"),
            ),
            (
                connect("stroll:corner:node:gate", None),
                Some("stroll:corner/node/shelf may not be `stroll:corner:node:gate`"),
            ),
            (
                frame(&v4::Packet::PingReq),
                Some(
                    "stroll:corner/node/shelf breaks the rules of MQTT 3.1.1: it does not begin with CONNECT",
                ),
            ),
        ] {
            let said = may_connect(&shelf, &begins)
                .err()
                .map(|error| error.to_string());
            assert_eq!(said.as_deref(), refused);
        }
    }

    #[tokio::test]
    async fn packets_are_handed_on_as_they_came_however_they_arrive() {
        let shelf = identity(Who::Node("shelf".into()));
        let publish = v4::Publish::new("a/b", mqttbytes::QoS::AtMostOnce, "payload");
        let (one, two) = (
            frame(&v4::Packet::PingReq),
            frame(&v4::Packet::Publish(publish)),
        );
        let sent = [&one[..], &two[..], &one[..]].concat();
        let mut pieces = byte_by_byte(&sent);
        let mut unread = BytesMut::new();
        let mut got = Vec::new();
        while let Some(frame) = next(&mut pieces, &mut unread, &shelf).await.unwrap() {
            got.push(frame);
        }
        assert_eq!(got, [one.clone(), two, one]);
        let huge = [0x30, 0xff, 0xff, 0xff, 0x7f];
        let refused = next(&mut &huge[..], &mut BytesMut::new(), &shelf).await;
        assert!(matches!(refused, Err(Refused::Protocol(..))), "{refused:?}");
    }

    /// A reader that gives a byte at a time.
    fn byte_by_byte(bytes: &[u8]) -> impl AsyncReadExt + Unpin + use<> {
        let (mut writer, reader) = tokio::io::duplex(1);
        let bytes = bytes.to_vec();
        tokio::spawn(async move { writer.write_all(&bytes).await });
        reader
    }
}
