//! Values out of schemas.
//!
//! Everything required is made, however deep it stands; optional fields only near the root and while there is room. A
//! required field that leads back to its own schema has no finite value: the value around it is given up, up to the
//! next optional field, list or alternative.

use std::cell::Cell;
use std::collections::HashSet;

use serde_json::{Map, Number, Value, json};

use super::fit::{fits, lengths};
use super::{Purpose, format, pattern};
use crate::flat::{Circles, Flat, Open, is_null};
use crate::reference::Reference;
use crate::schema::variants;

/// Values in one example, beyond which optional fields are left out.
const ROOM: usize = 120;
/// Values that may be made for all variants together while looking for finite ones.
const PATIENCE: usize = 1_500;
/// Levels at which optional fields are still made.
const OPTIONAL_LEVELS: usize = 4;
const DEEPEST: usize = 24;
/// Optional fields of one object.
const MOST_FIELDS: usize = 40;

/// Makes values for one document.
pub(crate) struct Generator<'r> {
    reference: &'r Reference,
    purpose: Purpose,
    room: Cell<usize>,
    patience: Cell<usize>,
}

impl<'r> Generator<'r> {
    pub(crate) fn new(reference: &'r Reference, purpose: Purpose) -> Self {
        Self {
            reference,
            purpose,
            room: Cell::new(ROOM),
            patience: Cell::new(PATIENCE),
        }
    }

