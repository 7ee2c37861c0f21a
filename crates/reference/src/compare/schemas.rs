//! Schemas of two documents, side by side.

use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;

use serde_json::Value;

use super::{Detail, breaking, note};
use crate::flat::{Circles, Flat};
use crate::html::clip;
use crate::reference::{Reference, text_of};
use crate::schema::variants;

/// Which way a schema goes: into the API, or out of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Way {
    In,
    Out,
}

/// How far a comparison has come.
#[derive(Clone, Copy)]
struct Walk {
    way: Way,
    depth: usize,
}

/// A finding about a place in a schema: the place, whether it breaks callers, and the words around the place.
#[derive(Clone)]
struct Finding {
    path: String,
    is_breaking: bool,
    text: String,
}

type Pair = (*const Value, *const Value, Way);

pub(super) struct Schemas<'r> {
    old: &'r Reference,
    new: &'r Reference,
    /// Pairs that were compared, or are: those have no findings yet.
    known: HashMap<Pair, Rc<Vec<Finding>>>,
    steps: usize,
}

const STEPS: usize = 2_000_000;
const DEEPEST: usize = 40;
/// Findings of one pair of schemas.
const MOST: usize = 60;

impl<'r> Schemas<'r> {
    pub(super) fn new(old: &'r Reference, new: &'r Reference) -> Self {
        Self {
            old,
            new,
            known: HashMap::new(),
            steps: STEPS,
        }
    }

    pub(super) fn compare(&mut self, pair: (&'r Value, &'r Value), way: Way, what: &str, details: &mut Vec<Detail>) {
        for finding in self.pair(pair, Walk { way, depth: 0 }).iter() {
            let place = if finding.path.is_empty() {
                String::new()
            } else {
                format!(" at {}", finding.path)
            };
            let text = format!("{what}{place} {}", finding.text);
            details.push(if finding.is_breaking {
                breaking(text)
            } else {
                note(text)
            });
        }
    }

    fn pair(&mut self, (old, new): (&'r Value, &'r Value), walk: Walk) -> Rc<Vec<Finding>> {
        if walk.depth > DEEPEST || self.steps == 0 {
            return Rc::default();
        }
        self.steps -= 1;
        let before = Flat::new(self.old, old, &[], Circles::Stop);
        let after = Flat::new(self.new, new, &[], Circles::Stop);
        // Shared schemas are one pair wherever they are used.
        let address = |flat: &Flat<'r>, own: &'r Value| flat.targets.last().copied().unwrap_or(std::ptr::from_ref(own));
        let key = (address(&before, old), address(&after, new), walk.way);
        if let Some(known) = self.known.get(&key) {
            return Rc::clone(known);
        }
        self.known.insert(key, Rc::default());
        let mut findings = Vec::new();
        words(&before, &after, walk.way, &mut findings);
        self.fields((&before, &after), walk, &mut findings);
        self.choices((&before, &after), walk, &mut findings);
        findings.truncate(MOST);
        let findings = Rc::new(findings);
        self.known.insert(key, Rc::clone(&findings));
        findings
    }

    fn below(&mut self, name: &str, pair: (&'r Value, &'r Value), walk: Walk, findings: &mut Vec<Finding>) {
        let deeper = Walk {
            depth: walk.depth + 1,
            ..walk
        };
        for finding in self.pair(pair, deeper).iter() {
            if findings.len() >= MOST {
                return;
            }
            let path = match (name.is_empty(), finding.path.is_empty()) {
                (true, _) => finding.path.clone(),
                (false, true) => clip(name, 80),
                (false, false) => format!("{}.{}", clip(name, 80), finding.path),
            };
            findings.push(Finding {
                path,
                ..finding.clone()
            });
        }
    }

    fn fields(&mut self, (old, new): (&Flat<'r>, &Flat<'r>), walk: Walk, findings: &mut Vec<Finding>) {
        let way = walk.way;
        let (before, after) = (old.properties(), new.properties());
        let (needed_before, needed_after) = (old.required(), new.required());
        let put = |findings: &mut Vec<Finding>, is_breaking: bool, text: String| {
            findings.push(Finding {
                path: String::new(),
                is_breaking,
                text,
            });
        };
        for name in before.keys().filter(|name| !after.contains_key(*name)) {
            put(findings, true, format!("lost the field {}", clip(name, 80)));
        }
        for (name, schema) in &after {
            let required = needed_after.contains(name);
            let Some(earlier) = before.get(name) else {
                let new_and_needed = required && way == Way::In;
                let word = if new_and_needed { "needs" } else { "has" };
                put(
                    findings,
                    new_and_needed,
                    format!("{word} the new field {}", clip(name, 80)),
                );
                continue;
            };
            match (needed_before.contains(name), required, way) {
                (false, true, Way::In) => put(findings, true, format!("needs the field {} now", clip(name, 80))),
                (true, false, Way::Out) => put(
                    findings,
                    true,
                    format!("may leave out the field {} now", clip(name, 80)),
                ),
                (true, false, Way::In) => put(
                    findings,
                    false,
                    format!("may leave out the field {} now", clip(name, 80)),
                ),
                (false, true, Way::Out) => put(findings, false, format!("always has the field {} now", clip(name, 80))),
                _ => {}
            }
            self.below(name, (earlier, schema), walk, findings);
        }
        for (word, name) in [("items", "items"), ("additionalProperties", "other fields")] {
            if let (Some(old), Some(new)) = (old.get(word), new.get(word))
                && old.is_object()
                && new.is_object()
            {
                self.below(name, (old, new), walk, findings);
            }
        }
    }

