//! Finds numbers in a JSON text by RFC 6901 pointers while the text streams past.
//!
//! Invariants: chunks may be split anywhere; memory is a few hundred bytes whatever the text; nesting deeper than
//! [`MAX_DEPTH`] gives up. A member that occurs twice counts with its last value, as most readers take it. A text that
//! is not one JSON value from its first to its last byte yields nothing.
//!
//! Deliberately absent: validation of numbers and words that no pointer leads to, and of UTF-8.

use domain::quantity::{MAX_UNITS_PER_EVENT, Quantity};

/// Deeper nesting gives up.
pub(crate) const MAX_DEPTH: usize = 128;
const NUMBER_BYTES: usize = 64;
const NANOS: i128 = 1_000_000_000;

/// A JSON pointer, split into its reference tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pointer(Box<[Box<[u8]>]>);

impl Pointer {
    /// From its unescaped tokens.
    pub(crate) fn new<'a>(tokens: impl IntoIterator<Item = &'a [u8]>) -> Self {
        Self(tokens.into_iter().map(Into::into).collect())
    }
}

/// One pointer being followed.
#[derive(Debug)]
struct Target {
    pointer: Pointer,
    /// How many of the open containers lie on the way.
    on_path: usize,
    /// The next value lies on the way (or is the end of it).
    hit: bool,
    /// How much of the member name read so far agrees; `None` once it does not.
    agreed: Option<usize>,
    value: Option<Quantity>,
}

impl Target {
    fn token(&self, depth: usize) -> Option<&[u8]> {
        if self.on_path != depth {
            return None;
        }
        self.pointer.0.get(depth.checked_sub(1)?).map(AsRef::as_ref)
    }

    fn compare(&mut self, depth: usize, part: &[u8]) {
        let Some(at) = self.agreed else { return };
        let agrees = self
            .token(depth)
            .and_then(|token| token.get(at..))
            .is_some_and(|rest| rest.starts_with(part));
        self.agreed = agrees.then_some(at + part.len());
    }

    fn is_end(&self, depth: usize) -> bool {
        self.hit && self.pointer.0.len() == depth
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// A value must follow.
    Value,
    /// The first element of an array or its end.
    FirstElement,
    /// The first member name of an object or its end.
    FirstName,
    /// A member name must follow.
    Name,
    /// The colon after a name.
    Colon,
    /// After a value within a container.
    Next,
    /// Within a string; the flag says that it is a member name.
    Text { name: bool },
    /// After a backslash.
    Escape { name: bool },
    /// Within `\uXXXX`: digits still to come and the value so far.
    Unicode { name: bool, left: u8, code: u32 },
    /// Within a number; the flag says that a pointer ends here.
    Number { wanted: bool },
    /// Within `true`, `false` or `null`.
    Word,
    /// The one value of the text has ended.
    Done,
    /// Not JSON, or too deep.
    Failed,
}

/// Follows several pointers through one text.
#[derive(Debug)]
pub(crate) struct Scanner {
    state: State,
    depth: usize,
    /// For each open container: whether it is an array, and the index of its current element.
    arrays: [u64; MAX_DEPTH / 64],
    indexes: Vec<u32>,
    high_surrogate: u32,
    number: [u8; NUMBER_BYTES],
    number_len: usize,
    targets: Vec<Target>,
}

impl Scanner {
    /// A scanner at the start of a text.
    pub(crate) fn new(pointers: impl IntoIterator<Item = Pointer>) -> Self {
        let target = |pointer| Target {
            pointer,
            on_path: 0,
            hit: true,
            agreed: None,
            value: None,
        };
        let targets: Vec<_> = pointers.into_iter().map(target).collect();
        let longest = targets.iter().map(|target| target.pointer.0.len()).max().unwrap_or(0);
        Self {
            state: State::Value,
            depth: 0,
            arrays: [0; MAX_DEPTH / 64],
            indexes: vec![0; longest],
            high_surrogate: 0,
            number: [0; NUMBER_BYTES],
            number_len: 0,
            targets,
        }
    }

    /// Reads on.
    pub(crate) fn feed(&mut self, chunk: &[u8]) {
        let mut rest = chunk;
        while let Some((&byte, behind)) = rest.split_first() {
            let state = self.state;
            rest = match state {
                State::Failed => return,
                State::Text { name } => self.text(name, rest),
                State::Number { wanted } if self.digit(wanted, byte) => behind,
                State::Word if byte.is_ascii_lowercase() => behind,
                State::Number { .. } | State::Word => {
                    self.value_ended();
                    rest
                }
                _ => {
                    self.step(byte);
                    behind
                }
            };
        }
    }

