//! What the pages that change the store's definition share: reading, writing, undoing, and what is wrong.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use maud::{Markup, html};
use toml_edit::DocumentMut;

use super::{answered, told};
use crate::console::access::Caller;
use crate::console::words::{Clock, time};
use crate::console::{Asking, Console, page};
use crate::edge::live::wall_now;
use crate::edge::office::{Change, OfficeError};
use crate::edge::store_file::{StoreFile, StoreFileError, Written};
use crate::store::DefinitionError;

/// Why a change was not made.
pub(super) enum Undone {
    /// What it would say is wrong.
    Wrong(DefinitionError),
    Why(String),
}

impl From<StoreFileError> for Undone {
    fn from(error: StoreFileError) -> Self {
        match error {
            StoreFileError::Mistakes(mistakes) => Undone::Wrong(mistakes),
            StoreFileError::Read { .. }
            | StoreFileError::Write { .. }
            | StoreFileError::Changed { .. }
            | StoreFileError::NoToml { .. } => Undone::Why(page::capital(&error.to_string())),
        }
    }
}

impl From<OfficeError> for Undone {
    fn from(error: OfficeError) -> Self {
        tracing::error!("{error}");
        Undone::Why(page::capital(&error.to_string()))
    }
}

/// The file as it is, to be edited.
pub(super) struct Open<'c> {
    pub file: &'c StoreFile,
    pub written: Written,
    pub document: DocumentMut,
    last: Option<Change>,
}

/// Opens the definition's file.
pub(super) fn open(console: &Console) -> Result<Open<'_>, Undone> {
    let Some(file) = &console.store_file else {
        let why = "This store's definition is no file that this program may change.";
        return Err(Undone::Why(why.to_owned()));
    };
    let written = file.read()?;
    let document = written
        .text
        .parse()
        .map_err(|error: toml_edit::TomlError| StoreFileError::NoToml {
            path: file.path().to_owned(),
            why: error.message().to_owned(),
        })?;
    Ok(Open {
        file,
        written,
        document,
        last: console.office.last_change()?,
    })
}

impl Open<'_> {
    /// Writes what the document says now, and keeps what the file said before.
    pub fn keep(&self, console: &Console, by: &str, what: &str) -> Result<(), Undone> {
        let text = self.document.to_string();
        if text == self.written.text {
            return Ok(());
        }
        self.file.write(&text, &self.written.version)?;
        console
            .office
            .keep_before(&self.written.text, what, by, wall_now())?;
        console.note(by, "change definition", what, wall_now());
        Ok(())
    }

    /// That the store works by another version, if it does, and what can be undone.
    pub fn state(&self, console: &Console, caller: &Caller, here: &str) -> Markup {
        let works_by = self.file.check(&self.written.text).ok().map(|d| d.hash);
        html! {
            @match works_by {
                Some(hash) if hash == console.definition.hash => {}
                Some(_) => { p .notice { "The file says something else than the store works by: restart the coordinator when nobody is inside, and it counts." } }
                None => { p .notice role="alert" { "The file has mistakes, and the coordinator would not start again: mend it with `stroll config check`." } }
            }
            @if let Some(change) = &self.last {
                form .row method="post" action="/settings/undo" {
                    (page::form_key(caller))
                    input type="hidden" name="to" value=(here);
                    span .grow { "Last change: " (change.what) span .meta { (change.by) ", " (time(change.at, Clock::Full)) } }
                    button { "Undo" }
                }
            }
        }
    }
}

#[derive(serde::Deserialize)]
pub struct Undo {
    to: String,
}

/// `POST /settings/undo`
pub async fn undo(
    State(console): State<Console>,
    Asking(caller): Asking,
    axum::Form(said): axum::Form<Undo>,
) -> Response {
    let to = if said.to == "/planogram" {
        "/planogram"
    } else {
        "/settings"
    };
    let undone = open(&console).and_then(|open| {
        let Some(change) = &open.last else {
            return Err(Undone::Why("There is nothing to undo.".to_owned()));
        };
        open.file.write(&change.before, &open.written.version)?;
        console.office.forget_change(change.id)?;
        let about = format!("undo: {}", change.what);
        console.note(&caller.name, "change definition", &about, wall_now());
        Ok(())
    });
    match undone {
        Ok(()) => page::see(to),
        Err(undone) => {
            let content = html! { (wrong(&undone)) p .more { a href=(to) { "Back" } } };
            answered(
                &console,
                &caller,
                (StatusCode::CONFLICT, to, "Undo"),
                &content,
            )
        }
    }
}

/// What is wrong, mistake by mistake.
pub(super) fn wrong(undone: &Undone) -> Markup {
    match undone {
        Undone::Why(why) => told(Some(why)),
        Undone::Wrong(error) => html! {
            div .notice role="alert" {
                div {
                    p { "This is not kept:" }
                    ul { @for mistake in error.mistakes.iter().take(10) { li { (page::capital(&mistake.message)) " " (page::capital(&mistake.help)) } } }
                }
            }
        },
    }
}
