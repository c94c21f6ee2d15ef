//! Phones and consoles as the server sees them: plain HTTP/1.1, a stream of server-sent events each.

use std::net::SocketAddr;

use anyhow::{Context, bail};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::edge::live::wall_now;
use crate::edge::office::Token;
use crate::units::Timestamp;

/// A cart as a phone got it: when it had changed, and when it was there.
#[derive(Clone, Copy, Debug)]
pub struct Shown {
    pub changed_at: Timestamp,
    pub shown_at: Timestamp,
}

/// Shows a phone's key to the console, as its page does; its name is the answer.
pub async fn register(at: SocketAddr, login: &Token, key: &str) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect(at).await?;
    let asked = format!(
        "POST /me/phone HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nCookie: stroll={}\r\n\
         Stroll-Form: {}\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{key}",
        login.reveal(),
        login.form_key(),
        key.len()
    );
    stream.write_all(asked.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    match answer.split_once("\r\n\r\n") {
        Some((head, name)) if head.starts_with("HTTP/1.1 201") => Ok(name.trim().to_owned()),
        Some(_) | None => bail!(
            "the console takes no phone: {}",
            answer.lines().next().unwrap_or_default()
        ),
    }
}

/// A stream that is open.
pub struct Stream(BufReader<TcpStream>);

impl Stream {
    /// Opens one.
    pub async fn open(at: SocketAddr, path: &str, login: &Token) -> anyhow::Result<Self> {
        let mut stream = TcpStream::connect(at)
            .await
            .context("the console is away")?;
        let asked = format!(
            "GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\nCookie: stroll={}\r\n\r\n",
            login.reveal()
        );
        stream.write_all(asked.as_bytes()).await?;
        let mut stream = BufReader::new(stream);
        let mut status = String::new();
        stream.read_line(&mut status).await?;
        if !status.starts_with("HTTP/1.1 200") {
            bail!("the console does not feed {path}: {}", status.trim());
        }
        Ok(Stream(stream))
    }

    /// Hands over each cart, until the stream ends. An event is written as one piece, so that no line of it is torn.
    pub async fn carts(mut self, mut each: impl FnMut(Shown)) -> anyhow::Result<()> {
        let mut line = String::new();
        loop {
            line.clear();
            if self.0.read_line(&mut line).await? == 0 {
                return Ok(());
            }
            if let Some(id) = line.strip_prefix("id:").map(str::trim)
                && let Ok(changed_us) = id.parse()
            {
                each(Shown {
                    changed_at: Timestamp(changed_us),
                    shown_at: wall_now(),
                });
            }
        }
    }

    /// Reads everything and counts bytes, until the stream ends.
    pub async fn drain(mut self, mut each: impl FnMut(usize)) -> anyhow::Result<()> {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            match self.0.read(&mut buffer).await? {
                0 => return Ok(()),
                bytes => each(bytes),
            }
        }
    }
}