    /// A value for a schema that lives as long as the document or not.
    pub(crate) fn value<'s>(&self, schema: &'s Value) -> Option<Value>
    where
        'r: 's,
    {
        self.room.set(ROOM);
        self.patience.set(PATIENCE);
        let narrow: Generator<'s> = Generator {
            reference: self.reference,
            purpose: self.purpose,
            room: Cell::new(ROOM),
            patience: Cell::new(PATIENCE),
        };
        narrow.make(schema, &mut Vec::new(), 0, None)
    }

    /// A value for each variant of a schema, or one without a name.
    pub(crate) fn variants(&self, schema: &'r Value, most: usize) -> Vec<(String, Value)> {
        let flat = Flat::new(self.reference, schema, &[], Circles::Stop);
        let (choices, _) = variants::of(self.reference, &flat);
        let mut values = Vec::new();
        for (at, option) in choices.iter().flat_map(|choice| &choice.options).take(most).enumerate() {
            self.room.set(ROOM);
            let value = self.make(schema, &mut Vec::new(), 0, Some(at));
            values.extend(value.map(|value| (option.name.clone(), value)));
        }
        if values.len() < 2 {
            let one = values.pop().map(|(_, value)| value).or_else(|| self.value(schema));
            values = one.into_iter().map(|value| (String::new(), value)).collect();
        }
        values
    }

    fn make(&self, schema: &'r Value, open: &mut Open, depth: usize, variant: Option<usize>) -> Option<Value> {
        if depth > DEEPEST || self.patience.get() == 0 {
            return None;
        }
        self.patience.set(self.patience.get() - 1);
        self.room.set(self.room.get().saturating_sub(1));
        let flat = Flat::new(self.reference, schema, open, Circles::Skip);
        if flat.circle {
            return None;
        }
        let levels = flat.targets.len();
        open.extend(flat.targets.iter().copied());
        let value = self.of(&flat, open, depth, variant);
        open.truncate(open.len().saturating_sub(levels));
        value.or_else(|| flat.types().1.then_some(Value::Null))
    }

    fn of(&self, flat: &Flat<'r>, open: &mut Open, depth: usize, variant: Option<usize>) -> Option<Value> {
        if flat.always == Some(false) {
            return None;
        }
        if let Some(value) = variant.is_none().then(|| ready(flat)).flatten() {
            return Some(value);
        }
        let (choices, _) = variants::of(self.reference, flat);
        if choices.is_empty() {
            return self.plain(flat, open, depth);
        }
        // The first choice decides; of further ones any variant will do that can be put beside it.
        let mut made: Option<Value> = None;
        for (at, choice) in choices.iter().enumerate() {
            let mut options: Vec<_> = choice.options.iter().collect();
            if at == 0 {
                let wanted = variant.unwrap_or(0).min(options.len().saturating_sub(1));
                options.rotate_left(wanted);
                if variant.is_some() {
                    options.truncate(1);
                }
            }
            let value = options.into_iter().find_map(|option| {
                let mut value = self.make(option.schema, open, depth + 1, None)?;
                self.tell(&mut value, choice.by.as_deref(), option.value.as_deref(), option.schema);
                Some(value)
            })?;
            made = Some(joined(made, value));
        }
        let has_own = flat.get("properties").is_some() || flat.types().0 == ["object"];
        if has_own && made.as_ref().is_some_and(Value::is_object) {
            let own = self.object(flat, open, depth)?;
            return Some(joined(Some(own), made?));
        }
        made
    }

    /// Sets the field that tells variants apart.
    fn tell(&self, value: &mut Value, by: Option<&str>, told: Option<&str>, schema: &'r Value) {
        let (Some(by), Some(told), Value::Object(map)) = (by, told, value) else {
            return;
        };
        let flat = Flat::new(self.reference, schema, &[], Circles::Stop);
        let field = flat.properties().get(by).copied();
        let field = field.map(|field| Flat::new(self.reference, field, &[], Circles::Stop));
        let text = json!(told);
        if field.is_none_or(|field| fits(&text, &field)) {
            map.insert(by.to_owned(), text);
        }
    }

    fn plain(&self, flat: &Flat<'r>, open: &mut Open, depth: usize) -> Option<Value> {
        let (types, nullable) = flat.types();
        match types.first().copied() {
            Some("object") => self.object(flat, open, depth),
            Some("array") => self.list(flat, open, depth),
            Some("string") => text(flat),
            Some("integer") => number(flat, true),
            Some("number") => number(flat, false),
            Some("boolean") => Some(Value::Bool(true)),
            Some("file") => Some(json!("(file)")),
            Some(_) => Some(json!("string")),
            None if nullable => Some(Value::Null),
            None => Some(json!({})),
        }
    }

    fn is_hidden(&self, field: &Flat<'r>) -> bool {
        match self.purpose {
            Purpose::Request => field.flag("readOnly"),
            Purpose::Response => field.flag("writeOnly"),
        }
    }

    fn object(&self, flat: &Flat<'r>, open: &mut Open, depth: usize) -> Option<Value> {
        let required = flat.required();
        let fields = flat.properties();
        let mut map = Map::new();
        let mut optional = 0;
        for (name, schema) in &fields {
            let needed = required.contains(name);
            let wanted = depth < OPTIONAL_LEVELS && self.room.get() > 0 && optional < MOST_FIELDS;
            if !needed && !wanted {
                continue;
            }
            let field = Flat::new(self.reference, schema, open, Circles::Skip);
            if self.is_hidden(&field) {
                continue;
            }
            if needed {
                map.insert((*name).to_owned(), self.make(schema, open, depth + 1, None)?);
            } else if !field.circle && !field.flag("deprecated") {
                optional += 1;
                let value = self.make(schema, open, depth + 1, None);
                map.extend(value.map(|value| ((*name).to_owned(), value)));
            }
        }
        for name in required.iter().filter(|name| !fields.contains_key(*name)) {
            let schema = flat.get("additionalProperties").filter(|schema| schema.is_object());
            let value = schema.map_or_else(
                || Some(json!("string")),
                |schema| self.make(schema, open, depth + 1, None),
            );
            map.insert((*name).to_owned(), value?);
        }
        self.others(flat, open, depth, &mut map);
        trim(flat, &required, &mut map);
        Some(Value::Object(map))
    }

    /// Fields whose names are free: one, or as many as there must be.
    fn others(&self, flat: &Flat<'r>, open: &mut Open, depth: usize, map: &mut Map<String, Value>) {
        let number = |word: &str| flat.get(word).and_then(Value::as_u64).unwrap_or(0);
        let least = usize::try_from(number("minProperties")).unwrap_or(0).min(20);
        let schema = flat.get("additionalProperties").filter(|schema| schema.is_object());
        let closed = flat.get("additionalProperties") == Some(&Value::Bool(false));
        let wanted = usize::from(map.is_empty() && schema.is_some() && depth < OPTIONAL_LEVELS);
        let mut at = 0;
        while map.len() < least.max(wanted) && at < 20 && !closed {
            at += 1;
            let name = if at == 1 { "key".to_owned() } else { format!("key{at}") };
            let value = schema.map_or_else(
                || Some(json!("value")),
                |schema| self.make(schema, open, depth + 1, None),
            );
            let Some(value) = value else { return };
            map.insert(name, value);
        }
    }

    fn list(&self, flat: &Flat<'r>, open: &mut Open, depth: usize) -> Option<Value> {
        let number = |word: &str| {
            flat.get(word)
                .and_then(Value::as_u64)
                .and_then(|count| usize::try_from(count).ok())
        };
        let least = number("minItems").unwrap_or(0);
        if let Some(first) = flat.get("prefixItems").and_then(Value::as_array) {
            let items: Option<Vec<Value>> = first
                .iter()
                .take(20)
                .map(|item| self.make(item, open, depth + 1, None))
                .collect();
            return items.filter(|items| items.len() >= least).map(Value::Array);
        }
        let Some(schema) = flat.get("items").filter(|items| items.is_object()) else {
            return Some(Value::Array(vec![json!("string"); least.min(20)]));
        };
        let wanted = least
            .max(usize::from(depth < DEEPEST / 2))
            .min(number("maxItems").unwrap_or(usize::MAX))
            .min(20);
        if wanted < least {
            return None;
        }
        let Some(first) = (wanted > 0).then(|| self.make(schema, open, depth + 1, None)).flatten() else {
            return (least == 0).then(|| json!([]));
        };
        if !flat.flag("uniqueItems") {
            return Some(Value::Array(vec![first; wanted]));
        }
        let mut items = vec![first];
        let item = Flat::new(self.reference, schema, open, Circles::Skip);
        for candidate in item.get("enum").and_then(Value::as_array).into_iter().flatten() {
            if items.len() < wanted && !items.contains(candidate) {
                items.push(candidate.clone());
            }
        }
        for at in 0..wanted * 2 {
            let other = match items.first() {
                Some(Value::String(text)) => json!(format!("{text}{at}")),
                Some(Value::Number(number)) => number.as_i64().map_or(Value::Null, |number| {
                    json!(number.saturating_add(1 + i64::try_from(at).unwrap_or(0)))
                }),
                _ => Value::Null,
            };
            if items.len() < wanted && fits(&other, &item) && !items.contains(&other) {
                items.push(other);
            }
        }
        (items.len() >= least).then_some(Value::Array(items))
    }
}