    fn choices(&mut self, (old, new): (&Flat<'r>, &Flat<'r>), walk: Walk, findings: &mut Vec<Finding>) {
        let way = walk.way;
        let (before, _) = variants::of(self.old, old);
        let (after, _) = variants::of(self.new, new);
        let before: Vec<_> = before.into_iter().flat_map(|choice| choice.options).take(64).collect();
        let after: Vec<_> = after.into_iter().flat_map(|choice| choice.options).take(64).collect();
        for option in &before {
            match after.iter().find(|one| one.name == option.name) {
                Some(same) => {
                    self.below(&option.name, (option.schema, same.schema), walk, findings);
                }
                None => findings.push(Finding {
                    path: String::new(),
                    is_breaking: way == Way::In,
                    text: format!("lost the variant {}", option.name),
                }),
            }
        }
        for option in after
            .iter()
            .filter(|one| !before.iter().any(|option| option.name == one.name))
        {
            findings.push(Finding {
                path: String::new(),
                is_breaking: false,
                text: format!("has the new variant {}", option.name),
            });
        }
    }
}

fn words<'r>(old: &Flat<'r>, new: &Flat<'r>, way: Way, findings: &mut Vec<Finding>) {
    let mut put = |is_breaking: bool, text: String| {
        findings.push(Finding {
            path: String::new(),
            is_breaking,
            text,
        });
    };
    let set = |flat: &Flat<'r>| -> BTreeSet<&'r str> { flat.types().0.into_iter().collect() };
    let (before, after) = (set(old), set(new));
    if !before.is_empty() && before != after {
        // More types are no trouble for those who send, fewer none for those who read.
        let safe = match way {
            Way::In => after.is_superset(&before) || after.is_empty(),
            Way::Out => after.is_subset(&before) && !after.is_empty(),
        };
        let list = |types: &BTreeSet<&str>| {
            if types.is_empty() {
                "any".to_owned()
            } else {
                types.iter().map(|name| clip(name, 40)).collect::<Vec<_>>().join(" or ")
            }
        };
        put(!safe, format!("was {} and is {}", list(&before), list(&after)));
    }
    let (null_before, null_after) = (old.types().1, new.types().1);
    if null_before != null_after && !before.is_empty() {
        let trouble = (way == Way::Out) == null_after;
        put(
            trouble,
            if null_after {
                "may be null now".to_owned()
            } else {
                "may not be null any more".to_owned()
            },
        );
    }
    if old.text("format") != new.text("format") {
        let word = |flat: &Flat<'r>| {
            flat.text("format")
                .map_or_else(|| "none".to_owned(), |text| clip(text, 40))
        };
        put(false, format!("had the format {} and has {}", word(old), word(new)));
    }
    values(old, new, way, &mut put);
    bounds(old, new, way, &mut put);
}

fn values(old: &Flat<'_>, new: &Flat<'_>, way: Way, put: &mut impl FnMut(bool, String)) {
    let list = |flat: &Flat<'_>| -> Option<BTreeSet<String>> {
        let values = flat.get("enum").and_then(Value::as_array)?;
        Some(values.iter().take(5_000).map(text_of).collect())
    };
    let words = |values: Vec<&String>| {
        let some: Vec<String> = values.iter().take(5).map(|value| clip(value, 60)).collect();
        let more = if values.len() > 5 { ", …" } else { "" };
        format!("{}{more}", some.join(", "))
    };
    match (list(old), list(new)) {
        (Some(before), Some(after)) => {
            let missing: Vec<_> = before.difference(&after).collect();
            let gained: Vec<_> = after.difference(&before).collect();
            if !missing.is_empty() {
                put(way == Way::In, format!("no longer allows {}", words(missing)));
            }
            if !gained.is_empty() {
                put(false, format!("allows {} too", words(gained)));
            }
        }
        (None, Some(after)) => put(
            way == Way::In,
            format!("only allows {} now", words(after.iter().collect())),
        ),
        (Some(_), None) => put(way == Way::Out, "allows any value now".to_owned()),
        (None, None) => {}
    }
}

fn bounds(old: &Flat<'_>, new: &Flat<'_>, way: Way, put: &mut impl FnMut(bool, String)) {
    const WORDS: [(&str, &str, bool); 8] = [
        ("minimum", "least value", true),
        ("maximum", "greatest value", false),
        ("minLength", "least length", true),
        ("maxLength", "greatest length", false),
        ("minItems", "least number of items", true),
        ("maxItems", "greatest number of items", false),
        ("minProperties", "least number of fields", true),
        ("maxProperties", "greatest number of fields", false),
    ];
    for (word, what, is_least) in WORDS {
        let number = |flat: &Flat<'_>| flat.get(word).and_then(Value::as_f64);
        let (before, after) = (number(old), number(new));
        if before == after {
            continue;
        }
        let narrower = match (before, after) {
            (_, None) => false,
            (None, Some(_)) => true,
            (Some(before), Some(after)) => (after > before) == is_least,
        };
        let shown = |flat: &Flat<'_>| flat.get(word).map_or_else(|| "none".to_owned(), text_of);
        put(
            narrower && way == Way::In,
            format!("had the {what} {} and has {}", shown(old), shown(new)),
        );
    }
    if old.text("pattern") != new.text("pattern") {
        put(
            way == Way::In && new.text("pattern").is_some(),
            "has another pattern".to_owned(),
        );
    }
}
