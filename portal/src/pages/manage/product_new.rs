//! `/manage/products/new`: a product from an OpenAPI document, in two steps: the report, then the product.
//!
//! The first step keeps the document, so that nothing has to be uploaded twice to mend a name.

use askama::Template;
use axum::extract::{Path, State};
use description::import::{Options, import};
use domain::config::{Api, Document, Product};
use domain::subscription::Visibility;
use serde_json::Value as Json;
use store::ObjectKind;

use super::offer::{apply, products};
use super::product_edit::visibilities;
use super::report::{self, Read, Report, Upload, keep, kept};
use super::{author, may_change, shell};
use crate::app::App;
use crate::configuration::Run;
use crate::http::problem::Problem;
use crate::pages::web::field::Choices;
use crate::pages::web::{self, Form, Posted, Shell, Staff, see_other, unprocessable};

const PRIORITY: i32 = 100;

#[derive(Template)]
#[template(path = "manage/product_new.html")]
struct New {
    shell: Shell,
    form: Form,
    visibilities: Choices,
    report: Option<Report>,
}

/// `GET /manage/products/new`
pub(super) async fn form(State(app): State<App>, staff: Staff) -> web::Page {
    web::page(&new(&app, &staff, Form::new(), None).await?)
}

async fn new(app: &App, staff: &Staff, form: Form, report: Option<Report>) -> Result<New, Problem> {
    Ok(New {
        shell: shell(app, staff).await?,
        form,
        visibilities: visibilities(),
        report,
    })
}

fn typed(posted: &Posted) -> Upload {
    let get = |name: &str| posted.get(name).to_owned();
    Upload {
        name: get("name"),
        title: get("title"),
        base_path: get("base_path"),
        upstream: get("upstream"),
        visibility: get("visibility"),
        ..Upload::default()
    }
}

/// `POST /manage/products/new`
pub(super) async fn read(State(app): State<App>, staff: Staff, posted: Posted) -> web::Page {
    let mut form = Form::typed(&posted);
    let Some((bytes, file)) = report::sent(&posted) else {
        form.fault("document", "Choose a file, or paste the document below.");
        return unprocessable(&new(&app, &staff, form, None).await?);
    };
    let mut upload = typed(&posted);
    upload.file = file;
    let read = report::read(bytes.clone(), &upload.base_path).await?;
    if read.root.is_none() {
        let mend = "This document cannot be published: the report says what to mend.";
        form.fault("document", mend);
        return unprocessable(&new(&app, &staff, form, Some(read.report)).await?);
    }
    complete(&mut upload, &read);
    let id = keep(&app, &upload, bytes, &author(&staff)).await?;
    see_other(&format!("/manage/products/new/{id}"))
}

/// Fills in what was left empty from the document.
fn complete(upload: &mut Upload, read: &Read) {
    let title = read.description.title.as_deref().unwrap_or_default();
    if upload.title.is_empty() {
        title.clone_into(&mut upload.title);
    }
    if upload.name.is_empty() {
        let from = if upload.title.is_empty() { title } else { &upload.title };
        upload.name = description::import::slug(from);
    }
    if upload.base_path.is_empty() {
        upload.base_path = format!("/{}", upload.name);
    }
    if upload.upstream.is_empty() {
        let server = read.description.servers.first().filter(|url| url.starts_with("http"));
        upload.upstream = server.cloned().unwrap_or_default();
    }
    if upload.visibility.is_empty() {
        Visibility::Public.as_str().clone_into(&mut upload.visibility);
    }
}

#[derive(Template)]
#[template(path = "manage/product_review.html")]
struct Review {
    shell: Shell,
    may_change: bool,
    form: Form,
    visibilities: Choices,
    report: Report,
    draft: String,
    file: String,
}

fn values(upload: &Upload) -> Form {
    Form::with([
        ("name", upload.name.as_str()),
        ("title", &upload.title),
        ("base_path", &upload.base_path),
        ("upstream", &upload.upstream),
        ("visibility", &upload.visibility),
    ])
}

/// `GET /manage/products/new/{draft}`
pub(super) async fn review(State(app): State<App>, staff: Staff, Path(draft): Path<String>) -> web::Page {
    let (upload, bytes) = kept(&app, &draft).await?;
    let mut read = report::read(bytes, &upload.base_path).await?;
    let mut form = values(&upload);
    let root = read.root.take();
    try_it(&app, &staff, (&upload, &read, root), &mut form, Run::Dry).await?;
    web::page(&page(&app, &staff, (form, upload, read.report, draft)).await?)
}

