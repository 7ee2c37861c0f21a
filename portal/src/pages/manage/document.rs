//! `/manage/products/{product}/apis/{api}/document`: another document for an API, in two steps: report and comparison with
//! the one in force, then publishing.

use askama::Template;
use axum::extract::{Path, State};
use domain::config::{Api, Document};
use serde_json::Value as Json;

use super::compare::{Comparison, compare};
use super::offer::{self, Offer, apply};
use super::report::{self, Report, Upload, keep, kept};
use super::{author, may_change, shell};
use crate::app::App;
use crate::configuration::Run;
use crate::http::problem::Problem;
use crate::pages::web::{self, Form, Posted, Shell, Staff, see_other, unprocessable};

#[derive(Template)]
#[template(path = "manage/document_new.html")]
struct New {
    shell: Shell,
    form: Form,
    name: String,
    title: String,
    api: String,
    version: String,
    described: bool,
    report: Option<Report>,
}

struct Place {
    offer: Offer,
    api: Api,
}

async fn place(app: &App, (product, api): (&str, &str)) -> Result<Place, Problem> {
    let offer = Offer::named(app, product).await?;
    if !offer.product.apis.iter().any(|known| known == api) {
        return Err(Problem::missing("API of this product"));
    }
    let api = offer::api(app, api).await?;
    Ok(Place { offer, api })
}

/// `GET /manage/products/{product}/apis/{api}/document`
pub(super) async fn form(
    State(app): State<App>,
    staff: Staff,
    Path((product, api)): Path<(String, String)>,
) -> web::Page {
    let place = place(&app, (&product, &api)).await?;
    web::page(&new(&app, &staff, &place, (Form::new(), None)).await?)
}

async fn new(app: &App, staff: &Staff, place: &Place, found: (Form, Option<Report>)) -> Result<New, Problem> {
    Ok(New {
        shell: shell(app, staff).await?,
        form: found.0,
        name: place.offer.product.name.clone(),
        title: place.offer.title().to_owned(),
        api: place.api.name.clone(),
        version: place.api.version.clone(),
        described: place.api.openapi.is_some(),
        report: found.1,
    })
}

/// `POST /manage/products/{product}/apis/{api}/document`
pub(super) async fn read(
    State(app): State<App>,
    staff: Staff,
    Path((product, api)): Path<(String, String)>,
    posted: Posted,
) -> web::Page {
    let place = place(&app, (&product, &api)).await?;
    let mut form = Form::typed(&posted);
    let Some((bytes, file)) = report::sent(&posted) else {
        form.fault("document", "Choose a file, or paste the document below.");
        return unprocessable(&new(&app, &staff, &place, (form, None)).await?);
    };
    let base = place.api.base_path.clone().unwrap_or_default();
    let read = report::read(bytes.clone(), &base).await?;
    if read.root.is_none() {
        form.fault(
            "document",
            "This document cannot be published: the report says what to mend.",
        );
        return unprocessable(&new(&app, &staff, &place, (form, Some(read.report))).await?);
    }
    let upload = Upload {
        product: product.clone(),
        api: api.clone(),
        file,
        ..Upload::default()
    };
    let id = keep(&app, &upload, bytes, &author(&staff)).await?;
    see_other(&upload.href(&id))
}

#[derive(Template)]
#[template(path = "manage/document_review.html")]
struct Review {
    shell: Shell,
    may_change: bool,
    form: Form,
    name: String,
    title: String,
    api: String,
    version: String,
    described: bool,
    report: Report,
    comparison: Comparison,
    draft: String,
}

struct Found {
    place: Place,
    report: Report,
    comparison: Comparison,
    wanted: Option<Api>,
    draft: String,
}

async fn found(app: &App, (product, api, draft): (String, String, String)) -> Result<Found, Problem> {
    let (upload, bytes) = kept(app, &draft).await?;
    if upload.product != product || upload.api != api {
        return Err(Problem::missing("upload of this API"));
    }
    let place = place(app, (&product, &api)).await?;
    let base = place.api.base_path.clone().unwrap_or_default();
    let read = report::read(bytes, &base).await?;
    let root = read.root;
    let comparison = match (place.api.openapi.clone(), root.clone()) {
        (Some(old), Some(new)) => compared(old, new).await?,
        _ => Comparison::default(),
    };
    let version = read
        .description
        .document_version
        .clone()
        .filter(|text| !text.is_empty());
    let wanted = root.map(|root| Api {
        version: version.unwrap_or_else(|| place.api.version.clone()),
        openapi: Some(root),
        ..place.api.clone()
    });
    Ok(Found {
        place,
        report: read.report,
        comparison,
        wanted,
        draft,
    })
}

async fn compared(old: Json, new: Json) -> Result<Comparison, Problem> {
    let compared = tokio::task::spawn_blocking(move || compare(old, new)).await;
    compared.map_err(|error| {
        tracing::error!(%error, "two documents could not be compared");
        Problem::internal()
    })
}

async fn page(app: &App, staff: &Staff, found: Found, form: Form) -> Result<Review, Problem> {
    Ok(Review {
        shell: shell(app, staff).await?,
        may_change: may_change(staff),
        form,
        name: found.place.offer.product.name.clone(),
        title: found.place.offer.title().to_owned(),
        api: found.place.api.name.clone(),
        version: found.place.api.version.clone(),
        described: found.place.api.openapi.is_some(),
        report: found.report,
        comparison: found.comparison,
        draft: found.draft,
    })
}

/// `GET /manage/products/{product}/apis/{api}/document/{draft}`
pub(super) async fn review(
    State(app): State<App>,
    staff: Staff,
    Path(path): Path<(String, String, String)>,
) -> web::Page {
    let found = found(&app, path).await?;
    web::page(&page(&app, &staff, found, Form::new()).await?)
}

/// `POST /manage/products/{product}/apis/{api}/document/{draft}`
pub(super) async fn publish(
    State(app): State<App>,
    staff: Staff,
    Path(path): Path<(String, String, String)>,
    posted: Posted,
) -> web::Page {
    let product = path.0.clone();
    if posted.get("do") == "discard" {
        let found = found(&app, path).await?;
        app.store.delete_draft(&found.draft).await?;
        return see_other(&format!("/manage/products/{product}"));
    }
    let mut found = found(&app, path).await?;
    let mut form = Form::typed(&posted);
    if let Some(api) = found.wanted.take() {
        let document = Document {
            apis: vec![api],
            ..Document::default()
        };
        match apply(&app, &staff, document, Run::Real).await {
            Ok(_) => {}
            Err(problem) if problem.status().is_client_error() => form.take(&problem, &[]),
            Err(problem) => return Err(problem),
        }
    } else {
        form.wrong("The document cannot be published: the report says what to mend.");
    }
    if !form.is_fine() {
        return unprocessable(&page(&app, &staff, found, form).await?);
    }
    app.store.delete_draft(&found.draft).await?;
    see_other(&format!("/manage/products/{product}?saved=1"))
}
