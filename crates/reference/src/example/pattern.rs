//! Texts that match simple patterns.
//!
//! Groups, classes, alternatives, quantifiers and anchors are understood; for anything else there is no text. Work is
//! bounded by the length of the pattern and of the text.

/// What a pattern is made of.
enum Piece {
    Any(Vec<char>),
    Group(Vec<Vec<(Piece, usize, usize)>>),
}

type Sequence = Vec<(Piece, usize, usize)>;

const DEEPEST: usize = 16;
const LONGEST: usize = 400;

/// A text of at least `least` characters that matches a pattern, if that can be told.
pub(super) fn text(pattern: &str, least: usize) -> Option<String> {
    if pattern.len() > 2_000 {
        return None;
    }
    let mut parser = Parser {
        characters: pattern.chars().collect(),
        at: 0,
    };
    let alternatives = parser.alternatives(0)?;
    if parser.at < parser.characters.len() {
        return None;
    }
    let first = alternatives.first()?;
    let mut text = String::new();
    let mut missing = 0_usize;
    // Longer texts by repeating what may be repeated.
    for _ in 0..64 {
        text.clear();
        let mut extra = missing;
        write(first, &mut extra, &mut text)?;
        let length = text.chars().count();
        if length >= least {
            return Some(text);
        }
        let grown = missing.saturating_add(least - length);
        if extra == missing && missing > 0 {
            break;
        }
        missing = grown;
    }
    // Without an anchor at its end, anything may follow.
    if pattern.ends_with('$') {
        return None;
    }
    while text.chars().count() < least.min(LONGEST) {
        text.push('a');
    }
    Some(text)
}

fn write(sequence: &Sequence, extra: &mut usize, out: &mut String) -> Option<()> {
    for (piece, least, most) in sequence {
        let more = (*extra).min(most.saturating_sub(*least)).min(LONGEST);
        *extra -= more;
        for turn in 0..least.saturating_add(more) {
            if out.len() > LONGEST {
                return None;
            }
            match piece {
                Piece::Any(characters) => out.push(*characters.get(turn % characters.len().clamp(1, 10))?),
                Piece::Group(alternatives) => write(alternatives.first()?, &mut 0, out)?,
            }
        }
    }
    Some(())
}

struct Parser {
    characters: Vec<char>,
    at: usize,
}

impl Parser {
    fn peek(&self) -> Option<char> {
        self.characters.get(self.at).copied()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.peek();
        self.at += usize::from(next.is_some());
        next
    }

    fn eat(&mut self, wanted: char) -> bool {
        let found = self.peek() == Some(wanted);
        self.at += usize::from(found);
        found
    }

    fn alternatives(&mut self, depth: usize) -> Option<Vec<Sequence>> {
        if depth > DEEPEST {
            return None;
        }
        let mut all = vec![Vec::new()];
        while let Some(character) = self.peek() {
            match character {
                ')' if depth > 0 => break,
                '|' => {
                    self.at += 1;
                    all.push(Vec::new());
                }
                '^' | '$' => self.at += 1,
                _ => {
                    let piece = self.piece(depth)?;
                    let (least, most) = self.quantifier()?;
                    all.last_mut()?.push((piece, least, most));
                }
            }
        }
        Some(all)
    }

    fn piece(&mut self, depth: usize) -> Option<Piece> {
        Some(match self.next()? {
            '(' => {
                if self.eat('?') && !self.eat(':') {
                    // A name, or something that looks around.
                    if !self.eat('<') || matches!(self.peek(), Some('=' | '!')) {
                        return None;
                    }
                    while self.next()? != '>' {}
                }
                let inner = self.alternatives(depth + 1)?;
                if !self.eat(')') {
                    return None;
                }
                Piece::Group(inner)
            }
            '[' => Piece::Any(self.class()?),
            '.' => Piece::Any(vec!['a']),
            '\\' => match self.next()? {
                'b' => Piece::Group(vec![Vec::new()]),
                'B' | '1'..='9' | 'k' => return None,
                escaped => Piece::Any(self.escaped(escaped)?),
            },
            '*' | '+' | '?' | ')' => return None,
            plain => Piece::Any(vec![plain]),
        })
    }

    fn quantifier(&mut self) -> Option<(usize, usize)> {
        let found = match self.peek() {
            Some('*') => (0, LONGEST),
            Some('+') => (1, LONGEST),
            Some('?') => (0, 1),
            Some('{') => {
                let start = self.at;
                self.at += 1;
                let least = self.number();
                let comma = self.eat(',');
                let most = self.number();
                if !self.eat('}') || least.is_none() && most.is_none() {
                    self.at = start;
                    return None;
                }
                let least = least.unwrap_or(0);
                self.at -= 1;
                (least, if comma { most.unwrap_or(LONGEST) } else { least })
            }
            _ => return Some((1, 1)),
        };
        self.at += 1;
        // Lazy or possessive makes no difference to what matches first.
        let _ = self.eat('?') || self.eat('+');
        (found.0 <= LONGEST && found.0 <= found.1).then_some(found)
    }

