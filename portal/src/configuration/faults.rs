//! What is wrong with a configuration that is to be written: the rules of [`domain::validate`], which files are checked
//! by as well, held against all that would be in force afterwards.
//!
//! Here is only what needs the stored state: secrets that the server has already, subscriptions to plans that are out of
//! sale, and things that nobody sent but that would lose what they refer to. The places of faults point into the document
//! as it was sent.

use std::collections::{BTreeMap, BTreeSet};

use domain::config::{Account, Api, Document};
use domain::validate::{Around, Finding, References, Severity, validate};
use store::ControlTx;

use super::change::ThingKind;
use super::current::export;
use super::thing::{Misfit, Stored, name_of, within};
use crate::http::problem::{Fault, Problem};

/// A document and the state that it meets.
pub(crate) struct Meeting {
    /// As it was sent.
    pub(crate) sent: Document,
    /// What is in force.
    pub(crate) stored: Stored,
    /// What would be in force after it.
    pub(crate) after: Stored,
    /// Accounts that products name and that are not in `after` because nobody's customers were read.
    pub(crate) accounts: Vec<Account>,
}

/// What is wrong. Reading large descriptions takes a while, so this runs on a thread for such work.
///
/// # Errors
/// The thread ended early.
pub(crate) async fn find(meeting: Meeting) -> Result<Vec<Fault>, Problem> {
    let found = tokio::task::spawn_blocking(move || meeting.faults()).await;
    found.map_err(|error| {
        tracing::error!(%error, "a configuration could not be checked");
        Problem::internal()
    })
}

/// The faults of a document that names something twice, so that it cannot be compared.
pub(crate) fn of_misfit(sent: &Document, (pointer, detail): Misfit) -> Vec<Fault> {
    let around = Around {
        references: References::Unchecked,
        operations: &|_| None,
    };
    let faults: Vec<Fault> = errors(validate(sent, &around)).map(|finding| fault(&finding)).collect();
    if faults.is_empty() {
        vec![Fault::at(pointer, detail)]
    } else {
        faults
    }
}

impl Meeting {
    fn faults(mut self) -> Vec<Fault> {
        let mut whole = export(&self.after);
        whole.accounts.append(&mut self.accounts);
        let as_stored = self.as_stored();
        let mut faults: Vec<Fault> = errors(against(&self.sent, &whole))
            .filter(|finding| !as_stored.contains(&finding.pointer))
            .map(|finding| fault(&finding))
            .collect();
        faults.extend(self.missing_secrets());
        faults.extend(self.unreadable_descriptions());
        if faults.is_empty() {
            faults.extend(self.left_behind(&whole));
        }
        faults
    }

    /// Places of references that stand there already: a plan may be out of sale and keeps its subscribers.
    fn as_stored(&self) -> BTreeSet<String> {
        let mut places = BTreeSet::new();
        for (index, consumer) in self.sent.consumers.iter().enumerate() {
            let at = format!("/consumers/{index}");
            let name = within(&consumer.account, &consumer.name);
            for (index, subscription) in consumer.subscriptions.iter().enumerate() {
                let key = (ThingKind::Subscription, within(&name, &subscription.product));
                let held = self.stored.get(&key).and_then(|held| held.thing.body.get("plan"));
                if held.and_then(|plan| plan.as_str()) == Some(&subscription.plan) {
                    let at = format!("{at}/subscriptions/{index}");
                    places.extend([format!("{at}/product"), format!("{at}/plan")]);
                }
            }
            for (index, credential) in consumer.credentials.iter().enumerate() {
                let key = name_of(credential).map(|hash| (ThingKind::Credential, within(&name, &hash)));
                let held = key.and_then(|key| self.stored.get(&key)?.thing.body.get("products")?.as_array().cloned());
                let own = credential.products.iter().enumerate();
                let known = own.filter(|(_, product)| {
                    let held = held.iter().flatten();
                    held.filter_map(|known| known.as_str()).any(|known| known == *product)
                });
                places.extend(known.map(|(place, _)| format!("{at}/credentials/{index}/products/{place}")));
            }
        }
        places
    }

    /// An API with an upstream header needs its value once; later documents may leave it out.
    fn missing_secrets(&self) -> Vec<Fault> {
        let known = |name: &str| {
            self.stored
                .get(&(ThingKind::Api, name.to_owned()))
                .is_some_and(|held| held.thing.secret.is_some())
        };
        let mut faults = Vec::new();
        for (index, api) in self.sent.apis.iter().enumerate() {
            let Some(auth) = &api.upstream.auth else { continue };
            if auth.value.is_some() || known(&api.name) {
                continue;
            }
            let remedy = match &auth.value_env {
                Some(variable) => format!("the command that applies reads it from the variable `{variable}`"),
                None => "write value_env: NAME, a variable of the command that applies, or send `value`".to_owned(),
            };
            faults.push(Fault::at(
                format!("/apis/{index}/upstream/auth/value"),
                format!("the value is missing; {remedy}"),
            ));
        }
        faults
    }