/// Takes optional fields away where there are too many.
fn trim(flat: &Flat<'_>, required: &HashSet<&str>, map: &mut Map<String, Value>) {
    let Some(most) = flat
        .get("maxProperties")
        .and_then(Value::as_u64)
        .and_then(|most| usize::try_from(most).ok())
    else {
        return;
    };
    let extra: Vec<String> = map
        .keys()
        .filter(|name| !required.contains(name.as_str()))
        .cloned()
        .collect();
    for name in extra.into_iter().rev() {
        if map.len() > most {
            map.shift_remove(&name);
        }
    }
}

/// A value that the schema itself offers.
fn ready(flat: &Flat<'_>) -> Option<Value> {
    if let Some(constant) = flat.get("const") {
        return Some(constant.clone());
    }
    let is_small = |value: &&Value| match value {
        Value::Array(items) => items.len() <= 20,
        Value::Object(map) => map.is_empty(),
        Value::String(text) => text.len() <= 400,
        _ => true,
    };
    let examples = flat
        .get("examples")
        .and_then(Value::as_array)
        .and_then(|list| list.first());
    // Only plain values are taken: whether others fit cannot be told.
    let offered = [flat.get("example"), examples, flat.get("default")];
    let plain = |value: &&Value| !value.is_object() && !value.is_array() && !value.is_null();
    let own = offered
        .into_iter()
        .flatten()
        .filter(is_small)
        .filter(plain)
        .find(|value| fits(value, flat));
    if let Some(value) = own.filter(|_| flat.choices().is_empty()) {
        return Some(value.clone());
    }
    let allowed = flat.get("enum").and_then(Value::as_array).into_iter().flatten();
    let mut allowed = allowed.filter(|value| !value.is_null());
    if let Some(value) = allowed.find(|value| fits(value, flat)) {
        return Some(value.clone());
    }
    let members = flat
        .choices()
        .into_iter()
        .filter(|(_, list)| variants::is_enumeration(list));
    let member = members.flat_map(|(_, list)| list).find(|member| !is_null(member))?;
    let first = member
        .get("enum")
        .and_then(Value::as_array)
        .and_then(|list| list.first());
    member.get("const").or(first).cloned()
}

