//! The store's rules, with what each means and takes, and what is wrong beside what was written.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use axum::Form;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use maud::{Markup, html};
use serde_json::Value;
use toml_edit::{DocumentMut, Item, Table, value};

use super::answered;
use super::editing::{self, Undone, open};
use crate::console::access::Caller;
use crate::console::{Asking, Console, page};
use crate::store::definition;

const HERE: &str = "/settings";
/// The table of the file that the rules are in.
const POLICY: &str = "policy";

type Fields = BTreeMap<String, String>;

/// A rule, as the schema has it.
struct Rule {
    name: String,
    words: String,
    /// What it may be, where that is one of a few words.
    choices: Vec<String>,
    is_number: bool,
    least: Option<f64>,
    most: Option<f64>,
}

fn rules() -> &'static [Rule] {
    static RULES: LazyLock<Vec<Rule>> = LazyLock::new(|| {
        let schema = definition::schema().to_value();
        let properties = &schema["$defs"]["Policy"]["properties"];
        let all = properties.as_object().into_iter().flatten();
        all.map(|(name, about)| Rule::of(name, about, &schema))
            .collect()
    });
    &RULES
}

impl Rule {
    fn of(name: &str, about: &Value, schema: &Value) -> Self {
        let refers = about["anyOf"][0]["$ref"].as_str().unwrap_or_default();
        let choices = schema.pointer(refers.trim_start_matches('#'));
        let choices = choices.and_then(|of| of["enum"].as_array());
        let words = |value: &Value| value.as_str().map(str::to_owned);
        Rule {
            name: name.to_owned(),
            words: about["description"]
                .as_str()
                .unwrap_or_default()
                .replace('`', ""),
            choices: choices.into_iter().flatten().filter_map(words).collect(),
            is_number: !about["type"].is_null(),
            least: about["minimum"].as_f64(),
            most: about["maximum"].as_f64(),
        }
    }

    /// `Review deadline`, with what it is counted in.
    fn label(&self) -> (String, &'static str) {
        let units = [
            ("_minor", "minor units"),
            ("_s", "seconds"),
            ("_m", "metres"),
        ];
        let found = units.iter().find(|(end, _)| self.name.ends_with(end));
        let (end, unit) = found.copied().unwrap_or(("", ""));
        let words = self.name.trim_end_matches(end).replace('_', " ");
        let label = page::capital(&words);
        (label.trim_end_matches('.').to_owned(), unit)
    }
}

/// `GET /settings`
pub async fn show(State(console): State<Console>, Asking(caller): Asking) -> Response {
    answer(&console, &caller, None, None)
}

fn answer(
    console: &Console,
    caller: &Caller,
    said: Option<&Fields>,
    undone: Option<&Undone>,
) -> Response {
    let open = match open(console) {
        Ok(open) => open,
        Err(why) => {
            let content = html! { h1 { "Settings" } (editing::wrong(&why)) };
            return answered(
                console,
                caller,
                (StatusCode::OK, HERE, "Settings"),
                &content,
            );
        }
    };
    let (beside, above) = sorted(undone, &open.document, said);
    let status = match undone {
        None => StatusCode::OK,
        Some(Undone::Wrong(_)) => StatusCode::BAD_REQUEST,
        Some(Undone::Why(_)) => StatusCode::CONFLICT,
    };
    let content = html! {
        h1 { "Settings" }
        (above)
        (open.state(console, caller, HERE))
        form .card.settings method="post" action=(HERE) {
            (page::form_key(caller))
            input type="hidden" name="version" value=(open.written.version);
            h2 { "The store's rules" }
            p .meta { "In " code { (open.file.path().display()) } ", table " code { "[policy]" } ". What is left empty has its default." }
            @for rule in rules() {
                @let now = said.and_then(|said| said.get(&rule.name).cloned()).unwrap_or_else(|| in_file(&open.document, &rule.name));
                (field(rule, &now, beside.get(rule.name.as_str())))
            }
            button .main { "Check and keep" }
        }
    };
    answered(console, caller, (status, HERE, "Settings"), &content)
}

fn field(rule: &Rule, now: &str, wrong: Option<&String>) -> Markup {
    let (label, unit) = rule.label();
    let hint = format!("hint-{}", rule.name);
    html! {
        div .setting {
            label for=(rule.name) { (label) @if !unit.is_empty() { " " small { (unit) } } }
            @if rule.choices.is_empty() {
                input #(rule.name) name=(rule.name) value=(now) autocomplete="off" aria-describedby=(hint) aria-invalid=[wrong.map(|_| "true")]
                    inputmode=[rule.is_number.then_some("decimal")] placeholder="default";
            } @else {
                select #(rule.name) name=(rule.name) aria-describedby=(hint) {
                    option value="" { "default" }
                    @for choice in &rule.choices { option value=(choice) selected[choice == now] { (choice) } }
                }
            }
            small #(hint) {
                @if let Some(wrong) = wrong { b .wrong { (wrong) } " " }
                (rule.words)
                @match (rule.least, rule.most) {
                    (Some(least), Some(most)) => { " From " (least) " to " (most) "." }
                    (Some(least), None) => { " At least " (least) "." }
                    (None, _) => {}
                }
            }
        }
    }
}

