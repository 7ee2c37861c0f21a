//! What is on offer, and who sees what of it.
//!
//! Invariants: the catalogue is read once for each revision; plans are shown as their newest published version says, for
//! that is what subscribers get. Whoever asks for an offer names the reader: private products exist for their audience
//! alone.

use std::sync::{Arc, Mutex, PoisonError};

use domain::clock::Timestamp;
use domain::config::{Api, Meter, Plan, Product};
use domain::ids::{AccountId, PlanId};
use domain::subscription::Visibility;
use store::{Object, ObjectKind, PlanVersion};

use crate::app::App;
use crate::http::problem::Problem;
use crate::pages::Section;
use crate::pages::web::Visitor;
use crate::subscribing::body;

/// Everything on offer at one revision.
#[derive(Debug, Default)]
pub(crate) struct Catalogue {
    /// The revision.
    pub(crate) revision: i64,
    offers: Vec<Offer>,
    meters: Vec<Meter>,
}

/// A product with its APIs and plans.
#[derive(Debug)]
pub(crate) struct Offer {
    /// The product's id.
    pub(crate) id: String,
    /// The product; its plans are beside it.
    pub(crate) product: Product,
    /// Title, or the name.
    pub(crate) title: String,
    /// APIs in the order of the product.
    pub(crate) apis: Vec<OfferedApi>,
    /// Published plans in their order.
    pub(crate) plans: Vec<Plan>,
    /// When product, APIs or plans were changed last.
    pub(crate) updated_at: Timestamp,
    audience: Vec<AccountId>,
}

/// An API of a product.
#[derive(Debug)]
pub(crate) struct OfferedApi {
    /// The API without its document.
    pub(crate) api: Api,
    /// Hash of its document.
    pub(crate) document: Option<[u8; 32]>,
}

/// Who reads.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reader {
    accounts: Vec<AccountId>,
    previews: bool,
}

impl Reader {
    /// The reader that a visitor is. Product managers may open what they have not shown to anyone.
    pub(crate) fn of(visitor: &Visitor) -> Self {
        let Some(person) = visitor.person() else {
            return Self::default();
        };
        Self {
            accounts: person.memberships.iter().map(|one| one.account_id).collect(),
            previews: visitor.reads(Section::Manage),
        }
    }
}

impl Offer {
    /// Whether the reader may open it by its address.
    pub(crate) fn is_open_to(&self, reader: &Reader) -> bool {
        match self.product.visibility {
            Visibility::Public | Visibility::Unlisted => true,
            Visibility::Private => reader.previews || self.is_for(reader),
        }
    }

    /// Whether lists, search and machine-readable indexes show it to the reader.
    pub(crate) fn is_listed_for(&self, reader: &Reader) -> bool {
        match self.product.visibility {
            Visibility::Public => true,
            Visibility::Unlisted => false,
            Visibility::Private => self.is_for(reader),
        }
    }

    fn is_for(&self, reader: &Reader) -> bool {
        self.audience.iter().any(|account| reader.accounts.contains(account))
    }

    /// The API of this name and version.
    pub(crate) fn api(&self, name: &str, version: &str) -> Option<&OfferedApi> {
        self.apis
            .iter()
            .find(|offered| offered.api.name == name && offered.api.version == version)
    }

    /// The first line of the description as plain text.
    pub(crate) fn summary(&self) -> String {
        first_sentences(self.product.description.as_deref().unwrap_or_default())
    }
}

/// The first paragraph of a description, shortened for cards.
pub(crate) fn first_sentences(markdown: &str) -> String {
    let paragraph = markdown
        .trim()
        .split("\n\n")
        .map(str::trim)
        .find(|text| !text.starts_with('#'));
    shortened(reference::prose::plain_text(paragraph.unwrap_or_default()))
}

/// The beginning of a text, cut at a word.
pub(crate) fn shortened(text: String) -> String {
    const LONGEST: usize = 180;
    if text.chars().count() <= LONGEST {
        return text;
    }
    let cut: String = text.chars().take(LONGEST).collect();
    let end = cut.rfind(' ').unwrap_or(cut.len());
    format!(
        "{}…",
        cut.get(..end).unwrap_or(&cut).trim_end_matches([',', ';', '.', ':'])
    )
}

impl Catalogue {
    /// Every product that lists show to a reader.
    pub(crate) fn listed<'a>(&'a self, reader: &'a Reader) -> impl Iterator<Item = &'a Offer> {
        self.offers.iter().filter(move |offer| offer.is_listed_for(reader))
    }

