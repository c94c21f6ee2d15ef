//! Requests as they come.

/// What a request is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Call {
    Create,
    Capture,
    Cancel,
    Refund,
    LookUp,
}

/// A request as it came.
pub struct Request {
    pub call: Call,
    pub path: String,
    pub query: Vec<(String, String)>,
    pub body: String,
    pub key: Option<String>,
}

impl Request {
    pub fn intent(&self) -> String {
        format!("/v1/payment_intents/{}", self.intent_id())
    }

    pub fn intent_id(&self) -> String {
        self.path.split('/').nth(3).unwrap_or_default().to_owned()
    }

    pub fn form(&self) -> Vec<(String, String)> {
        pairs(&self.body)
    }
}

/// What `a=b&c=d` says.
pub fn pairs(text: &str) -> Vec<(String, String)> {
    let decoded = |text: &str| {
        let mut bytes = Vec::new();
        let mut rest = text.bytes();
        while let Some(byte) = rest.next() {
            bytes.push(match byte {
                b'+' => b' ',
                b'%' => {
                    let hex: String = rest.by_ref().take(2).map(char::from).collect();
                    u8::from_str_radix(&hex, 16).expect("two hex digits")
                }
                other => other,
            });
        }
        String::from_utf8(bytes).expect("UTF-8")
    };
    let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    pairs
        .map(|(name, value)| (decoded(name), decoded(value)))
        .collect()
}
