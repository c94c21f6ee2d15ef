//! Where a broker is: `mqtt://[user[:password]@]host[:port]`, or `mqtts://` with TLS.

use std::fmt;
use std::str::FromStr;

/// A broker's address, and what to log in with.
#[derive(Clone, PartialEq, Eq)]
pub struct BrokerUrl {
    /// Name or address; an IPv6 address keeps its brackets.
    pub host: String,
    pub port: u16,
    /// Whether the connection is made with TLS.
    pub tls: bool,
    /// User and password.
    pub login: Option<(String, String)>,
}

impl BrokerUrl {
    /// A broker on this machine that asks for no login.
    pub fn local(addr: std::net::SocketAddr) -> Self {
        let host = match addr {
            std::net::SocketAddr::V4(v4) => v4.ip().to_string(),
            std::net::SocketAddr::V6(v6) => format!("[{}]", v6.ip()),
        };
        BrokerUrl {
            host,
            port: addr.port(),
            tls: false,
            login: None,
        }
    }
}

/// The address without the login, which belongs in no log.
impl fmt::Display for BrokerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "mqtts" } else { "mqtt" };
        write!(f, "{scheme}://{}:{}", self.host, self.port)
    }
}

impl fmt::Debug for BrokerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BrokerUrl({self})")
    }
}

/// Why a text is no broker's address. It repeats no more of the text than is needed: there may be a password in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    #[error("a broker's address starts with mqtt:// or mqtts://, such as mqtt://127.0.0.1:1883")]
    Scheme,
    #[error("the broker's address names no host: write mqtt://host:port")]
    NoHost,
    #[error("`{0}` is no host name")]
    Host(String),
    #[error("`{0}` is no port: it takes a number from 1 to 65535")]
    Port(String),
    #[error(
        "the user or password of the broker's address has a broken escape: write a percent sign as %25"
    )]
    Escape,
    #[error("a broker's address ends with the port: `{0}` is too much")]
    Rest(String),
}

impl FromStr for BrokerUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        let (tls, rest) = match text.split_once("://") {
            Some(("mqtt" | "tcp", rest)) => (false, rest),
            Some(("mqtts" | "ssl" | "tls", rest)) => (true, rest),
            Some(_) | None => return Err(UrlError::Scheme),
        };
        // The last @, so that a password may hold one.
        let (login, place) = match rest.rsplit_once('@') {
            Some((login, place)) => (Some(login), place),
            None => (None, rest),
        };
        let place = match place.find(['/', '?', '#']) {
            Some(at) if &place[at..] != "/" => return Err(UrlError::Rest(place[at..].to_owned())),
            Some(at) => &place[..at],
            None => place,
        };
        let (host, port) = host_and_port(place, tls)?;
        let login = login.map(|login| {
            let (user, password) = login.split_once(':').unwrap_or((login, ""));
            Ok((unescape(user)?, unescape(password)?))
        });
        Ok(BrokerUrl {
            host,
            port,
            tls,
            login: login.transpose()?,
        })
    }
}

fn host_and_port(place: &str, tls: bool) -> Result<(String, u16), UrlError> {
    // The colons of an IPv6 address are within its brackets.
    let after_host = place.find(']').map_or(0, |at| at + 1);
    let (host, port) = match place[after_host..].rfind(':') {
        Some(at) => (
            &place[..after_host + at],
            Some(&place[after_host + at + 1..]),
        ),
        None => (place, None),
    };
    let port = match port {
        None if tls => crate::edge::broker::TLS_PORT,
        None => crate::edge::broker::PORT,
        Some(text) => match text.parse() {
            Ok(port) if port > 0 => port,
            Ok(_) | Err(_) => return Err(UrlError::Port(text.to_owned())),
        },
    };
    if host.is_empty() {
        return Err(UrlError::NoHost);
    }
    let is_fine = match host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
        Some(v6) => v6.parse::<std::net::Ipv6Addr>().is_ok(),
        None => host
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_')),
    };
    if !is_fine {
        return Err(UrlError::Host(host.to_owned()));
    }
    Ok((host.to_owned(), port))
}

/// Undoes percent-encoding.
fn unescape(text: &str) -> Result<String, UrlError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut parts = text.split('%');
    bytes.extend(parts.next().unwrap_or_default().bytes());
    for part in parts {
        let (digits, rest) = part.split_at_checked(2).ok_or(UrlError::Escape)?;
        bytes.push(u8::from_str_radix(digits, 16).map_err(|_| UrlError::Escape)?);
        bytes.extend(rest.bytes());
    }
    String::from_utf8(bytes).map_err(|_| UrlError::Escape)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        let login = |user: &str, password: &str| Some((user.to_owned(), password.to_owned()));
        for (text, host, port, expected) in [
            ("mqtt://127.0.0.1:1884", "127.0.0.1", 1884, None),
            ("mqtt://broker", "broker", 1883, None),
            ("mqtt://broker/", "broker", 1883, None),
            ("mqtt://[::1]", "[::1]", 1883, None),
            ("mqtt://[fe80::2]:99", "[fe80::2]", 99, None),
            ("mqtt://ann@broker", "broker", 1883, login("ann", "")),
            ("mqtt://ann:s3c@r%3At@b:1", "b", 1, login("ann", "s3c@r:t")),
            ("tcp://b_1.local:1", "b_1.local", 1, None),
            ("mqtts://broker", "broker", 8883, None),
            ("mqtts://broker:1883", "broker", 1883, None),
        ] {
            let url: BrokerUrl = text.parse().unwrap();
            assert_eq!((url.host.as_str(), url.port), (host, port), "{text}");
            assert_eq!(url.login, expected, "{text}");
            assert_eq!(url.tls, text.starts_with("mqtts"), "{text}");
        }
    }

    #[test]
    fn a_mistake_is_named_and_no_password_is_shown() {
        for (text, said) in [
            ("127.0.0.1:1883", "starts with mqtt://"),
            ("http://broker", "starts with mqtt://"),
            ("mqtt://", "names no host"),
            ("mqtt://:1883", "names no host"),
            ("mqtt://broker:", "`` is no port"),
            ("mqtt://broker:0", "`0` is no port"),
            ("mqtt://broker:65536", "`65536` is no port"),
            ("mqtt://bro ker", "`bro ker` is no host name"),
            ("mqtt://::1", "`:` is no host name"),
            ("mqtt://[x]:1", "`[x]` is no host name"),
            ("mqtt://a:secret%@b", "broken escape"),
            ("mqtt://a:secret%zz@b", "broken escape"),
            ("mqtt://a:secret%é@b", "broken escape"),
            ("mqtt://broker/topic?x=1", "`/topic?x=1` is too much"),
        ] {
            let shown = text.parse::<BrokerUrl>().unwrap_err().to_string();
            assert!(shown.contains(said), "{text}: {shown}");
            assert!(!shown.contains("secret"), "{shown}");
        }
        let url: BrokerUrl = "mqtt://ann:secret@broker".parse().unwrap();
        assert_eq!(
            format!("{url} {url:?}"),
            "mqtt://broker:1883 BrokerUrl(mqtt://broker:1883)"
        );
    }

    #[test]
    fn a_local_address_is_written_as_it_is_read() {
        for addr in ["127.0.0.1:5", "[::1]:7"] {
            let url = BrokerUrl::local(addr.parse().unwrap());
            assert_eq!(url.to_string().parse(), Ok(url));
        }
    }
}
