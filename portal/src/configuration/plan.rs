//! The comparison of two configurations: pure, so that a dry run and an apply decide the same.

use std::collections::{BTreeMap, BTreeSet};

use domain::subscription::Origin;
use serde_json::Value as Json;

use super::change::{Action, ChangeSet, Item, ThingKind};
use super::thing::{Key, Stored, Thing, WITHIN, Wanted, split};

/// What is taken away because the wanted configuration does not name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Prune {
    /// Nothing.
    Nothing,
    /// Whatever came from files.
    Files,
    /// All but what belongs to customers: for a rollback.
    Configuration,
}

impl Prune {
    fn takes(self, kind: ThingKind, origin: Origin) -> bool {
        match self {
            Self::Nothing => false,
            Self::Files => origin == Origin::File && kind != ThingKind::Settings,
            Self::Configuration => !kind.is_customers() && kind != ThingKind::Settings,
        }
    }
}

/// The changes that make `stored` equal to `wanted`.
pub(crate) fn plan(stored: &Stored, wanted: &Wanted, prune: Prune) -> ChangeSet {
    let mut items = Vec::new();
    let in_order = in_order(stored, wanted);
    for (key, thing) in wanted {
        let keeps_place = split(&key.1).is_none_or(|(product, _)| in_order.contains(product));
        match stored.get(key) {
            None => items.push(item(key, Action::Create, (None, Some(thing)), 0)),
            Some(held) if differs(key.0, (&held.thing, thing), keeps_place) => {
                items.push(item(
                    key,
                    Action::Update,
                    (Some(&held.thing), Some(thing)),
                    held.subscribers,
                ));
            }
            Some(_) => {}
        }
    }
    items.extend(removals(stored, wanted, prune));
    ChangeSet { items }
}

fn removals(stored: &Stored, wanted: &Wanted, prune: Prune) -> Vec<Item> {
    // Owners come before what they own, so one pass finds all that goes with them.
    let mut gone: BTreeSet<Key> = BTreeSet::new();
    for (key, held) in stored.iter().filter(|(key, _)| !wanted.contains_key(*key)) {
        if prune.takes(key.0, held.origin) || owner(key).is_some_and(|owner| gone.contains(&owner)) {
            gone.insert(key.clone());
        }
    }
    let items = stored
        .iter()
        .rev()
        .filter(|(key, _)| gone.contains(*key))
        .map(|(key, held)| {
            let is_sold = matches!(key.0, ThingKind::Product | ThingKind::Plan);
            let action = if is_sold && held.subscribers > 0 {
                Action::Archive
            } else {
                Action::Delete
            };
            item(key, action, (Some(&held.thing), None), held.subscribers)
        });
    items.collect()
}

/// The thing without which this one cannot be.
fn owner(key: &Key) -> Option<Key> {
    let (kind, name) = key;
    let parent = split(name).map(|(parent, _)| parent.to_owned());
    match kind {
        ThingKind::Plan => parent.map(|parent| (ThingKind::Product, parent)),
        ThingKind::Consumer => parent.map(|parent| (ThingKind::Account, parent)),
        ThingKind::Credential | ThingKind::Subscription => parent.map(|parent| (ThingKind::Consumer, parent)),
        ThingKind::Settings | ThingKind::Meter | ThingKind::Api | ThingKind::Product | ThingKind::Account => None,
    }
}

/// The products whose plans stand in the order that is wanted. Plans that left the sale leave gaps in the positions, and
/// a gap is no change.
fn in_order<'a>(stored: &'a Stored, wanted: &'a Wanted) -> BTreeSet<&'a str> {
    let held = stored.iter().map(|(key, held)| (key, held.thing.position));
    let (held, wanted) = (
        orders(held),
        orders(wanted.iter().map(|(key, thing)| (key, thing.position))),
    );
    let same = wanted
        .into_iter()
        .filter(|(product, order)| held.get(product) == Some(order));
    same.map(|(product, _)| product).collect()
}

/// The names of each product's plans in their order.
fn orders<'a>(things: impl Iterator<Item = (&'a Key, u32)>) -> BTreeMap<&'a str, Vec<&'a str>> {
    let mut plans: BTreeMap<&str, Vec<(u32, &str)>> = BTreeMap::new();
    for (key, position) in things.filter(|(key, _)| key.0 == ThingKind::Plan) {
        let (product, plan) = split(&key.1).unwrap_or_default();
        plans.entry(product).or_default().push((position, plan));
    }
    let sorted = plans.into_iter().map(|(product, mut plans)| {
        plans.sort_unstable();
        (product, plans.into_iter().map(|(_, plan)| plan).collect())
    });
    sorted.collect()
}

