//! Rust source as text: without its comments and literals, and with its `use` declarations spelt out.

/// The text with every comment and the inside of every literal blanked. Lines stay where they are.
pub fn code(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let opaque = opaque_len(rest, out.chars().next_back());
        let (taken, left) = rest.split_at(if opaque > 0 { opaque } else { next.len_utf8() });
        if opaque > 0 {
            out.extend(
                taken
                    .chars()
                    .map(|char| if char == '\n' { '\n' } else { ' ' }),
            );
        } else {
            out.push(next);
        }
        rest = left;
    }
    out
}

/// How many bytes at the start of `rest` are a comment or a literal: 0 if neither stands there.
fn opaque_len(rest: &str, before: Option<char>) -> usize {
    let to = |end: Option<usize>| end.unwrap_or(rest.len());
    if rest.starts_with("//") {
        to(rest.find('\n'))
    } else if rest.starts_with("/*") {
        block_comment_len(rest)
    } else if rest.starts_with('"') {
        string_len(rest)
    } else if rest.starts_with('\'') {
        char_len(rest)
    } else if before.is_none_or(|char| !is_word(char)) {
        let marker = rest.trim_start_matches(['b', 'c']);
        let Some(hashes) = marker.strip_prefix('r') else {
            return 0;
        };
        let opened = hashes.trim_start_matches('#');
        let count = hashes.len() - opened.len();
        let Some(inside) = opened.strip_prefix('"') else {
            return 0; // A name such as `r#type`, or a word that begins with r.
        };
        let close = format!("\"{}", "#".repeat(count));
        let start = rest.len() - inside.len();
        to(inside.find(&close).map(|at| start + at + close.len()))
    } else {
        0
    }
}

/// Block comments nest.
fn block_comment_len(rest: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < rest.len() {
        let step = if rest[at..].starts_with("/*") {
            depth += 1;
            2
        } else if rest[at..].starts_with("*/") {
            depth -= 1;
            2
        } else {
            rest[at..].chars().next().map_or(1, char::len_utf8)
        };
        at += step;
        if depth == 0 {
            return at;
        }
    }
    rest.len()
}

fn string_len(rest: &str) -> usize {
    let mut escaped = false;
    for (at, char) in rest.char_indices().skip(1) {
        match char {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// A quote begins a character or a lifetime; the latter is code.
fn char_len(rest: &str) -> usize {
    let mut chars = rest.char_indices().skip(1);
    match chars.next() {
        // What follows the backslash may be a quote itself.
        Some((_, '\\')) => {
            chars.next();
            chars
                .find(|(_, char)| *char == '\'')
                .map_or(0, |(at, _)| at + 1)
        }
        Some(_) => chars
            .next()
            .filter(|(_, char)| *char == '\'')
            .map_or(0, |(at, _)| at + 1),
        None => 0,
    }
}

/// Whether `code` holds `pattern` where no longer word begins or ends.
pub fn mentions(code: &str, pattern: &str) -> bool {
    let cuts = |outer: Option<char>, inner: Option<char>| {
        !(outer.is_some_and(is_word) && inner.is_some_and(is_word))
    };
    code.match_indices(pattern).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        let after = code[at + pattern.len()..].chars().next();
        cuts(before, pattern.chars().next()) && cuts(after, pattern.chars().next_back())
    })
}

fn is_word(char: char) -> bool {
    char.is_alphanumeric() || char == '_'
}

/// Every path that a `use` with braces brings in, written out as a `use` of its own, and the line of that `use`
/// (counted from 1).
pub fn grouped_uses(code: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("use ") {
        let declaration = code[at..].split(';').next().unwrap_or_default();
        let starts = code[..at].chars().next_back().is_none_or(|c| !is_word(c));
        if !starts || !declaration.contains('{') {
            continue;
        }
        let mut paths = Vec::new();
        let tree: String = declaration["use ".len()..].split_whitespace().collect();
        expand("", &tree, &mut paths);
        let line = code[..at].matches('\n').count() + 1;
        found.extend(paths.into_iter().map(|path| (line, format!("use {path}"))));
    }
    found
}

fn expand(prefix: &str, tree: &str, paths: &mut Vec<String>) {
    let mut depth = 0;
    let branches = tree.split(|char| {
        match char {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        char == ',' && depth == 0
    });
    for branch in branches.filter(|branch| !branch.is_empty()) {
        match branch.split_once('{') {
            None => paths.push(format!("{prefix}{branch}")),
            Some((head, rest)) => {
                let inside = rest.rsplit_once('}').map_or(rest, |(inside, _)| inside);
                expand(&format!("{prefix}{head}"), inside, paths);
            }
        }
    }
}

#[test]
fn comments_and_literals_are_no_code() {
    for (text, expected) in [
        ("a // b\nc", "a     \nc"),
        ("/// b\nc", "     \nc"),
        ("a /* b /* c */ d */ e", "a                   e"),
        ("a /* b\nc */ d", "a     \n     d"),
        (r#"a("b // c") d"#, "a(        ) d"),
        (r#"a("\"b") d"#, "a(     ) d"),
        (r###"a(r#"b"c"#) d"###, "a(        ) d"),
        (r#"a(br"b\") d"#, "a(      ) d"),
        (r#"r#type bar"b""#, "r#type bar   "),
        (
            r"a('\'', '\\', '\u{1F}', '\n', 'é') b",
            "a(    ,     ,         ,     ,    ) b",
        ),
        (r#"a('"', b'"') b"#, "a(   , b   ) b"),
        (
            "fn a<'b>(c: &'b str) -> &'b str",
            "fn a<'b>(c: &'b str) -> &'b str",
        ),
        ("a \"never closed", "a              "),
        ("a /* never closed", "a                "),
        ("'", "'"),
    ] {
        // A blanked character may have had more bytes than the blank.
        let squeezed = |text: &str| {
            text.split(' ')
                .filter(|s| !s.is_empty())
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert_eq!(squeezed(&code(text)), squeezed(expected), "{text}");
        assert_eq!(code(text).chars().count(), text.chars().count(), "{text}");
    }
}

#[test]
fn a_pattern_is_found_as_whole_words() {
    for (code, pattern, expected) in [
        ("use rand::Rng;", "rand::", true),
        ("use rand;", "use rand", true),
        ("use rand_distr::Normal;", "use rand", false),
        ("operand::of(x)", "rand::", false),
        ("let std::fs::File = f;", "std::fs", true),
        ("std::fsync()", "std::fs", false),
        ("Timestamp::now()", "::now", true),
        ("Timestamp::nowhere()", "::now", false),
        ("println!()", "println!", true),
        ("eprintln!()", "println!", false),
    ] {
        assert_eq!(mentions(code, pattern), expected, "{pattern} in {code}");
    }
}

#[test]
fn a_grouped_use_is_spelt_out() {
    let code =
        "use a::b;\npub use std::{\n    fs,\n    io::{self, Read},\n};\nfn f() { reuse {x} }\n";
    let found = grouped_uses(code);
    let expected = [
        (2, "use std::fs"),
        (2, "use std::io::self"),
        (2, "use std::io::Read"),
    ]
    .map(|(line, path)| (line, path.to_owned()));
    assert_eq!(found, expected);
}
