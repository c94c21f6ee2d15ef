//! What both links share: one task that keeps a connection, reconnects, and paces what goes out.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use rumqttc::{
    AsyncClient, ConnectReturnCode, ConnectionError, Event, EventLoop, LastWill, MqttOptions,
    NetworkOptions, Outgoing, Packet, Publish, QoS, StateError, SubscribeFilter,
    SubscribeReasonCode, TlsConfiguration, TlsError, Transport,
};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior};

use super::{BrokerUrl, LinkError, LinkState};
use crate::edge::credentials::ClientTls;
use crate::edge::wire::{Encoded, PAYLOAD_BYTES_MAX};

/// Messages under way to the broker that it has not acknowledged.
const INFLIGHT_MAX: u16 = 100;
/// The requests of one connection: the messages under way, and a subscription and a goodbye.
const REQUESTS_MAX: usize = INFLIGHT_MAX as usize + 8;
/// How often a side looks at its timers.
const TICK: Duration = Duration::from_millis(100);
/// A broker that hears nothing for one and a half of these takes the client for dead.
const KEEP_ALIVE: Duration = Duration::from_secs(5);
/// Longest wait for a connection or for one write, seconds.
const NETWORK_TIMEOUT_S: u64 = 5;

/// The part of a link that the node's end and the coordinator's end do differently.
pub(super) trait Side: Send + 'static {
    /// What it subscribes to.
    fn filters(&self) -> Vec<String>;
    /// A connection begins: what an earlier one had under way is forgotten.
    fn connected(&mut self);
    /// A message arrived. An error ends the link.
    fn received(&mut self, publish: Publish) -> impl Future<Output = Result<(), String>> + Send;
    /// Returns when there may be something to do; dropped and called again at any time.
    fn wait(&mut self) -> impl Future<Output = ()> + Send;
    /// Looks at its timers.
    fn tick(&mut self);
    /// Sends what there is room for. An error ends the link.
    fn pump(&mut self, out: &mut Out) -> impl Future<Output = Result<(), String>> + Send;
    /// Whether it has room for another message.
    fn takes_more(&self) -> bool;
    /// Whether it was told to close.
    fn is_closing(&self) -> bool;
    /// Whether, closing, it has said everything.
    fn has_said_all(&self) -> bool;
}

/// The way out: counts what is under way.
pub(super) struct Out {
    client: AsyncClient,
    up: bool,
    unacknowledged: usize,
    goodbye_said: bool,
}

impl Out {
    /// Whether a message may be sent now.
    pub(super) fn has_room(&self) -> bool {
        self.up && self.unacknowledged < usize::from(INFLIGHT_MAX)
    }

    /// Hands a message to the connection. Only when [`Out::has_room`].
    pub(super) fn send(&mut self, message: Encoded) -> Result<(), String> {
        self.client
            .try_publish(message.topic, message.qos, message.retain, message.payload)
            .map_err(|error| format!("a message cannot be handed over: {error}"))?;
        self.unacknowledged += 1;
        Ok(())
    }

    fn begin(&mut self, filters: Vec<String>) -> Result<(), String> {
        self.up = true;
        self.unacknowledged = 0;
        self.client
            .try_subscribe_many(
                filters
                    .into_iter()
                    .map(|filter| SubscribeFilter::new(filter, QoS::AtLeastOnce)),
            )
            .map_err(|error| format!("a subscription cannot be handed over: {error}"))
    }

    fn say_goodbye(&mut self) -> Result<(), String> {
        if !self.goodbye_said {
            self.goodbye_said = true;
            self.client
                .try_disconnect()
                .map_err(|error| format!("the goodbye cannot be handed over: {error}"))?;
        }
        Ok(())
    }
}

/// A connection to be driven.
pub(super) struct Line {
    broker: BrokerUrl,
    client_id: String,
    options: MqttOptions,
    out: Out,
    eventloop: EventLoop,
    state: watch::Sender<LinkState>,
    /// The first connection has been made.
    was_up: bool,
}

