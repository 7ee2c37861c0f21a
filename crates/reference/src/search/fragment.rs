//! A piece of text around what was found.

use super::words::split;
use crate::html::{Html, escape};

/// Characters around the first word that was found.
const BEFORE: usize = 60;
const LENGTH: usize = 200;

/// The piece, with `mark` elements around words of the query.
pub(super) fn fragment(text: &str, asked: &[String]) -> Html {
    let words = split(text);
    let is_found = |word: &str| {
        asked.iter().any(|asked| {
            word == asked || asked.chars().count() >= 3 && word.starts_with(asked.as_str()) || near(word, asked)
        })
    };
    let mut marks: Vec<(usize, usize)> = Vec::new();
    for (from, to, word) in &words {
        if is_found(word) && marks.last().is_none_or(|last| last.1 <= *from) {
            marks.push((*from, *to));
        }
    }
    let first = marks.first().map_or(0, |mark| mark.0);
    let start = back(text, first, BEFORE);
    let end = text
        .get(start..)
        .and_then(|rest| rest.char_indices().nth(LENGTH))
        .map_or(text.len(), |(at, _)| start + at);
    let mut out = String::new();
    if start > 0 {
        out.push('…');
    }
    let mut at = start;
    for (from, to) in marks.into_iter().filter(|(from, to)| *from >= start && *to <= end) {
        escape(text.get(at..from).unwrap_or_default(), &mut out);
        out.push_str("<mark>");
        escape(text.get(from..to).unwrap_or_default(), &mut out);
        out.push_str("</mark>");
        at = to;
    }
    escape(text.get(at..end).unwrap_or_default(), &mut out);
    if end < text.len() {
        out.push('…');
    }
    Html::trusted(out)
}

/// The place some characters before another, at the beginning of a word where one is near.
fn back(text: &str, at: usize, characters: usize) -> usize {
    let head = text.get(..at).unwrap_or_default();
    let start = head.char_indices().rev().nth(characters).map_or(0, |(at, _)| at);
    if start == 0 {
        return 0;
    }
    let space = head.get(start..).and_then(|rest| rest.find(char::is_whitespace));
    space.map_or(start, |space| start + space + 1).min(at)
}

/// Whether two words differ by one letter: enough to mark what a typo found.
fn near(word: &str, asked: &str) -> bool {
    let (word, asked): (Vec<char>, Vec<char>) = (word.chars().collect(), asked.chars().collect());
    if asked.len() < 5 || word.len().abs_diff(asked.len()) > 1 {
        return false;
    }
    let same = word.iter().zip(&asked).take_while(|(a, b)| a == b).count();
    let tail = word
        .iter()
        .rev()
        .zip(asked.iter().rev())
        .take_while(|(a, b)| a == b)
        .count();
    same + tail + 1 >= word.len().max(asked.len())
}
