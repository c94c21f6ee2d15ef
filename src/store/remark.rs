//! What is said about a definition file: a mistake or a warning, with the offending line under it.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// One remark on one place of a definition file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    /// The file's name, as it was given.
    pub file_name: Arc<str>,
    /// The line, from 1; none where the remark is on the file as a whole.
    pub line: Option<usize>,
    /// What is wrong: a phrase without a full stop.
    pub message: String,
    /// What to do about it: a phrase without a full stop.
    pub help: String,
    /// What to show of the line.
    excerpt: String,
    /// The offending characters of the excerpt.
    marked: Range<usize>,
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => {
                writeln!(f, "{}:{line}: {}", self.file_name, self.message)?;
                writeln!(f, "{line:>5} | {}", self.excerpt)?;
                let (before, below) = (self.marked.start, self.marked.len().max(1));
                writeln!(f, "{:>5} | {:before$}{:^<below$}", "", "", "")?;
            }
            None => writeln!(f, "{}: {}", self.file_name, self.message)?,
        }
        write!(f, "{}", self.help)
    }
}

/// A remark on a definition that loads all the same.
pub type Warning = Remark;

/// A definition that does not load, with every mistake that was found in one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DefinitionError {
    /// In the order of the file; never empty.
    pub mistakes: Vec<Remark>,
    /// Mistakes beyond [`MISTAKES_MAX`], which were counted and not kept.
    pub left_off: usize,
}

/// Mistakes that are kept of one file.
pub const MISTAKES_MAX: usize = 100;

impl fmt::Display for DefinitionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, mistake) in self.mistakes.iter().enumerate() {
            f.write_str(if index == 0 { "" } else { "\n\n" })?;
            mistake.fmt(f)?;
        }
        if self.left_off > 0 {
            write!(f, "\n\nand {} more", self.left_off)?;
        }
        Ok(())
    }
}

impl std::error::Error for DefinitionError {}

/// Gathers remarks on one text.
pub(crate) struct Remarks<'a> {
    text: &'a str,
    file_name: Arc<str>,
    /// Byte offset at which each line starts.
    line_starts: Vec<usize>,
    mistakes: Vec<Remark>,
    left_off: usize,
    warnings: Vec<Warning>,
}

impl<'a> Remarks<'a> {
    /// No remarks yet on `text`.
    pub fn new(text: &'a str, file_name: &str) -> Self {
        let after_newline = text.match_indices('\n').map(|(offset, _)| offset + 1);
        Remarks {
            text,
            file_name: file_name.into(),
            line_starts: std::iter::once(0).chain(after_newline).collect(),
            mistakes: Vec::new(),
            left_off: 0,
            warnings: Vec::new(),
        }
    }

    /// The line of a byte offset, from 1.
    pub fn line(&self, offset: usize) -> usize {
        self.line_starts.partition_point(|&start| start <= offset)
    }

    /// The text of the line of a byte offset, without its end.
    pub fn line_text(&self, offset: usize) -> &'a str {
        self.line_at(offset).1
    }

    /// Notes what keeps the definition from loading, at the bytes `span`.
    pub fn mistake(
        &mut self,
        span: Range<usize>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        // A file that is wrong throughout would otherwise make a report larger than itself.
        if self.mistakes.len() == MISTAKES_MAX {
            self.left_off += 1;
            return;
        }
        let remark = self.remark(span, message.into(), help.into());
        self.mistakes.push(remark);
    }

    /// Notes a mistake that no line shows, such as a table that is missing.
    pub fn mistake_of_file(&mut self, message: impl Into<String>, help: impl Into<String>) {
        self.mistakes.push(Remark {
            file_name: self.file_name.clone(),
            line: None,
            message: message.into(),
            help: help.into(),
            excerpt: String::new(),
            marked: 0..0,
        });
    }

    /// Notes what the owner should know and the program can live with.
    pub fn warning(
        &mut self,
        span: Range<usize>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        let remark = self.remark(span, message.into(), help.into());
        self.warnings.push(remark);
    }

    /// `value` and the warnings if nothing was wrong, every mistake otherwise.
    ///
    /// A `value` of `None` must have left a mistake behind.
    pub fn finish<T>(mut self, value: Option<T>) -> Result<(T, Vec<Warning>), DefinitionError> {
        match value {
            Some(value) if self.mistakes.is_empty() => {
                self.warnings.sort_by_key(|warning| warning.line);
                Ok((value, self.warnings))
            }
            _ => {
                debug_assert!(
                    !self.mistakes.is_empty(),
                    "refused without saying what is wrong"
                );
                self.mistakes.sort_by_key(|mistake| mistake.line);
                Err(DefinitionError {
                    mistakes: self.mistakes,
                    left_off: self.left_off,
                })
            }
        }
    }

    /// Whether a mistake has been noted.
    pub fn has_mistakes(&self) -> bool {
        !self.mistakes.is_empty()
    }

    fn remark(&self, span: Range<usize>, message: String, help: String) -> Remark {
        let (start, line_text) = self.line_at(span.start);
        let (excerpt, marked) = excerpt(
            line_text,
            span.start.saturating_sub(start)..span.end.saturating_sub(start),
        );
        Remark {
            file_name: self.file_name.clone(),
            line: Some(self.line(span.start)),
            message: presentable(&message),
            help: presentable(&help),
            excerpt,
            marked,
        }
    }

    /// Where the line of a byte offset starts, and its text without its end.
    fn line_at(&self, offset: usize) -> (usize, &'a str) {
        let line = self.line(offset);
        let start = self.line_starts.get(line - 1).copied().unwrap_or(0);
        let end = self
            .line_starts
            .get(line)
            .copied()
            .unwrap_or(self.text.len());
        let text = self.text.get(start..end).unwrap_or("");
        (start, text.trim_end_matches(['\n', '\r']))
    }
}

