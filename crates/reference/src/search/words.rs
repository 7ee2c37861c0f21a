//! Words of texts and of queries.

use tantivy::tokenizer::{Token, TokenStream, Tokenizer};

/// Words longer than this are cut.
const LONGEST: usize = 40;

/// Splits text for the index: letters and digits are words, of camel case also each part; characters of scripts without
/// spaces are pairs.
#[derive(Clone, Default)]
pub(super) struct Words;

/// The words of one text.
pub(super) struct Stream {
    tokens: std::vec::IntoIter<Token>,
    token: Token,
}

impl Tokenizer for Words {
    type TokenStream<'a> = Stream;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> Stream {
        let mut tokens = Vec::new();
        for (position, (from, to, word)) in split(text).into_iter().enumerate() {
            tokens.push(Token {
                offset_from: from,
                offset_to: to,
                position,
                text: word,
                position_length: 1,
            });
        }
        Stream {
            tokens: tokens.into_iter(),
            token: Token::default(),
        }
    }
}

impl TokenStream for Stream {
    fn advance(&mut self) -> bool {
        match self.tokens.next() {
            Some(token) => {
                self.token = token;
                true
            }
            None => false,
        }
    }

    fn token(&self) -> &Token {
        &self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        &mut self.token
    }
}

/// Scripts that are written without spaces between words.
fn is_dense(character: char) -> bool {
    matches!(u32::from(character), 0x0e00..=0x0eff | 0x1000..=0x109f | 0x1780..=0x17ff | 0x3040..=0x30ff | 0x31f0..=0x31ff
        | 0x3400..=0x9fff | 0xac00..=0xd7af | 0xf900..=0xfaff | 0xff66..=0xff9f | 0x20000..=0x3ffff)
}

/// Words with their places, in lower case.
pub(super) fn split(text: &str) -> Vec<(usize, usize, String)> {
    let mut found = Vec::new();
    let mut start = None;
    let mut dense: Vec<(usize, char)> = Vec::new();
    let end_of = |(at, character): (usize, char)| at + character.len_utf8();
    for (at, character) in text.char_indices().chain([(text.len(), ' ')]) {
        let is_word = character.is_alphanumeric() && !is_dense(character) || is_mark(character) && start.is_some();
        if !is_word && let Some(from) = start.take() {
            word(text, from, at, &mut found);
        }
        if is_dense(character) {
            dense.push((at, character));
        } else {
            for pair in dense.windows(2) {
                if let [first, second] = pair {
                    found.push((first.0, end_of(*second), format!("{}{}", first.1, second.1)));
                }
            }
            if let [only] = dense.as_slice() {
                found.push((only.0, end_of(*only), only.1.to_string()));
            }
            dense.clear();
        }
        if is_word && start.is_none() {
            start = Some(at);
        }
    }
    found
}

/// Combining marks belong to the letter before them.
fn is_mark(character: char) -> bool {
    matches!(u32::from(character), 0x0300..=0x036f | 0x0900..=0x0dff)
}

/// A word, and its parts where it is written in camel case.
fn word(text: &str, from: usize, to: usize, found: &mut Vec<(usize, usize, String)>) {
    let whole = text.get(from..to).unwrap_or_default();
    found.push((from, to, lower(whole)));
    let mut starts = vec![0];
    let mut before: Option<char> = None;
    for (at, character) in whole.char_indices() {
        if character.is_uppercase() && before.is_some_and(|c| c.is_lowercase() || c.is_numeric()) {
            starts.push(at);
        }
        before = Some(character);
    }
    if starts.len() < 2 || starts.len() > 12 {
        return;
    }
    starts.push(whole.len());
    for pair in starts.windows(2) {
        if let [start, end] = pair {
            let part = whole.get(*start..*end).unwrap_or_default();
            found.push((from + start, from + end, lower(part)));
        }
    }
}

fn lower(word: &str) -> String {
    word.to_lowercase().chars().take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        split(text).into_iter().map(|(_, _, word)| word).collect()
    }

    #[test]
    fn words_of_all_scripts() {
        assert_eq!(
            words("Get trackingNumber, v2!"),
            ["get", "trackingnumber", "tracking", "number", "v2"]
        );
        assert_eq!(words("Список счетов"), ["список", "счетов"]);
        assert_eq!(words("商品一覧 API"), ["商品", "品一", "一覧", "api"]);
        assert_eq!(words("é 字"), ["é", "字"]);
    }

    proptest::proptest! {
        #[test]
        fn places_lead_back_into_the_text(text in "\\PC*") {
            for (from, to, _) in split(&text) {
                proptest::prop_assert!(text.get(from..to).is_some());
            }
        }
    }
}