    /// What each pointer led to, in the order given; `None` for what is missing or no plain non-negative number.
    pub(crate) fn finish(mut self) -> Vec<Option<Quantity>> {
        if matches!(self.state, State::Number { .. } | State::Word) {
            self.value_ended();
        }
        let complete = self.state == State::Done;
        self.targets
            .iter()
            .map(|target| target.value.filter(|_| complete))
            .collect()
    }

    fn step(&mut self, byte: u8) {
        if byte.is_ascii_whitespace() && !matches!(self.state, State::Escape { .. } | State::Unicode { .. }) {
            return;
        }
        match (self.state, byte) {
            (State::FirstElement, b']') | (State::FirstName, b'}') | (State::Next, b']' | b'}') => self.close(byte),
            (State::Value, _) => self.begin(byte),
            (State::FirstElement, _) => {
                self.element();
                self.begin(byte);
            }
            (State::FirstName | State::Name, b'"') => self.begin_name(),
            (State::Colon, b':') => self.state = State::Value,
            (State::Next, b',') if self.in_array() => {
                self.element();
                self.state = State::Value;
            }
            (State::Next, b',') => self.state = State::Name,
            (State::Escape { name }, _) => self.escape(name, byte),
            (State::Unicode { name, left, code }, _) => self.unicode(name, (left, code), byte),
            _ => self.state = State::Failed,
        }
    }

    /// A value begins with this byte.
    fn begin(&mut self, byte: u8) {
        let wanted = self.targets.iter().any(|target| target.is_end(self.depth));
        for target in self.targets.iter_mut().filter(|target| target.hit) {
            target.value = None;
        }
        match byte {
            b'{' | b'[' => return self.open(byte),
            b'"' => self.state = State::Text { name: false },
            b't' | b'f' | b'n' => self.state = State::Word,
            b'-' | b'0'..=b'9' => {
                self.number_len = 0;
                self.state = State::Number { wanted };
                self.digit(wanted, byte);
            }
            _ => self.state = State::Failed,
        }
        if !matches!(self.state, State::Number { wanted: true }) {
            self.targets.iter_mut().for_each(|target| target.hit = false);
        }
    }

    fn open(&mut self, byte: u8) {
        if self.depth == MAX_DEPTH {
            self.state = State::Failed;
            return;
        }
        let bit = 1_u64 << (self.depth % 64);
        if byte == b'[' {
            self.arrays[self.depth / 64] |= bit;
            self.state = State::FirstElement;
        } else {
            self.arrays[self.depth / 64] &= !bit;
            self.state = State::FirstName;
        }
        if let Some(index) = self.indexes.get_mut(self.depth) {
            *index = 0;
        }
        self.depth += 1;
        for target in &mut self.targets {
            if target.hit && target.pointer.0.len() >= self.depth {
                target.on_path = self.depth;
            }
            target.hit = false;
        }
    }

    fn close(&mut self, byte: u8) {
        if self.in_array() != (byte == b']') {
            self.state = State::Failed;
            return;
        }
        self.depth -= 1;
        for target in &mut self.targets {
            target.on_path = target.on_path.min(self.depth);
        }
        self.after_value();
    }

    const fn after_value(&mut self) {
        self.state = if self.depth == 0 { State::Done } else { State::Next };
    }

    const fn in_array(&self) -> bool {
        self.depth > 0 && self.arrays[(self.depth - 1) / 64] >> ((self.depth - 1) % 64) & 1 == 1
    }

    /// The next value is an element of the innermost array.
    fn element(&mut self) {
        let Some(index) = self.indexes.get_mut(self.depth - 1) else {
            return;
        };
        let current = *index;
        *index = index.saturating_add(1);
        for target in &mut self.targets {
            target.hit = target.token(self.depth).is_some_and(|token| is_index(token, current));
        }
    }

    fn begin_name(&mut self) {
        self.state = State::Text { name: true };
        for target in &mut self.targets {
            target.agreed = target.token(self.depth).map(|_| 0);
        }
    }