    /// The product of this name, if the reader may open it.
    pub(crate) fn open(&self, name: &str, reader: &Reader) -> Option<&Offer> {
        let mut offers = self.offers.iter();
        offers.find(|offer| offer.product.name == name && offer.is_open_to(reader))
    }

    /// Hashes of all documents in force.
    pub(crate) fn documents(&self) -> Vec<[u8; 32]> {
        let mut hashes: Vec<[u8; 32]> = self
            .offers
            .iter()
            .flat_map(|offer| &offer.apis)
            .filter_map(|offered| offered.document)
            .collect();
        hashes.sort_unstable();
        hashes.dedup();
        hashes
    }

    /// Every product, whoever may see it.
    pub(crate) fn all(&self) -> &[Offer] {
        &self.offers
    }

    /// The word for one unit of a meter.
    pub(crate) fn unit(&self, meter: &str) -> String {
        if meter == domain::limit::REQUESTS {
            return "request".to_owned();
        }
        let known = self.meters.iter().find(|known| known.name == meter);
        known
            .and_then(|known| known.unit.clone())
            .unwrap_or_else(|| meter.to_owned())
    }
}

/// The catalogue of the newest revision, kept until there is a newer one.
#[derive(Debug, Default)]
pub(crate) struct Kept(Mutex<Option<Arc<Catalogue>>>);

/// What is on offer now.
pub(crate) async fn catalogue(app: &App) -> Result<Arc<Catalogue>, Problem> {
    let kept = &app.reading.catalogue.0;
    let revision = app.store.revision().await?;
    let known = kept.lock().unwrap_or_else(PoisonError::into_inner).clone();
    if let Some(known) = known.filter(|known| known.revision == revision) {
        return Ok(known);
    }
    let read = Arc::new(read(app, revision).await?);
    *kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&read));
    Ok(read)
}

async fn read(app: &App, revision: i64) -> Result<Catalogue, Problem> {
    let objects = app.store.objects(None).await?;
    let versions = app.store.plan_versions_in_use().await?;
    let of = |kind: ObjectKind| objects.iter().filter(move |object| object.fields.kind == kind);
    let mut offers = Vec::new();
    for object in of(ObjectKind::Product) {
        offers.push(offer(app, object, (&objects, &versions)).await?);
    }
    Ok(Catalogue {
        revision,
        offers,
        meters: of(ObjectKind::Meter).map(body).collect::<Result<_, _>>()?,
    })
}

async fn offer(app: &App, object: &Object, (all, versions): (&[Object], &[PlanVersion])) -> Result<Offer, Problem> {
    let product: Product = body(object)?;
    let mut audience = Vec::new();
    for name in &product.audience {
        audience.extend(app.store.account_called(name).await?.map(|account| account.id));
    }
    let mut updated_at = object.updated_at;
    let mut apis = Vec::new();
    for name in &product.apis {
        let found = all
            .iter()
            .find(|api| api.fields.kind == ObjectKind::Api && api.fields.name == *name);
        if let Some(found) = found {
            updated_at = updated_at.max(found.updated_at);
            apis.push(OfferedApi {
                api: body(found)?,
                document: found.fields.document,
            });
        }
    }
    let mut own: Vec<&Object> = all
        .iter()
        .filter(|plan| plan.fields.kind == ObjectKind::Plan && plan.fields.parent == object.id)
        .collect();
    own.sort_by_key(|plan| plan.fields.position);
    let mut plans = Vec::new();
    for plan in own {
        updated_at = updated_at.max(plan.updated_at);
        plans.extend(published(plan, versions)?);
    }
    Ok(Offer {
        id: object.id.clone(),
        title: product.title.clone().unwrap_or_else(|| product.name.clone()),
        product,
        apis,
        plans,
        updated_at,
        audience,
    })
}

/// A plan with the limits and prices of its newest version.
fn published(object: &Object, versions: &[PlanVersion]) -> Result<Option<Plan>, Problem> {
    let edited: Plan = body(object)?;
    let id: PlanId = crate::subscribing::id(object)?;
    let newest = versions
        .iter()
        .filter(|version| version.plan_id == id)
        .max_by_key(|version| version.n);
    let Some(newest) = newest else {
        return Ok(None);
    };
    let sold: Plan = serde_json::from_value(newest.body.clone()).map_err(|error| {
        tracing::error!(%error, version = %newest.id, "a stored plan version cannot be read");
        Problem::internal()
    })?;
    Ok(Some(crate::api::products::presented(sold, edited)))
}