impl Line {
    /// A line that is not connected yet; `will` is what the broker says if it breaks off.
    pub(super) fn new(
        broker: &BrokerUrl,
        tls: Option<&ClientTls>,
        client_id: String,
        will: Option<Encoded>,
    ) -> Self {
        let mut options = MqttOptions::new(&client_id, &broker.host, broker.port);
        options
            .set_clean_session(true)
            .set_keep_alive(KEEP_ALIVE)
            .set_inflight(INFLIGHT_MAX)
            .set_max_packet_size(2 * PAYLOAD_BYTES_MAX, 2 * PAYLOAD_BYTES_MAX);
        if let Some((user, password)) = &broker.login {
            options.set_credentials(user, password);
        }
        if let Some(tls) = tls {
            let configuration = TlsConfiguration::Rustls(tls.config());
            options.set_transport(Transport::tls_with_config(configuration));
        }
        if let Some(will) = will {
            options.set_last_will(LastWill::new(
                will.topic,
                will.payload,
                will.qos,
                will.retain,
            ));
        }
        let (client, eventloop) = client(options.clone());
        Line {
            broker: broker.clone(),
            client_id,
            options,
            out: Out {
                client,
                up: false,
                unacknowledged: 0,
                goodbye_said: false,
            },
            eventloop,
            state: watch::Sender::new(LinkState::Connecting),
            was_up: false,
        }
    }

    /// Follows the state of the line.
    pub(super) fn state(&self) -> watch::Receiver<LinkState> {
        self.state.subscribe()
    }

    /// Runs the line until it is closed or cannot go on.
    pub(super) async fn drive<S: Side>(mut self, mut side: S) {
        let reason = self.run(&mut side).await.err();
        if let Some(reason) = &reason {
            // Whoever owns the link is told by its state, and by whatever it does with it next.
            tracing::info!(
                "the link of `{}` to broker {} has ended: {reason}",
                self.client_id,
                self.broker
            );
        }
        self.state.send_replace(LinkState::Ended { reason });
    }