/// Two values as one: fields of the second win.
fn joined(one: Option<Value>, other: Value) -> Value {
    match (one, other) {
        (Some(Value::Object(mut one)), Value::Object(other)) => {
            one.extend(other);
            Value::Object(one)
        }
        (_, other) => other,
    }
}

fn text(flat: &Flat<'_>) -> Option<Value> {
    let (least, most) = lengths(flat);
    if least > 4_000 || least > most {
        return None;
    }
    if let Some(word) = flat.text("pattern") {
        let known = pattern::text(word, least);
        return known.filter(|text| text.chars().count() <= most).map(Value::String);
    }
    let sample = flat.text("format").and_then(format::text);
    if let Some(sample) = sample.filter(|sample| (least..=most).contains(&sample.len())) {
        return Some(json!(sample));
    }
    let mut text = "string".to_owned();
    while text.len() < least {
        text.push_str(" text");
    }
    text.truncate(if text.len() > most {
        most
    } else {
        text.len().min(least.max(6))
    });
    Some(Value::String(text))
}

/// A number within its bounds, whole if it must be.
#[expect(
    clippy::float_arithmetic,
    reason = "bounds of examples are no quantities that anyone is billed for"
)]
fn number(flat: &Flat<'_>, whole: bool) -> Option<Value> {
    let bound = |word: &str| flat.get(word).and_then(Value::as_f64).filter(|bound| bound.is_finite());
    let step = bound("multipleOf").filter(|step| *step > 0.0);
    let low = bound("exclusiveMinimum").or_else(|| bound("minimum"));
    let high = bound("exclusiveMaximum").or_else(|| bound("maximum"));
    let mut candidates = vec![1.0, 0.0];
    if let Some(step) = step {
        let base = low.map_or(0.0, |low| (low / step).ceil());
        candidates = vec![step, base * step, base.mul_add(step, step), 0.0];
    }
    if let Some(low) = low {
        candidates.extend([low.ceil(), low.floor() + 1.0, low]);
    }
    if let Some(high) = high {
        candidates.extend([high.floor(), high.ceil() - 1.0, high]);
    }
    if let (Some(low), Some(high), false) = (low, high, whole) {
        candidates.push(f64::midpoint(low, high));
    }
    let multiple = |value: f64| step.is_none_or(|step| ((value / step).round() - value / step).abs() < 1e-9);
    let found = candidates
        .into_iter()
        .filter(|value| !whole || value.fract() == 0.0)
        .filter(|value| multiple(*value));
    found.map(written).find(|value| fits(value, flat))
}

/// A number as JSON, without a fraction where it has none.
fn written(value: f64) -> Value {
    let text = format!("{value:.0}");
    match text.parse::<i64>() {
        Ok(whole) if value.fract() == 0.0 => json!(whole),
        _ => Number::from_f64(value).map_or(Value::Null, Value::Number),
    }
}