    fn number(&mut self) -> Option<usize> {
        let mut number: Option<usize> = None;
        while let Some(digit) = self.peek().and_then(|c| c.to_digit(10)) {
            self.at += 1;
            let digit = usize::try_from(digit).ok()?;
            number = Some(number.unwrap_or(0).checked_mul(10)?.checked_add(digit)?);
        }
        number
    }

    fn class(&mut self) -> Option<Vec<char>> {
        let inverted = self.eat('^');
        let mut characters: Vec<char> = Vec::new();
        let mut first = true;
        loop {
            let character = match self.next()? {
                ']' if !first => break,
                '[' if self.peek() == Some(':') => return None,
                '\\' => {
                    let escaped = self.next()?;
                    let several = self.escaped(escaped)?;
                    if let [one] = several.as_slice() {
                        *one
                    } else {
                        characters.extend(several);
                        first = false;
                        continue;
                    }
                }
                plain => plain,
            };
            first = false;
            let range = self.peek() == Some('-') && self.characters.get(self.at + 1).is_some_and(|c| *c != ']');
            if !range {
                characters.push(character);
                continue;
            }
            self.at += 1;
            let mut end = self.next()?;
            if end == '\\' {
                let escaped = self.next()?;
                end = *self.escaped(escaped)?.first()?;
            }
            if end < character {
                return None;
            }
            characters.extend((character..=end).take(80));
        }
        if inverted {
            let fits = |c: &char| !characters.contains(c);
            return Some(vec![('a'..='z').chain('0'..='9').chain(['-', '_', ' ']).find(fits)?]);
        }
        (!characters.is_empty()).then_some(characters)
    }

    fn escaped(&mut self, escaped: char) -> Option<Vec<char>> {
        Some(match escaped {
            'd' => ('1'..='9').collect(),
            'w' => ('a'..='z').collect(),
            's' => vec![' '],
            'D' | 'S' => vec!['a'],
            'W' => vec!['-'],
            'n' => vec!['\n'],
            'r' => vec!['\r'],
            't' => vec!['\t'],
            'f' | 'v' | '0' | 'c' | 'P' => return None,
            'p' => {
                if !self.eat('{') {
                    return None;
                }
                let mut name = String::new();
                while !self.eat('}') {
                    name.push(self.next()?);
                }
                match name.as_str() {
                    "L" | "Ll" | "Letter" | "Alphabetic" => vec!['a'],
                    "Lu" => vec!['A'],
                    "N" | "Nd" => vec!['1'],
                    _ => return None,
                }
            }
            'u' | 'x' => {
                let digits = if escaped == 'u' { 4 } else { 2 };
                let text: String = self.characters.get(self.at..self.at + digits)?.iter().collect();
                self.at += digits;
                vec![char::from_u32(u32::from_str_radix(&text, 16).ok()?)?]
            }
            other => vec![other],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_match_their_patterns() {
        let table = [
            (r"^[a-z]{3}-\d+$", 0, "abc-1"),
            (r"^(foo|bar)$", 0, "foo"),
            (r"^#[0-9a-fA-F]{6}$", 0, "#012345"),
            (r"^\+?[1-9]\d{1,14}$", 4, "+112"),
            (r"^(?:v)?\d+\.\d+$", 0, "1.1"),
            (r"^[^@\s]+@[a-z]+\.[a-z]{2}$", 0, "a@a.ab"),
            (r"abc", 5, "abcaa"),
            (r"^.*$", 3, "aaa"),
        ];
        for (pattern, least, expected) in table {
            assert_eq!(text(pattern, least).as_deref(), Some(expected), "{pattern}");
        }
    }

    #[test]
    fn what_is_not_understood_gives_nothing() {
        for pattern in [
            r"^(?=x)y$",
            r"(a)\1",
            "(",
            "[",
            "a{2",
            "*",
            "(?!x)",
            r"^a$",
            "((((((((((((((((((((a",
        ] {
            let found = text(pattern, 2);
            assert!(found.is_none(), "{pattern}: {found:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_pattern_panics_or_grows(pattern in "\\PC{0,60}", least in 0_usize..500) {
            if let Some(text) = text(&pattern, least) {
                proptest::prop_assert!(text.len() <= 4 * LONGEST + 4);
            }
        }
    }
}