/// A secret that is not written stays as it is. An anchor that is not written is the one that the subscription has.
fn differs(kind: ThingKind, (held, wanted): (&Thing, &Thing), keeps_place: bool) -> bool {
    if kind == ThingKind::Subscription {
        return held.body.get("plan") != wanted.body.get("plan");
    }
    let secret_differs = wanted.secret.is_some() && wanted.secret != held.secret;
    let place_differs = kind == ThingKind::Plan && !keeps_place && held.position != wanted.position;
    held.body != wanted.body || held.description != wanted.description || secret_differs || place_differs
}

fn item(key: &Key, action: Action, (before, after): (Option<&Thing>, Option<&Thing>), subscribers: u64) -> Item {
    Item {
        kind: key.0,
        key: key.1.clone(),
        name: key.1.replace(WITHIN, "/"),
        action,
        before: before.map(shown),
        after: after.map(shown),
        subscribers_affected: subscribers,
    }
}

/// A thing for people: of an API description only that there is one, of a secret that there is one.
fn shown(thing: &Thing) -> Json {
    let mut body = thing.body.clone();
    if let (Some(map), Some(description)) = (body.as_object_mut(), &thing.description) {
        let hash = domain::key::hash(description.to_string().as_bytes()).to_hex();
        map.insert("openapi".to_owned(), Json::String(format!("sha256:{hash}")));
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::configuration::thing::{Held, flatten};
    use domain::config::Document;
    use serde_json::json;

    fn wanted(value: Json) -> Wanted {
        flatten(&serde_json::from_value::<Document>(value).unwrap()).unwrap()
    }

    fn stored(wanted: Wanted, origin: Origin) -> Stored {
        let held = |thing| Held {
            id: String::new(),
            origin,
            thing,
            subscribers: 2,
        };
        wanted.into_iter().map(|(key, thing)| (key, held(thing))).collect()
    }

    fn petstore(secret: &str) -> Wanted {
        wanted(json!({
            "apis": [{"name": "petstore", "openapi": {"openapi": "3.1.0"},
                "upstream": {"targets": [{"url": "http://127.0.0.1:9001"}], "auth": {"header": "X-Secret", "value": secret}}}],
            "products": [{"name": "petstore", "apis": ["petstore"], "plans": [{"name": "free"}, {"name": "pro"}]}]
        }))
    }

    fn actions(changes: &ChangeSet) -> Vec<(Action, &str)> {
        changes
            .items
            .iter()
            .map(|item| (item.action, item.name.as_str()))
            .collect()
    }

    #[test]
    fn equal_configurations_need_no_change() {
        for prune in [Prune::Nothing, Prune::Files, Prune::Configuration] {
            assert!(plan(&stored(petstore("s"), Origin::File), &petstore("s"), prune).is_empty());
        }
    }

    #[test]
    fn things_are_made_in_the_order_in_which_they_refer_to_each_other() {
        let changes = plan(&Stored::new(), &petstore("s"), Prune::Nothing);
        let names: Vec<_> = changes
            .items
            .iter()
            .map(|item| (item.kind, item.name.as_str()))
            .collect();
        assert_eq!(
            names,
            [
                (ThingKind::Api, "petstore"),
                (ThingKind::Product, "petstore"),
                (ThingKind::Plan, "petstore/free"),
                (ThingKind::Plan, "petstore/pro")
            ]
        );
    }

    #[test]
    fn only_what_came_from_files_is_pruned() {
        let nothing = Wanted::new();
        let file = stored(petstore("s"), Origin::File);
        assert!(plan(&file, &nothing, Prune::Nothing).is_empty());
        assert_eq!(
            actions(&plan(&file, &nothing, Prune::Files)),
            [
                (Action::Archive, "petstore/pro"),
                (Action::Archive, "petstore/free"),
                (Action::Archive, "petstore"),
                (Action::Delete, "petstore")
            ]
        );
        assert!(plan(&stored(petstore("s"), Origin::Api), &nothing, Prune::Files).is_empty());
        assert_eq!(
            plan(&stored(petstore("s"), Origin::Api), &nothing, Prune::Configuration)
                .items
                .len(),
            4
        );
    }

    #[test]
    fn no_secret_is_ever_shown() {
        let changes = plan(
            &stored(petstore("old-secret"), Origin::File),
            &petstore("new-secret"),
            Prune::Nothing,
        );
        assert_eq!(actions(&changes), [(Action::Update, "petstore")]);
        let text = serde_json::to_string(&changes).unwrap() + &format!("{changes:?}");
        assert!(!text.contains("old-secret") && !text.contains("new-secret"));
    }

    #[test]
    fn a_secret_that_is_not_written_stays() {
        let mut without = petstore("s");
        for thing in without.values_mut() {
            thing.secret = None;
        }
        assert!(plan(&stored(petstore("s"), Origin::File), &without, Prune::Files).is_empty());
    }
}