    async fn run<S: Side>(&mut self, side: &mut S) -> Result<(), String> {
        let mut backoff = Backoff::default();
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let polled = {
                // rumqttc may lose a packet when a poll is given up halfway, so this one is kept until it is done.
                let mut poll = pin!(self.eventloop.poll());
                loop {
                    tokio::select! {
                        polled = &mut poll, if side.takes_more() => break polled,
                        () = side.wait() => {}
                        _ = tick.tick() => side.tick(),
                    }
                    side.pump(&mut self.out).await?;
                    if side.is_closing() {
                        if !self.out.up {
                            return Ok(());
                        }
                        if side.has_said_all() && self.out.unacknowledged == 0 {
                            self.out.say_goodbye()?;
                        }
                    }
                }
            };
            match polled {
                Ok(Event::Incoming(packet)) => {
                    self.incoming(packet, side, &mut backoff).await?;
                }
                Ok(Event::Outgoing(Outgoing::Disconnect)) => return Ok(()),
                Ok(Event::Outgoing(_)) => {}
                Err(error) => self.lost(&error, side, &mut backoff).await,
            }
            side.pump(&mut self.out).await?;
        }
    }

    async fn incoming<S: Side>(
        &mut self,
        packet: Packet,
        side: &mut S,
        backoff: &mut Backoff,
    ) -> Result<(), String> {
        match packet {
            Packet::ConnAck(_) => {
                backoff.connected(Instant::now());
                self.out.begin(side.filters())?;
                side.connected();
            }
            Packet::SubAck(ack) => {
                if ack.return_codes.contains(&SubscribeReasonCode::Failure) {
                    let filters = side.filters().join("`, `");
                    return Err(format!(
                        "the broker refuses the subscription to `{filters}`"
                    ));
                }
                tracing::info!(
                    "`{}` is connected to broker {}",
                    self.client_id,
                    self.broker
                );
                self.was_up = true;
                self.state.send_replace(LinkState::Up);
            }
            Packet::PubAck(_) => {
                self.out.unacknowledged = self.out.unacknowledged.saturating_sub(1);
            }
            Packet::Publish(publish) => side.received(publish).await?,
            Packet::Connect(_)
            | Packet::PubRec(_)
            | Packet::PubRel(_)
            | Packet::PubComp(_)
            | Packet::Subscribe(_)
            | Packet::Unsubscribe(_)
            | Packet::UnsubAck(_)
            | Packet::PingReq
            | Packet::PingResp
            | Packet::Disconnect => {}
        }
        Ok(())
    }

    /// Reports the loss and waits until it is time to try again, or to close.
    async fn lost<S: Side>(
        &mut self,
        error: &ConnectionError,
        side: &mut S,
        backoff: &mut Backoff,
    ) {
        self.out.up = false;
        if side.is_closing() {
            return;
        }
        // rumqttc would take over events that it has not told yet and a packet that waits for another's acknowledgement;
        // acknowledgements of the connection before would be counted on the next, and the packet would block it for ever.
        (self.out.client, self.eventloop) = client(self.options.clone());
        let (reason, refused) = reason(error);
        // Without random numbers the waits are merely regular.
        let retry_in = backoff.next(Instant::now(), getrandom::u32().unwrap_or(0));
        let text = format!(
            "broker {} cannot be reached: {reason}; trying again in {:.1} s",
            self.broker,
            retry_in.as_secs_f32()
        );
        if self.was_up {
            tracing::warn!("{text}");
        } else {
            // Whoever waits for the first connection is told by the error that it ends in.
            tracing::info!("{text}");
        }
        self.state.send_replace(LinkState::Down {
            reason,
            retry_in,
            refused,
        });
        let again = Instant::now() + retry_in;
        while !side.is_closing() {
            tokio::select! {
                () = tokio::time::sleep_until(again) => return,
                () = side.wait() => {}
            }
        }
    }
}

/// A client of which nothing is under way.
fn client(options: MqttOptions) -> (AsyncClient, EventLoop) {
    let (client, mut eventloop) = AsyncClient::new(options, REQUESTS_MAX);
    let mut network = NetworkOptions::new();
    // Observations are small and wanted at once.
    network.set_tcp_nodelay(true);
    network.set_connection_timeout(NETWORK_TIMEOUT_S);
    eventloop.set_network_options(network);
    (client, eventloop)
}

/// Waits for the first connection, at most `patience`.
pub(super) async fn first_connection(
    broker: &BrokerUrl,
    client: &str,
    state: &mut watch::Receiver<LinkState>,
    patience: Duration,
) -> Result<(), LinkError> {
    let mut last = "no answer".to_owned();
    let settled = async {
        loop {
            match state.borrow_and_update().clone() {
                LinkState::Connecting => {}
                LinkState::Up => return Ok(()),
                LinkState::Down {
                    reason, refused, ..
                } => {
                    if refused {
                        return Err(reason);
                    }
                    last = reason;
                }
                LinkState::Ended { reason } => return Err(reason.unwrap_or_default()),
            }
            if state.changed().await.is_err() {
                return Err("its task has ended".to_owned());
            }
        }
    };
    let outcome = tokio::time::timeout(patience, settled).await;
    match outcome {
        Ok(Ok(())) => Ok(()),
        Ok(Err(reason)) => Err(LinkError::Refused {
            broker: broker.to_string(),
            client: client.to_owned(),
            reason,
        }),
        Err(_) => Err(LinkError::Unreachable {
            broker: broker.to_string(),
            reason: last,
            tried: patience,
        }),
    }
}