async fn page(app: &App, staff: &Staff, found: (Form, Upload, Report, String)) -> Result<Review, Problem> {
    let (form, upload, report, draft) = found;
    Ok(Review {
        shell: shell(app, staff).await?,
        may_change: may_change(staff),
        form,
        visibilities: visibilities(),
        report,
        draft,
        file: upload.file,
    })
}

/// Writes the product, or tries to; what is wrong goes beside the fields.
async fn try_it(
    app: &App,
    staff: &Staff,
    (upload, read, root): (&Upload, &Read, Option<Json>),
    form: &mut Form,
    run: Run,
) -> Result<(), Problem> {
    for kind in [ObjectKind::Product, ObjectKind::Api] {
        if app.store.object_named(kind, "", &upload.name).await?.is_some() {
            let what = if kind == ObjectKind::Api { "an API" } else { "a product" };
            form.fault("name", format!("There is {what} of this name. Choose another one."));
        }
    }
    if upload.name == "new" {
        form.fault("name", "This name is an address of its own here. Choose another one.");
    }
    if upload.upstream.is_empty() {
        form.fault(
            "upstream",
            "Write where the gateway sends requests, such as http://127.0.0.1:9001.",
        );
    }
    if !form.is_fine() {
        return Ok(());
    }
    let Some(document) = document(upload, read, root) else {
        form.wrong("The document cannot be published: the report says what to mend.");
        return Ok(());
    };
    match apply(app, staff, document, run).await {
        Ok(_) => Ok(()),
        Err(problem) if problem.status().is_client_error() => {
            take(form, &problem);
            Ok(())
        }
        Err(problem) => Err(problem),
    }
}

/// The API and the product that an upload makes.
fn document(upload: &Upload, read: &Read, root: Option<Json>) -> Option<Document> {
    let options = Options {
        openapi: String::new(),
        name: Some(upload.name.clone()),
        base_path: Some(upload.base_path.clone()).filter(|path| !path.is_empty()),
    };
    let mut imported = import(&read.description, &upload.upstream, &options).value;
    let entry = imported.pointer_mut("/apis/0")?.take();
    let api: Api = serde_json::from_value(entry).ok()?;
    let api = Api {
        openapi: Some(root?),
        ..api
    };
    let product = Product {
        name: upload.name.clone(),
        title: Some(upload.title.clone()).filter(|title| !title.is_empty()),
        description: read.description.summary.clone().filter(|text| text.len() < 20_000),
        apis: vec![upload.name.clone()],
        visibility: Visibility::from_word(&upload.visibility).unwrap_or(Visibility::Public),
        audience: Vec::new(),
        priority: PRIORITY,
        plans: Vec::new(),
    };
    Some(Document {
        apis: vec![api],
        ..products(product)
    })
}

fn take(form: &mut Form, problem: &Problem) {
    let mut any = false;
    for (pointer, text) in problem.places() {
        any = true;
        let field = match pointer {
            "/apis/0/name" | "/products/0/name" => "name",
            "/products/0/title" | "/apis/0/title" => "title",
            "/products/0/visibility" | "/products/0/audience" => "visibility",
            "/apis/0/base_path" => "base_path",
            other if other.starts_with("/apis/0/upstream") => "upstream",
            _ => "",
        };
        if field.is_empty() {
            form.wrong(text);
        } else {
            form.fault(field, text);
        }
    }
    if !any {
        form.wrong(problem.detail_text().unwrap_or_else(|| problem.title()));
    }
}

/// `POST /manage/products/new/{draft}`
pub(super) async fn save(State(app): State<App>, staff: Staff, Path(draft): Path<String>, posted: Posted) -> web::Page {
    let (before, bytes) = kept(&app, &draft).await?;
    if posted.get("do") == "discard" {
        app.store.delete_draft(&draft).await?;
        return see_other("/manage/products");
    }
    let upload = Upload {
        file: before.file,
        ..typed(&posted)
    };
    let mut read = report::read(bytes, &upload.base_path).await?;
    let root = read.root.take();
    let mut form = Form::typed(&posted);
    try_it(&app, &staff, (&upload, &read, root), &mut form, Run::Real).await?;
    if !form.is_fine() {
        return unprocessable(&page(&app, &staff, (form, upload, read.report, draft)).await?);
    }
    app.store.delete_draft(&draft).await?;
    see_other(&format!("/manage/products/{}?saved=1", upload.name))
}