    /// A description of no known version gives no route. One that is stored as it is was let in before.
    fn unreadable_descriptions(&self) -> Vec<Fault> {
        let is_new = |api: &Api| {
            let held = self.stored.get(&(ThingKind::Api, api.name.clone()));
            held.is_none_or(|held| held.thing.description != api.openapi)
        };
        let sent = self.sent.apis.iter().enumerate().filter(|(_, api)| is_new(api));
        let faults = sent.filter_map(|(index, api)| {
            let root = api.openapi.as_ref().filter(|root| root.is_object())?;
            let fault = description::openapi::unreadable(root)?;
            let pointer = format!("/apis/{index}/openapi{}", fault.pointer);
            Some(Fault::at(pointer, format!("{}; {}", fault.reason, fault.remedy)))
        });
        faults.collect()
    }

    /// What stays but loses what it refers to. What was wrong before stands in nobody's way.
    fn left_behind(&self, whole: &Document) -> Vec<Fault> {
        let left = self.of_unsent(whole, against(whole, whole));
        if left.is_empty() {
            return left;
        }
        let mut before = export(&self.stored);
        before.accounts.extend(whole.accounts.iter().cloned());
        let known = self.of_unsent(&before, against(&before, &before));
        left.into_iter().filter(|fault| !known.contains(fault)).collect()
    }

    /// The findings about APIs, meters and products that were not sent, each under its name.
    fn of_unsent(&self, document: &Document, findings: Vec<Finding>) -> Vec<Fault> {
        let (sent, mut unsent) = (&self.sent, BTreeMap::new());
        let names = |document: &Document| {
            let apis = document
                .apis
                .iter()
                .enumerate()
                .map(|(at, api)| ("API", "apis", at, api.name.clone()));
            let meters = document.meters.iter().enumerate();
            let meters = meters.map(|(at, meter)| ("meter", "meters", at, meter.name.clone()));
            let products = document.products.iter().enumerate();
            let products = products.map(|(at, product)| ("product", "products", at, product.name.clone()));
            apis.chain(meters).chain(products).collect::<Vec<_>>()
        };
        let sent: BTreeSet<_> = names(sent).into_iter().map(|(what, _, _, name)| (what, name)).collect();
        for (what, list, at, name) in names(document) {
            if !sent.contains(&(what, name.clone())) {
                unsent.insert(format!("/{list}/{at}"), format!("the {what} `{name}`, which stays"));
            }
        }
        let faults = errors(findings).filter_map(|finding| {
            let mut parts = finding.pointer.splitn(4, '/').skip(1);
            let owner = format!("/{}/{}", parts.next()?, parts.next()?);
            Some(Fault::at("", format!("{}: {finding}", unsent.get(&owner)?)))
        });
        faults.collect()
    }
}

fn against(document: &Document, whole: &Document) -> Vec<Finding> {
    let around = Around {
        references: References::Whole(whole),
        operations: &operations,
    };
    validate(document, &around)
}

/// The keys of an API's operations; an API without a description has none.
#[expect(clippy::unnecessary_wraps, reason = "the form that the validation asks for")]
fn operations(api: &Api) -> Option<Vec<String>> {
    let described = api.openapi.as_ref().map(description::openapi::read);
    let operations = described.into_iter().flat_map(|description| description.operations);
    Some(operations.map(|operation| operation.key).collect())
}

fn errors(findings: Vec<Finding>) -> impl Iterator<Item = Finding> {
    findings
        .into_iter()
        .filter(|finding| finding.severity == Severity::Error)
}

fn fault(finding: &Finding) -> Fault {
    Fault::at(finding.pointer.clone(), finding.to_string())
}

/// The accounts that products name for their audience and that this configuration does not hold.
pub(crate) async fn audience(tx: &mut ControlTx, after: &Stored) -> Result<Vec<Account>, Problem> {
    let mut names = BTreeSet::new();
    for (_, held) in after.iter().filter(|((kind, _), _)| *kind == ThingKind::Product) {
        let audience = held.thing.body.get("audience").and_then(|audience| audience.as_array());
        names.extend(audience.into_iter().flatten().filter_map(|name| name.as_str()));
    }
    let mut accounts = Vec::new();
    for name in names {
        if after.contains_key(&(ThingKind::Account, name.to_owned())) {
            continue;
        }
        if let Some(account) = tx.account_called(name).await? {
            accounts.push(super::current::file_form(&account));
        }
    }
    Ok(accounts)
}