/// Why a connection failed, in words, and whether it was the broker that said no.
fn reason(error: &ConnectionError) -> (String, bool) {
    match error {
        ConnectionError::ConnectionRefused(code) => (refusal(*code), true),
        ConnectionError::NetworkTimeout | ConnectionError::FlushTimeout => {
            (format!("no answer within {NETWORK_TIMEOUT_S} s"), false)
        }
        ConnectionError::Io(source) | ConnectionError::MqttState(StateError::Io(source)) => {
            (io_reason(source), false)
        }
        ConnectionError::MqttState(StateError::ConnectionAborted) => (
            "it closed the connection (some brokers do so for a wrong user or password)".into(),
            false,
        ),
        ConnectionError::MqttState(StateError::AwaitPingResp) => {
            ("it does not answer any more".into(), false)
        }
        ConnectionError::MqttState(other) => (other.to_string(), false),
        ConnectionError::NotConnAck(_) => ("what answers there is no MQTT broker".into(), false),
        ConnectionError::Tls(TlsError::Io(source)) => (io_reason(source), false),
        ConnectionError::Tls(other) => (other.to_string(), false),
        ConnectionError::RequestsDone => ("the link was dropped".into(), false),
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the system's own kinds are many"
)]
fn io_reason(source: &std::io::Error) -> String {
    match source.kind() {
        std::io::ErrorKind::ConnectionRefused => "connection refused".into(),
        std::io::ErrorKind::ConnectionReset => "connection reset".into(),
        std::io::ErrorKind::TimedOut => "no answer".into(),
        std::io::ErrorKind::UnexpectedEof => "it closed the connection".into(),
        _ => source.to_string(),
    }
}

fn refusal(code: ConnectReturnCode) -> String {
    match code {
        ConnectReturnCode::Success => "no reason given",
        ConnectReturnCode::RefusedProtocolVersion => "it does not speak MQTT 3.1.1",
        ConnectReturnCode::BadClientId => "it does not take this client id",
        ConnectReturnCode::ServiceUnavailable => "its service is unavailable",
        ConnectReturnCode::BadUserNamePassword => "wrong user or password",
        ConnectReturnCode::NotAuthorized => {
            "not authorised: check the user and password in the broker's address"
        }
    }
    .into()
}

/// Waits between attempts: from 100 ms doubling to 5 s, each shortened at random by up to a half, so that the nodes
/// of a store do not all come back in the same instant.
#[derive(Default)]
struct Backoff {
    failures: u32,
    connected_at: Option<Instant>,
}

impl Backoff {
    const FIRST: Duration = Duration::from_millis(100);
    const LONGEST: Duration = Duration::from_secs(5);

    fn connected(&mut self, now: Instant) {
        self.connected_at = Some(now);
    }

    /// How long to wait now. A connection that held starts the row anew; one that broke at once does not, or two
    /// clients of the same id would throw each other out ten times a second.
    fn next(&mut self, now: Instant, random: u32) -> Duration {
        if let Some(since) = self.connected_at.take()
            && now.duration_since(since) >= Self::LONGEST
        {
            self.failures = 0;
        }
        let whole = (Self::FIRST * 2_u32.pow(self.failures.min(6))).min(Self::LONGEST);
        self.failures = self.failures.saturating_add(1);
        whole.mul_f64(1.0 - f64::from(random) / f64::from(u32::MAX) / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_five_seconds_and_start_anew_after_a_connection_that_held() {
        let mut backoff = Backoff::default();
        let start = Instant::now();
        let mut waits = |at: u64, random| {
            backoff
                .next(start + Duration::from_secs(at), random)
                .as_millis()
        };
        let row: Vec<u128> = (0..8).map(|_| waits(0, 0)).collect();
        assert_eq!(row, [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
        assert_eq!(waits(0, u32::MAX), 2500);

        backoff.connected(start);
        let broke_at_once = backoff.next(start + Duration::from_secs(1), 0);
        assert_eq!(broke_at_once.as_millis(), 5000);
        backoff.connected(start);
        let held = backoff.next(start + Duration::from_secs(60), 0);
        assert_eq!(held.as_millis(), 100);
    }
}
