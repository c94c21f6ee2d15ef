//! The languages of the shopper's phone: messages of Project Fluent (<https://projectfluent.org>), a file for each language.

use std::convert::Infallible;
use std::sync::LazyLock;

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::header::{ACCEPT_LANGUAGE, COOKIE};
use axum::http::request::Parts;
use fluent_bundle::concurrent::FluentBundle;
use fluent_bundle::{FluentArgs, FluentResource, FluentValue};

use super::Console;

/// The cookie by which a browser keeps a language that somebody has chosen.
pub(super) const TONGUE_COOKIE: &str = "stroll-language";
/// Languages of a browser that are looked at.
const WANTED_MAX: usize = 16;

/// A language.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Tongue {
    #[default]
    English,
    German,
}

type Bundle = FluentBundle<FluentResource>;

impl Tongue {
    pub const ALL: [Tongue; 2] = [Tongue::English, Tongue::German];

    /// As HTML and HTTP name it.
    pub fn code(self) -> &'static str {
        match self {
            Tongue::English => "en",
            Tongue::German => "de",
        }
    }

    /// As those call it who speak it.
    pub fn name(self) -> &'static str {
        match self {
            Tongue::English => "English",
            Tongue::German => "Deutsch",
        }
    }

    fn source(self) -> &'static str {
        match self {
            Tongue::English => include_str!("tongues/en.ftl"),
            Tongue::German => include_str!("tongues/de.ftl"),
        }
    }

    /// That of a code, also of one with a region: `de-AT`.
    pub fn of(code: &str) -> Option<Self> {
        let language = code.trim().split('-').next().unwrap_or_default();
        Tongue::ALL
            .into_iter()
            .find(|tongue| language.eq_ignore_ascii_case(tongue.code()))
    }

    /// The one that was chosen; else the first that the browser wants and there is.
    pub fn wanted(headers: &HeaderMap) -> Self {
        let cookies = headers
            .get_all(COOKIE)
            .iter()
            .filter_map(|v| v.to_str().ok());
        let mut pairs = cookies
            .flat_map(|list| list.split(';'))
            .filter_map(|p| p.trim().split_once('='));
        let chosen = pairs.find(|(name, _)| *name == TONGUE_COOKIE);
        if let Some(tongue) = chosen.and_then(|(_, code)| Tongue::of(code)) {
            return tongue;
        }
        let wanted = headers.get(ACCEPT_LANGUAGE).and_then(|v| v.to_str().ok());
        let mut best: Option<(f32, Tongue)> = None;
        for part in wanted.unwrap_or_default().split(',').take(WANTED_MAX) {
            let (code, weight) = part.split_once(";q=").unwrap_or((part, "1"));
            let weight: f32 = weight.trim().parse().unwrap_or(0.0);
            if let Some(tongue) = Tongue::of(code)
                && weight > best.map_or(0.0, |(weight, _)| weight)
            {
                best = Some((weight, tongue));
            }
        }
        best.map_or(Tongue::English, |(_, tongue)| tongue)
    }

    fn bundle(self) -> &'static Bundle {
        static BUNDLES: LazyLock<[Bundle; 2]> = LazyLock::new(|| Tongue::ALL.map(read));
        match self {
            Tongue::English => &BUNDLES[0],
            Tongue::German => &BUNDLES[1],
        }
    }

    /// A message. Each is in every language: a test sees to it.
    pub fn say(self, message: &str) -> String {
        self.say_with(message, &[])
    }

    /// A message with variables.
    pub fn say_with(self, message: &str, with: &[(&str, FluentValue<'_>)]) -> String {
        let bundle = self.bundle();
        let Some(pattern) = bundle.get_message(message).and_then(|m| m.value()) else {
            return message.to_owned();
        };
        let mut arguments = FluentArgs::new();
        for (name, value) in with {
            arguments.set(*name, value.clone());
        }
        let mut errors = Vec::new();
        bundle
            .format_pattern(pattern, Some(&arguments), &mut errors)
            .into_owned()
    }
}

fn read(tongue: Tongue) -> Bundle {
    // What a file has wrong is left out; the test below says what it is.
    let resource =
        FluentResource::try_new(tongue.source().to_owned()).unwrap_or_else(|(read, _)| read);
    let mut bundle = Bundle::new_concurrent(tongue.code().parse().into_iter().collect());
    // Marks around what stands in for a variable are letters to whoever reads the page's text.
    bundle.set_use_isolating(false);
    let _ = bundle.add_resource(resource);
    bundle
}

impl FromRequestParts<Console> for Tongue {
    type Rejection = Infallible;
    async fn from_request_parts(parts: &mut Parts, _: &Console) -> Result<Self, Infallible> {
        Ok(Tongue::wanted(&parts.headers))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn messages(tongue: Tongue) -> BTreeSet<(String, BTreeSet<String>)> {
        FluentResource::try_new(tongue.source().to_owned()).expect("a file without mistakes");
        let mut messages: Vec<(String, BTreeSet<String>)> = Vec::new();
        for line in tongue
            .source()
            .lines()
            .filter(|line| !line.starts_with('#'))
        {
            if let Some((name, _)) = line
                .split_once(" = ")
                .filter(|_| !line.starts_with([' ', '}']))
            {
                messages.push((name.to_owned(), BTreeSet::new()));
            }
            let variables = line.split("{ $").skip(1);
            let names = variables.filter_map(|rest| rest.split([' ', '}']).next());
            if let Some((_, variables)) = messages.last_mut() {
                variables.extend(names.map(str::to_owned));
            }
        }
        messages.into_iter().collect()
    }

    #[test]
    fn every_language_says_the_same() {
        let english = messages(Tongue::English);
        assert!(english.len() > 60, "{english:?}");
        assert_eq!(messages(Tongue::German), english);
    }

    /// What the code asks for is there, and what is there is asked for.
    #[test]
    fn every_message_is_said_somewhere() {
        let sources = [
            include_str!("phone/mod.rs"),
            include_str!("phone/cart.rs"),
            include_str!("phone/visits.rs"),
            include_str!("phone/account.rs"),
        ];
        let text = sources.concat();
        for (message, _) in messages(Tongue::English) {
            assert!(
                text.contains(&format!("\"{message}\"")),
                "{message} is said nowhere"
            );
        }
        for asked in text
            .split(".say(\"")
            .skip(1)
            .chain(text.split(".say_with(\"").skip(1))
        {
            let message = asked.split('"').next().unwrap_or_default();
            let there = Tongue::English.bundle().has_message(message);
            assert!(there, "there is no message {message}");
        }
    }

    #[test]
    fn the_first_language_that_there_is_is_spoken() {
        for (cookie, wanted, tongue) in [
            ("", "de-AT,de;q=0.9,en;q=0.8", Tongue::German),
            ("", "fr,en;q=0.5,de;q=0.4", Tongue::English),
            ("", "fr", Tongue::English),
            ("", "en;q=0.1, de;q=0.7", Tongue::German),
            ("stroll=x; stroll-language=de", "en", Tongue::German),
            ("stroll-language=tlh", "de", Tongue::German),
            ("", "", Tongue::English),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(COOKIE, cookie.parse().unwrap());
            headers.insert(ACCEPT_LANGUAGE, wanted.parse().unwrap());
            assert_eq!(Tongue::wanted(&headers), tongue, "{cookie} {wanted}");
        }
        let three = [("count", FluentValue::from(3))];
        assert_eq!(Tongue::English.say_with("items", &three), "3 items");
        assert_eq!(Tongue::German.say_with("items", &three), "3 Stück");
    }
}