    /// Within a string: runs to the next quote or backslash.
    fn text<'a>(&mut self, name: bool, rest: &'a [u8]) -> &'a [u8] {
        let Some(at) = memchr::memchr2(b'"', b'\\', rest) else {
            self.compare(name, rest);
            return &[];
        };
        let (part, behind) = rest.split_at(at);
        self.compare(name, part);
        if behind.first() == Some(&b'\\') {
            self.state = State::Escape { name };
        } else {
            self.string_ended(name);
        }
        behind.get(1..).unwrap_or_default()
    }

    fn compare(&mut self, name: bool, part: &[u8]) {
        if !name || part.is_empty() {
            return;
        }
        if std::mem::take(&mut self.high_surrogate) != 0 {
            self.targets.iter_mut().for_each(|target| target.agreed = None);
        }
        self.targets
            .iter_mut()
            .for_each(|target| target.compare(self.depth, part));
    }

    fn string_ended(&mut self, name: bool) {
        let lone = std::mem::take(&mut self.high_surrogate) != 0;
        if !name {
            self.after_value();
            return;
        }
        for target in &mut self.targets {
            let whole = target.token(self.depth).map(<[u8]>::len);
            target.hit = !lone && target.agreed.is_some() && target.agreed == whole;
        }
        self.state = State::Colon;
    }

    fn escape(&mut self, name: bool, byte: u8) {
        let plain = match byte {
            b'"' | b'\\' | b'/' => byte,
            b'b' => 8,
            b'f' => 12,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => {
                self.state = State::Unicode { name, left: 4, code: 0 };
                return;
            }
            _ => {
                self.state = State::Failed;
                return;
            }
        };
        self.compare(name, &[plain]);
        self.state = State::Text { name };
    }

    fn unicode(&mut self, name: bool, (left, code): (u8, u32), byte: u8) {
        let Some(digit) = char::from(byte).to_digit(16) else {
            self.state = State::Failed;
            return;
        };
        let code = code << 4 | digit;
        if left > 1 {
            self.state = State::Unicode {
                name,
                left: left - 1,
                code,
            };
            return;
        }
        self.state = State::Text { name };
        if (0xd800..0xdc00).contains(&code) && self.high_surrogate == 0 {
            self.high_surrogate = code;
            return;
        }
        let joined = match std::mem::take(&mut self.high_surrogate) {
            0 => code,
            high if (0xdc00..0xe000).contains(&code) => 0x1_0000 + ((high - 0xd800) << 10) + (code - 0xdc00),
            _ => u32::MAX,
        };
        // A lone surrogate stands for no character, so it agrees with no name.
        let mut buffer = [0; 4];
        match char::from_u32(joined) {
            Some(character) => self.compare(name, character.encode_utf8(&mut buffer).as_bytes()),
            None => self.compare(name, &[0xff]),
        }
    }

    /// Takes a byte of a number; `false` when it does not belong to one.
    fn digit(&mut self, wanted: bool, byte: u8) -> bool {
        if !matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E') {
            return false;
        }
        if wanted {
            if let Some(slot) = self.number.get_mut(self.number_len) {
                *slot = byte;
            }
            self.number_len = self.number_len.saturating_add(1);
        }
        true
    }

    fn value_ended(&mut self) {
        if matches!(self.state, State::Number { wanted: true }) {
            let value = self.number.get(..self.number_len).and_then(parse_number);
            for target in &mut self.targets {
                if target.is_end(self.depth) {
                    target.value = value;
                }
                target.hit = false;
            }
        }
        self.after_value();
    }
}

fn is_index(token: &[u8], index: u32) -> bool {
    let canonical = token == b"0" || token.first().is_some_and(|byte| (b'1'..=b'9').contains(byte));
    let text = std::str::from_utf8(token).unwrap_or_default();
    canonical && text.parse() == Ok(index)
}