/// A message without control characters, and not longer than a screen: parts of it may come from the file.
fn presentable(message: &str) -> String {
    const SHOWN_MAX: usize = 400;
    let mut shown: String = message.chars().take(SHOWN_MAX).map(visible).collect();
    if message.chars().nth(SHOWN_MAX).is_some() {
        shown.push_str("...");
    }
    shown
}

/// A control character could steer the terminal; a tab takes one column, so that the marks stay below.
fn visible(c: char) -> char {
    match c {
        '\t' => ' ',
        c if c.is_control() => char::REPLACEMENT_CHARACTER,
        c => c,
    }
}

/// Characters of a line that are shown, and how many of them stand before the mark.
const SHOWN_MAX: usize = 100;
const SHOWN_BEFORE_MAX: usize = 40;

/// A window of `line` around the bytes `span`, and the marked characters within it.
fn excerpt(line: &str, span: Range<usize>) -> (String, Range<usize>) {
    let start = (line.char_indices())
        .take_while(|(offset, _)| *offset < span.start)
        .count();
    let length = (line.char_indices())
        .filter(|(offset, _)| span.contains(offset))
        .count();
    let total = line.chars().count();
    let from = if total <= SHOWN_MAX {
        0
    } else {
        start.saturating_sub(SHOWN_BEFORE_MAX)
    };
    let mut shown = String::new();
    let mut shift = 0;
    if from > 0 {
        shown.push_str("... ");
        shift = 4;
    }
    shown.extend(line.chars().skip(from).take(SHOWN_MAX).map(visible));
    if from + SHOWN_MAX < total {
        shown.push_str(" ...");
    }
    let first = (start - from).min(SHOWN_MAX);
    let last = (first + length).min(SHOWN_MAX);
    (
        shown.trim_end().to_owned(),
        first + shift..last.max(first) + shift,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_found_at_their_edges() {
        let remarks = Remarks::new("a\r\nbc\n", "x");
        for (offset, line, text) in [
            (0, 1, "a"),
            (2, 1, "a"),
            (3, 2, "bc"),
            (5, 2, "bc"),
            (6, 3, ""),
            (99, 3, ""),
        ] {
            assert_eq!(
                (remarks.line(offset), remarks.line_text(offset)),
                (line, text),
                "{offset}"
            );
        }
    }

    #[test]
    fn the_mark_stands_below_the_characters_whatever_the_line_holds() {
        for (line, span, shown, marked) in [
            ("naïve = 1", 9..10, "naïve = 1", 8..9),
            ("\tx = \u{7}", 1..2, " x = \u{fffd}", 1..2),
            ("short", 99..120, "short", 5..5),
        ] {
            assert_eq!(excerpt(line, span), (shown.to_owned(), marked));
        }
        let long = format!("{}!{}", "a".repeat(500), "b".repeat(500));
        let (shown, marked) = excerpt(&long, 500..501);
        assert_eq!(shown.chars().nth(marked.start), Some('!'));
        assert!(shown.chars().count() <= SHOWN_MAX + 8);
    }

    #[test]
    fn no_more_than_the_stated_number_of_mistakes_is_kept() {
        let mut remarks = Remarks::new("a\n", "x.toml");
        for _ in 0..MISTAKES_MAX + 7 {
            remarks.mistake(0..1, "wrong", "right it");
        }
        let error = remarks.finish::<()>(None).unwrap_err();
        assert_eq!((error.mistakes.len(), error.left_off), (MISTAKES_MAX, 7));
        assert!(error.to_string().ends_with("\n\nand 7 more"), "{error}");
    }
}
