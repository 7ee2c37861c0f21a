//! Strict JSON (RFC 8259) with positions.
//!
//! The standard parser gives no positions of values and keeps silent about duplicate keys; this one does both at about
//! the same speed and otherwise gives the same values, which a property test holds.

use serde_json::{Map, Value};

use super::source::narrow;
use super::spot::Spot;
use super::{Failure, Limits, Notes, Raw, RawKind, RawNote, scalar};

/// Reads one JSON value.
pub(super) fn parse(text: &str, limits: &Limits) -> Result<Raw, Failure> {
    let mut reader = Reader {
        text,
        at: 0,
        depth: 0,
        nodes: 0,
        limits,
        notes: Notes::default(),
    };
    reader.skip_space();
    let (value, root) = reader.value()?;
    reader.skip_space();
    if reader.at < text.len() {
        return Err(reader.fail("there is text after the end of the value"));
    }
    Ok(Raw {
        value,
        root,
        notes: reader.notes.0,
    })
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    nodes: usize,
    limits: &'a Limits,
    notes: Notes,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn fail(&self, reason: &str) -> Failure {
        if self.at >= self.text.len() {
            return Failure::new(self.at, "the text ends in the middle of a value");
        }
        Failure::new(self.at, reason)
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    /// Recursion is bounded by the depth limit.
    fn value(&mut self) -> Result<(Value, Spot), Failure> {
        self.nodes += 1;
        if self.nodes > self.limits.nodes {
            return Err(Failure::limit(
                self.at,
                format!("there are more than {} values", self.limits.nodes),
            ));
        }
        let start = narrow(self.at);
        let mut spot = Spot::new(start, start);
        let value = match self.peek() {
            Some(b'{') => self.nested(&mut spot, Self::object)?,
            Some(b'[') => self.nested(&mut spot, Self::array)?,
            Some(b'"') => Value::String(self.string()?),
            Some(b'-' | b'0'..=b'9') => self.number()?,
            Some(b't') => self.word("true", Value::Bool(true))?,
            Some(b'f') => self.word("false", Value::Bool(false))?,
            Some(b'n') => self.word("null", Value::Null)?,
            _ => return Err(self.fail("a value is expected here")),
        };
        spot.end = narrow(self.at);
        Ok((value, spot))
    }

    fn nested(
        &mut self,
        spot: &mut Spot,
        read: impl FnOnce(&mut Self, &mut Vec<Spot>) -> Result<Value, Failure>,
    ) -> Result<Value, Failure> {
        self.depth += 1;
        if self.depth > self.limits.depth {
            return Err(Failure::limit(
                self.at,
                format!("nested deeper than {}", self.limits.depth),
            ));
        }
        self.at += 1;
        let value = read(self, &mut spot.children)?;
        self.depth -= 1;
        Ok(value)
    }

    fn object(&mut self, spots: &mut Vec<Spot>) -> Result<Value, Failure> {
        let mut map = Map::new();
        self.skip_space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(Value::Object(map));
        }
        loop {
            self.skip_space();
            self.member(&mut map, spots)?;
            self.entries(spots.len())?;
            if self.ends(b'}')? {
                return Ok(Value::Object(map));
            }
        }
    }

    fn member(&mut self, map: &mut Map<String, Value>, spots: &mut Vec<Spot>) -> Result<(), Failure> {
        let key_at = narrow(self.at);
        if self.peek() != Some(b'"') {
            return Err(self.fail("a key in double quotes is expected here"));
        }
        let key = self.string()?;
        self.skip_space();
        if self.peek() != Some(b':') {
            return Err(self.fail("a colon is expected after the key"));
        }
        self.at += 1;
        self.skip_space();
        let first_note = self.notes.0.len();
        let (value, spot) = self.value()?;
        self.notes.prefix(first_note, || key.clone());
        insert(
            &mut Members { map, spots },
            (key, key_at),
            (value, spot),
            &mut self.notes,
        )
    }

    fn array(&mut self, spots: &mut Vec<Spot>) -> Result<Value, Failure> {
        let mut items = Vec::new();
        self.skip_space();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(Value::Array(items));
        }
        loop {
            self.skip_space();
            let first_note = self.notes.0.len();
            let (value, spot) = self.value()?;
            self.notes.prefix(first_note, || items.len().to_string());
            items.push(value);
            spots.push(spot);
            self.entries(spots.len())?;
            if self.ends(b']')? {
                return Ok(Value::Array(items));
            }
        }
    }

    fn entries(&self, count: usize) -> Result<(), Failure> {
        if count > self.limits.entries {
            let reason = format!("a list or map has more than {} entries", self.limits.entries);
            return Err(Failure::limit(self.at, reason));
        }
        Ok(())
    }

    fn ends(&mut self, close: u8) -> Result<bool, Failure> {
        self.skip_space();
        match self.peek() {
            Some(byte) if byte == close => {
                self.at += 1;
                Ok(true)
            }
            Some(b',') => {
                self.at += 1;
                Ok(false)
            }
            _ => Err(self.fail(if close == b'}' {
                "a comma or } is expected here"
            } else {
                "a comma or ] is expected here"
            })),
        }
    }

    fn word(&mut self, word: &str, value: Value) -> Result<Value, Failure> {
        if self.text.get(self.at..self.at + word.len()) == Some(word) {
            self.at += word.len();
            return Ok(value);
        }
        Err(self.fail("a value is expected here"))
    }

    fn number(&mut self) -> Result<Value, Failure> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        let whole = self.digits()?;
        if whole > 1 && self.text.as_bytes().get(self.at - whole) == Some(&b'0') {
            return Err(Failure::new(start, "a number does not begin with a zero"));
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        let written = self.text.get(start..self.at).unwrap_or_default();
        if let Some(number) = scalar::number(written) {
            return Ok(Value::Number(number));
        }
        self.notes
            .push(RawNote::new(RawKind::NumberTooLarge, narrow(start), written))?;
        Ok(Value::String(written.to_owned()))
    }

    fn digits(&mut self) -> Result<usize, Failure> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == start {
            return Err(self.fail("a digit is expected here"));
        }
        Ok(self.at - start)
    }

    fn string(&mut self) -> Result<String, Failure> {
        self.at += 1;
        let mut text = String::new();
        let mut from = self.at;
        loop {
            match self.peek() {
                Some(b'"') => {
                    text.push_str(self.text.get(from..self.at).unwrap_or_default());
                    self.at += 1;
                    return Ok(text);
                }
                Some(b'\\') => {
                    text.push_str(self.text.get(from..self.at).unwrap_or_default());
                    text.push(self.escape()?);
                    from = self.at;
                }
                Some(0..=0x1F) => return Err(self.fail("a control character stands in a string")),
                Some(_) => self.at += 1,
                None => return Err(self.fail("a string is not closed")),
            }
        }
    }

    fn escape(&mut self) -> Result<char, Failure> {
        let start = self.at;
        self.at += 1;
        let escaped = self.peek();
        self.at += 1;
        Ok(match escaped {
            Some(byte @ (b'"' | b'\\' | b'/')) => char::from(byte),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{C}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode(start),
            _ => return Err(Failure::new(start, "a backslash escapes nothing that JSON knows")),
        })
    }

    fn unicode(&mut self, start: usize) -> Result<char, Failure> {
        let lone = || Failure::new(start, "half of a surrogate pair stands alone");
        let high = self.hex(start)?;
        if !(0xD800..0xDC00).contains(&high) {
            return char::from_u32(high).ok_or_else(lone);
        }
        if self.text.as_bytes().get(self.at..self.at + 2) != Some(b"\\u") {
            return Err(lone());
        }
        self.at += 2;
        let low = self.hex(start)?;
        if !(0xDC00..0xE000).contains(&low) {
            return Err(lone());
        }
        char::from_u32(0x1_0000 + ((high - 0xD800) << 10) + (low - 0xDC00)).ok_or_else(lone)
    }

    fn hex(&mut self, start: usize) -> Result<u32, Failure> {
        let digits = self
            .text
            .get(self.at..self.at + 4)
            .filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
        let code = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        self.at += 4;
        code.ok_or_else(|| Failure::new(start, "four hexadecimal digits are expected after \\u"))
    }
}

/// The entries of a map under construction, with their places in the same order.
pub(super) struct Members<'a> {
    pub(super) map: &'a mut Map<String, Value>,
    pub(super) spots: &'a mut Vec<Spot>,
}

/// Puts an entry into a map; one that exists is replaced and noted.
pub(super) fn insert(
    members: &mut Members<'_>,
    (key, key_at): (String, u32),
    (value, spot): (Value, Spot),
    notes: &mut Notes,
) -> Result<(), Failure> {
    let spot = spot.with_key(key_at);
    if !members.map.contains_key(&key) {
        members.map.insert(key, value);
        members.spots.push(spot);
        return Ok(());
    }
    let index = members
        .map
        .keys()
        .position(|existing| *existing == key)
        .unwrap_or_default();
    if let Some(old) = members.spots.get_mut(index) {
        let first = old.key().unwrap_or(old.start);
        let mut note = RawNote::new(RawKind::Duplicate { first }, key_at, &key);
        note.path.push(super::shorten(&key));
        notes.push(note)?;
        *old = spot;
    }
    members.map.insert(key, value);
    Ok(())
}