/// The exact value of a JSON number; `None` when it is negative, too large, or finer than a billionth.
fn parse_number(text: &[u8]) -> Option<Quantity> {
    let text = std::str::from_utf8(text).ok()?;
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (units, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let well_formed = !units.is_empty()
        && (units == "0" || !units.starts_with('0'))
        && !mantissa.ends_with('.')
        && units.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit());
    if !well_formed {
        return None;
    }
    let digits: String = [units, fraction].concat();
    let significant = digits.trim_end_matches('0');
    let trailing = digits.len() - significant.len();
    let number: i128 = if significant.is_empty() {
        0
    } else {
        significant.parse().ok()?
    };
    if number == 0 {
        return Some(Quantity::ZERO);
    }
    let scale = i32::try_from(trailing).ok()? - i32::try_from(fraction.len()).ok()? + 9;
    let power = u32::try_from(scale.checked_add(exponent)?).ok()?;
    let nanos = number.checked_mul(10_i128.checked_pow(power)?)?;
    (nanos <= i128::from(MAX_UNITS_PER_EVENT) * NANOS).then(|| Quantity::from_nanos(nanos))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pointer(text: &str) -> Pointer {
        let tokens: Vec<String> = text
            .split('/')
            .skip(1)
            .map(|token| token.replace("~1", "/").replace("~0", "~"))
            .collect();
        Pointer::new(tokens.iter().map(String::as_bytes))
    }

    fn find_split(json: &[u8], pointers: &[&str], size: usize) -> Vec<Option<String>> {
        let mut scanner = Scanner::new(pointers.iter().map(|text| pointer(text)));
        json.chunks(size).for_each(|chunk| scanner.feed(chunk));
        scanner
            .finish()
            .into_iter()
            .map(|value| value.map(|value| value.to_string()))
            .collect()
    }

    fn find(json: &str, pointer: &str) -> Option<String> {
        let whole = find_split(json.as_bytes(), &[pointer], usize::MAX);
        for size in 1..5 {
            assert_eq!(
                find_split(json.as_bytes(), &[pointer], size),
                whole,
                "{json} in pieces of {size}"
            );
        }
        whole.into_iter().next().flatten()
    }

    #[test]
    fn the_examples_of_rfc_6901_lead_where_they_should() {
        let json = r#"{"foo":["bar",7],"":0,"a/b":1,"c%d":2,"e^f":3,"g|h":4,"i\\j":5,"k\"l":6," ":7.5,"m~n":8}"#;
        for (pointer, value) in [
            ("/foo/1", "7"),
            ("/", "0"),
            ("/a~1b", "1"),
            ("/c%d", "2"),
            ("/i\\j", "5"),
            ("/k\"l", "6"),
            ("/ ", "7.5"),
            ("/m~0n", "8"),
        ] {
            assert_eq!(find(json, pointer).as_deref(), Some(value), "{pointer}");
        }
        for pointer in [
            "", "/foo", "/foo/0", "/foo/2", "/foo/01", "/foo/-", "/foo/1/x", "/fo", "/fooo",
        ] {
            assert_eq!(find(json, pointer), None, "{pointer}");
        }
    }

    #[test]
    fn only_exact_non_negative_numbers_count() {
        for (text, value) in [
            ("12", Some("12")),
            ("0.5", Some("0.5")),
            ("1e3", Some("1000")),
            ("1.25E+2", Some("125")),
            ("1500e-3", Some("1.5")),
            ("1000000000000000", Some("1000000000000000")),
            ("-1", None),
            ("01", None),
            ("1.", None),
            ("1e400", None),
            ("0.0000000001", None),
            ("1000000000000001", None),
            ("\"5\"", None),
            ("null", None),
            ("[5]", None),
        ] {
            let json = format!("{{\"a\":{{\"n\": {text} }}}}");
            assert_eq!(find(&json, "/a/n").as_deref(), value, "{text}");
        }
        assert_eq!(find(" 42 ", "").as_deref(), Some("42"));
        assert_eq!(find("42", "").as_deref(), Some("42"));
    }

    #[test]
    fn the_last_of_two_members_counts_and_escaped_names_are_the_same_names() {
        assert_eq!(find(r#"{"n":1,"n":2}"#, "/n").as_deref(), Some("2"));
        assert_eq!(find(r#"{"u":{"n":1},"u":{}}"#, "/u/n"), None);
        assert_eq!(find(r#"{"\u0061\ud83d\ude00":3}"#, "/a😀").as_deref(), Some("3"));
        assert_eq!(find(r#"{"\ud83d":3}"#, "/\u{fffd}"), None);
        assert_eq!(find(r#"{"x":{"n":1},"n":4,"y":[{"n":5}]}"#, "/n").as_deref(), Some("4"));
    }

    #[test]
    fn what_is_not_one_whole_json_value_yields_nothing() {
        for json in [
            "",
            "{\"n\":1",
            "{\"n\":1]",
            "{\"n\":1}x",
            "{\"n\":1,}",
            "{n:1}",
            "[1}",
            "{\"n\" 1}",
            "data: {\"n\":1}",
        ] {
            assert_eq!(find(json, "/n"), None, "{json}");
        }
        let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(find_split(deep.as_bytes(), &["/n"], 4096), [None]);
    }

    proptest! {
        #[test]
        fn it_agrees_with_a_reader_that_holds_the_whole_text(
            value in json_value(),
            size in 1_usize..40,
        ) {
            let text = value.to_string();
            for pointer in ["/a", "/b/a", "/a/0", "/a/1/b", "/b/b/b", "/c\"d/a", ""] {
                let expected = value.pointer(pointer)
                    .filter(|found| found.is_u64())
                    .map(ToString::to_string);
                let found = find_split(text.as_bytes(), &["/zz", pointer], size);
                prop_assert_eq!(&found[1], &expected, "{} in {}", pointer, text);
            }
        }

        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..200), size in 1_usize..9) {
            find_split(&bytes, &["/a", ""], size);
        }
    }

    fn json_value() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            (0_u64..1_000_000).prop_map(serde_json::Value::from),
            any::<bool>().prop_map(serde_json::Value::from),
            "[a-c\"\\\\\u{1}é]{0,4}".prop_map(serde_json::Value::from),
            Just(serde_json::Value::Null),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(serde_json::Value::from),
                proptest::collection::vec(("a|b|c\"d|é", inner), 0..4)
                    .prop_map(|members| members.into_iter().collect::<serde_json::Map<_, _>>().into()),
            ]
        })
    }
}
