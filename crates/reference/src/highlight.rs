//! JSON in colours: classes `k` for keys, `s` for texts, `n` for numbers, truth values and null.

use crate::html::{Html, escape};

/// JSON, or any text that looks a little like it, as markup; the text itself is unchanged.
#[must_use]
pub fn json(text: &str) -> Html {
    let mut out = String::with_capacity(text.len() * 2);
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let (length, class) = token(rest, first);
        let (token, after) = rest.split_at(length);
        match class {
            Some(class) => span(class, token, &mut out),
            None => escape(token, &mut out),
        }
        rest = after;
    }
    Html::trusted(out)
}

/// Appends text of a class.
pub(crate) fn span(class: char, text: &str, out: &mut String) {
    out.push_str("<span class=\"");
    out.push(class);
    out.push_str("\">");
    escape(text, out);
    out.push_str("</span>");
}

/// Length and class of the first token.
fn token(text: &str, first: char) -> (usize, Option<char>) {
    if first == '"' {
        let length = quoted(text);
        let after = text.get(length..).unwrap_or_default().trim_start_matches([' ', '\t']);
        return (length, Some(if after.starts_with(':') { 'k' } else { 's' }));
    }
    let word = |c: char| c.is_alphanumeric() || matches!(c, '-' | '+' | '.' | '_');
    if !word(first) {
        let length = text.find(|c: char| c == '"' || word(c)).unwrap_or(text.len());
        return (length, None);
    }
    let length = text.find(|c: char| !word(c)).unwrap_or(text.len());
    let token = text.get(..length).unwrap_or_default();
    let number = token
        .trim_start_matches(['-', '+'])
        .starts_with(|c: char| c.is_ascii_digit());
    let value = number || matches!(token, "true" | "false" | "null");
    (length, value.then_some('n'))
}

/// Length of a text in quotes, up to its end or that of the input.
fn quoted(text: &str) -> usize {
    let mut escaped = false;
    for (at, character) in text.char_indices().skip(1) {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_texts_and_numbers_have_classes_and_the_text_is_unchanged() {
        let html = json("{\n  \"a\": \"<b>\\\"\",\n  \"n\": [1, -2.5e3, true, null]\n}");
        for part in [
            "<span class=\"k\">&quot;a&quot;</span>: <span class=\"s\">&quot;&lt;b&gt;\\&quot;&quot;</span>",
            "<span class=\"n\">-2.5e3</span>",
            "<span class=\"n\">true</span>",
        ] {
            assert!(html.as_str().contains(part), "{part} in {html}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_comes_back(text in "\\PC*") {
            let html = json(&text);
            let stripped = html.as_str().replace("</span>", "");
            let stripped = ['k', 's', 'n'].iter().fold(stripped, |s, c| s.replace(&format!("<span class=\"{c}\">"), ""));
            let mut escaped = String::new();
            escape(&text, &mut escaped);
            proptest::prop_assert_eq!(stripped, escaped);
        }
    }
}
