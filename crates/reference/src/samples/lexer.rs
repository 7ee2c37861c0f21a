//! Colours of the code that this crate prints: no grammar of whole languages.

use super::{Class, Language};

/// Beginning and end of a text in quotes, and whether a backslash hides its end.
type Quotes = &'static [(&'static str, &'static str, bool)];

struct Grammar {
    quotes: Quotes,
    comment: &'static str,
    keywords: &'static [&'static str],
}

const fn grammar(language: Language) -> Grammar {
    let double: Quotes = &[("\"", "\"", true)];
    let (quotes, comment, keywords): (Quotes, _, &'static [&'static str]) = match language {
        Language::Curl => (&[("'", "'", false), ("\"", "\"", true)], "# ", &["curl"]),
        Language::Python => (double, "# ", &["import", "from", "print", "with", "as", "open"]),
        Language::JavaScript | Language::TypeScript => (
            double,
            "// ",
            &[
                "const", "await", "new", "if", "throw", "import", "from", "method", "headers", "body",
            ],
        ),
        Language::Go => (
            &[("\"", "\"", true), ("`", "`", false)],
            "// ",
            &[
                "package", "import", "func", "if", "return", "defer", "panic", "var", "nil",
            ],
        ),
        Language::Java => (
            &[("\"\"\"", "\"\"\"", true), ("\"", "\"", true)],
            "// ",
            &["import", "var", "public", "class", "static", "void", "throws", "new"],
        ),
        Language::CSharp => (
            &[("\"\"\"", "\"\"\"", false), ("\"", "\"", true)],
            "// ",
            &["using", "var", "new", "await", "string"],
        ),
        Language::Php => (&[("'", "'", true)], "// ", &["php", "new", "echo", "array"]),
        Language::Ruby => (&[("'", "'", true)], "# ", &["require", "do", "end", "puts"]),
        Language::Rust => (
            &[("r##\"", "\"##", false), ("\"", "\"", true)],
            "// ",
            &["use", "fn", "let", "mut", "async", "await", "Ok"],
        ),
    };
    Grammar {
        quotes,
        comment,
        keywords,
    }
}

const CONSTANTS: [&str; 9] = [
    "true",
    "false",
    "null",
    "nil",
    "None",
    "True",
    "False",
    "undefined",
    "NULL",
];

/// Pieces of a text with what they are.
pub(super) fn spans(text: &str, language: Language) -> Vec<(Option<Class>, &str)> {
    let grammar = grammar(language);
    let mut spans: Vec<(Option<Class>, &str)> = Vec::new();
    let (mut plain, mut at) = (0, 0);
    while at < text.len() {
        let rest = text.get(at..).unwrap_or_default();
        let before = text.get(..at).and_then(|text| text.chars().next_back());
        let (length, class) = token(rest, before, &grammar);
        if class.is_some() {
            if plain < at {
                spans.push((None, text.get(plain..at).unwrap_or_default()));
            }
            spans.push((class, text.get(at..at + length).unwrap_or_default()));
            plain = at + length;
        }
        at += length.max(1);
    }
    if plain < text.len() {
        spans.push((None, text.get(plain..).unwrap_or_default()));
    }
    spans
}

fn token(rest: &str, before: Option<char>, grammar: &Grammar) -> (usize, Option<Class>) {
    // An escaped quote of a shell stands between two texts.
    if rest.starts_with('\\') {
        let next = rest.chars().nth(1).map_or(0, char::len_utf8);
        return (1 + next, None);
    }
    for (open, close, escapes) in grammar.quotes {
        if rest.starts_with(open) {
            return (quoted(rest, open.len(), close, *escapes), Some(Class::Text));
        }
    }
    if rest.starts_with(grammar.comment) && before.is_none_or(char::is_whitespace) {
        return (rest.find('\n').unwrap_or(rest.len()), Some(Class::Comment));
    }
    let word = |c: char| c.is_alphanumeric() || c == '_';
    let first = rest.chars().next().unwrap_or(' ');
    if !word(first) {
        return (first.len_utf8(), None);
    }
    let length = rest.find(|c: char| !word(c)).unwrap_or(rest.len());
    let name = rest.get(..length).unwrap_or_default();
    let class = if CONSTANTS.contains(&name) || first.is_ascii_digit() {
        Some(Class::Number)
    } else if grammar.keywords.contains(&name) {
        Some(Class::Keyword)
    } else {
        None
    };
    (length, class)
}

fn quoted(text: &str, start: usize, close: &str, escapes: bool) -> usize {
    let mut at = start;
    while at < text.len() {
        let rest = text.get(at..).unwrap_or_default();
        if rest.starts_with(close) {
            return at + close.len();
        }
        let mut characters = rest.chars();
        let first = characters.next().map_or(1, char::len_utf8);
        let skipped = if escapes && rest.starts_with('\\') {
            characters.next().map_or(0, char::len_utf8)
        } else {
            0
        };
        at += first + skipped;
    }
    text.len()
}