fn in_file(document: &DocumentMut, name: &str) -> String {
    let value = document.get(POLICY).and_then(|policy| policy.get(name));
    let value = value.and_then(Item::as_value);
    value.map_or(String::new(), |value| match value.as_str() {
        Some(text) => text.to_owned(),
        None => value.clone().decorated("", "").to_string(),
    })
}

/// The mistakes that are on a rule's line, by rule, and what is to stand above.
fn sorted<'r>(
    undone: Option<&Undone>,
    document: &DocumentMut,
    said: Option<&Fields>,
) -> (BTreeMap<&'r str, String>, Markup) {
    let mut beside = BTreeMap::new();
    let Some((Undone::Wrong(error), said)) = undone.zip(said) else {
        let above = undone.map_or(html! {}, editing::wrong);
        return (beside, above);
    };
    let mut tried = document.clone();
    change(&mut tried, said);
    let text = tried.to_string();
    let mut rest = error.clone();
    rest.mistakes.retain(|mistake| {
        let line = mistake.line.and_then(|line| text.lines().nth(line - 1));
        let key = line.and_then(|line| line.split('=').next()).map(str::trim);
        let Some(rule) = rules().iter().find(|rule| Some(rule.name.as_str()) == key) else {
            return true;
        };
        let why = format!(
            "{} {}",
            page::capital(&mistake.message),
            page::capital(&mistake.help)
        );
        beside.insert(rule.name.as_str(), why);
        false
    });
    let above = match rest.mistakes.is_empty() {
        true => {
            html! { p .notice role="alert" { "Nothing is kept yet: see what is wrong below." } }
        }
        false => editing::wrong(&Undone::Wrong(rest)),
    };
    (beside, above)
}

/// Has the document say what was said. A text that is no number stays a text: that it is wrong is for the check to say.
fn change(document: &mut DocumentMut, said: &Fields) {
    for rule in rules() {
        let Some(text) = said.get(&rule.name).map(|text| text.trim()) else {
            continue;
        };
        let was = in_file(document, &rule.name);
        if text == was {
            continue;
        }
        let policy = document.entry(POLICY).or_insert(Item::Table(Table::new()));
        let Some(policy) = policy.as_table_like_mut() else {
            continue;
        };
        if text.is_empty() {
            policy.remove(&rule.name);
            continue;
        }
        let mut new = match (text.parse::<i64>(), text.parse::<f64>()) {
            (Ok(whole), _) if rule.is_number => value(whole),
            (_, Ok(number)) if rule.is_number => value(number),
            (_, _) => value(text),
        };
        // What stands behind the old value stays: it says what the rule is.
        let old = policy.get(&rule.name).and_then(Item::as_value);
        if let (Some(old), Some(new)) = (old.map(|old| old.decor().clone()), new.as_value_mut()) {
            *new.decor_mut() = old;
        }
        policy.insert(&rule.name, new);
    }
}

/// `POST /settings`
pub async fn keep(
    State(console): State<Console>,
    Asking(caller): Asking,
    Form(said): Form<Fields>,
) -> Response {
    let kept = open(&console).and_then(|mut open| {
        if said.get("version") != Some(&open.written.version) {
            let path = open.file.path().to_owned();
            return Err(crate::edge::store_file::StoreFileError::Changed { path }.into());
        }
        let changed: Vec<String> = (rules().iter())
            .filter_map(|rule| {
                let (was, text) = (
                    in_file(&open.document, &rule.name),
                    said.get(&rule.name)?.trim(),
                );
                let shown = |text: &str| {
                    if text.is_empty() {
                        "default".to_owned()
                    } else {
                        text.to_owned()
                    }
                };
                (was != text).then(|| format!("{} {} to {}", rule.name, shown(&was), shown(text)))
            })
            .collect();
        change(&mut open.document, &said);
        open.keep(&console, &caller.name, &changed.join(", "))
    });
    match kept {
        Ok(()) => page::see(HERE),
        Err(undone) => answer(&console, &caller, Some(&said), Some(&undone)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_keeps_the_comment_and_what_is_wrong_stands_beside_its_rule() {
        let text =
            "[store]\nid = \"x\"\n\n[policy]\nhold_minor = 3000 # on the card\nreach_m = 1.5\n";
        let mut document: DocumentMut = text.parse().unwrap();
        let said = |pairs: &[(&str, &str)]| {
            let pairs = pairs
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
            pairs.collect::<Fields>()
        };
        change(
            &mut document,
            &said(&[
                ("hold_minor", "2500"),
                ("reach_m", ""),
                ("offline", "capped"),
                ("closing_s", "soon"),
            ]),
        );
        assert_eq!(
            document.to_string(),
            "[store]\nid = \"x\"\n\n[policy]\nhold_minor = 2500 # on the card\nclosing_s = \"soon\"\noffline = \"capped\"\n"
        );
        let tried = said(&[("confidence_min", "2")]);
        let whole: DocumentMut = definition::NANOSTORE.parse().unwrap();
        let mut wrong = whole.clone();
        change(&mut wrong, &tried);
        let error = definition::parse(&wrong.to_string(), "store.toml").unwrap_err();
        let (beside, _) = sorted(Some(&Undone::Wrong(error)), &whole, Some(&tried));
        assert!(beside.contains_key("confidence_min"), "{beside:?}");
        assert!(
            rules()
                .iter()
                .any(|rule| rule.choices == ["closed", "capped"])
        );
    }
}
