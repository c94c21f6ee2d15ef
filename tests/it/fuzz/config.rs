//! What an owner writes and a shopper shows: store definitions, payers, addresses of brokers, entry codes; and the
//! lines of the wire and of the journal, which are JSON.

use serde::Serialize;
use serde::de::DeserializeOwned;
use stroll::checkout::Decision;
use stroll::checkout::entry_code::EntryCode;
use stroll::edge::gateway::Payers;
use stroll::edge::recording::DefinitionFile;
use stroll::edge::wire;
use stroll::observation::Stamped;
use stroll::store::Definition;
use stroll::store::definition;
use stroll::units::Timestamp;

use super::{Fate, Judged, fuzz, same, text};

/// The first line is the topic, the rest is the payload.
#[test]
fn wire_messages() {
    fuzz("wire", 40_000, Vec::new(), |input| {
        let line = input
            .iter()
            .position(|&b| b == b'\n')
            .unwrap_or(input.len());
        let topic = String::from_utf8_lossy(&input[..line]);
        let payload = input.get(line + 1..).unwrap_or_default();
        let message = match wire::decode(&topic, payload) {
            Ok(message) => message,
            Err(error) => {
                if let Some(stamp) = &error.stamp
                    && !topic.contains(&format!("/{}/", stamp.node))
                {
                    return Err(format!("a stamp of {} on {topic} is believed", stamp.node));
                }
                // It goes into the journal, and to a terminal.
                let why = error.to_string();
                if why.len() > 4_096 || why.contains(char::is_control) {
                    return Err(format!("no sentence to keep: {why:.2000?}"));
                }
                return Ok(Fate::Refused(why));
            }
        };
        let store = wire::parse_topic(&topic)
            .map_err(|e| e.to_string())?
            .store
            .to_owned();
        let again =
            wire::encode(&store, &message).map_err(|e| format!("cannot be written: {e}"))?;
        same("the topic", &topic.as_ref(), &again.topic.as_str())?;
        let read = wire::decode(&again.topic, &again.payload);
        let read = read.map_err(|e| format!("what is written cannot be read: {e}"))?;
        same("the message", &message, &read)?;
        Ok(Fate::Taken)
    });
}

/// A value that is read from JSON is the same when it is written and read again.
fn json<T: DeserializeOwned + Serialize + PartialEq + std::fmt::Debug>(input: &[u8]) -> Judged {
    let value: T = match serde_json::from_slice(input) {
        Ok(value) => value,
        Err(error) => return Ok(Fate::refused(error)),
    };
    let written = serde_json::to_string(&value).map_err(|e| format!("cannot be written: {e}"))?;
    let read = serde_json::from_str(&written)
        .map_err(|e| format!("what is written cannot be read: {e}: {written}"))?;
    same("the value", &value, &read)?;
    Ok(Fate::Taken)
}

#[test]
fn journal_decisions() {
    fuzz("decision", 30_000, Vec::new(), json::<Decision>);
}

/// The journal and the outbox keep them so.
#[test]
fn journal_observations() {
    fuzz("observation", 30_000, Vec::new(), json::<Stamped>);
}

#[test]
fn store_definitions() {
    fuzz("definition", 2_000, Vec::new(), |input| {
        let text = match text(input) {
            Ok(text) => text,
            Err(refused) => return Ok(refused),
        };
        let (definition, warnings) = match definition::parse(text, "store.toml") {
            Ok(parsed) => parsed,
            Err(error) => return Ok(Fate::refused(error)),
        };
        if let Some(empty) = warnings.iter().find(|w| w.to_string().trim().is_empty()) {
            return Err(format!("a warning says nothing: {empty:?}"));
        }
        let written = serde_json::to_string(&DefinitionFile::from(&definition))
            .map_err(|e| format!("cannot be written: {e}"))?;
        let file: DefinitionFile = serde_json::from_str(&written)
            .map_err(|e| format!("what is written cannot be read: {e}"))?;
        let read = Definition::try_from(file).map_err(|e| format!("contradicts itself: {e}"))?;
        let (before, after) = (
            DefinitionFile::from(&definition),
            DefinitionFile::from(&read),
        );
        same("the definition", &before, &after)?;
        Ok(Fate::Taken)
    });
}

#[test]
fn payers_files() {
    fuzz("payers", 10_000, Vec::new(), |input| {
        let text = match text(input) {
            Ok(text) => text,
            Err(refused) => return Ok(refused),
        };
        let payers = match Payers::parse(text) {
            Ok(payers) => payers,
            Err(why) => return Ok(Fate::refused(why)),
        };
        // Both go into requests to Stripe.
        let is_id = |id: &str| {
            id.contains('_') && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        };
        for (device, payer) in payers.iter() {
            if !is_id(&payer.customer) || !is_id(&payer.payment_method) {
                return Err(format!("phone {device} has {payer:?}"));
            }
        }
        Ok(Fate::Taken)
    });
}

#[test]
fn entry_codes() {
    fuzz("entry_code", 40_000, Vec::new(), |input| {
        let text = match text(input) {
            Ok(text) => text,
            Err(refused) => return Ok(refused),
        };
        let code = match EntryCode::parse(text) {
            Ok(code) => code,
            Err(error) => return Ok(Fate::refused(error)),
        };
        same(
            "the one spelling of a code",
            &text,
            &code.to_string().as_str(),
        )?;
        for now in [i64::MIN, -1, 0, 1_600_000_000_000_000, i64::MAX] {
            if code
                .verify("store", b"nobody has this key", Timestamp(now))
                .is_ok()
            {
                return Err("a code opens without its key".to_owned());
            }
        }
        Ok(Fate::Taken)
    });
}
