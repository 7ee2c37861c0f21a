//! `/manage/guides`: guides in Markdown, with a preview; whoever saves over what they have not seen gets 409.

use askama::Template;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use reference::prose::Shelf;
use store::{Guide, GuideFields};

use super::{author, may_change, shell};
use crate::app::App;
use crate::http::problem::Problem;
use crate::pages::catalogue::guides;
use crate::pages::web::show::{self, Moment};
use crate::pages::web::{self, Asked, Form, Html, Posted, Shell, Staff, see_other, unprocessable, with_status};

const LONGEST: usize = 500_000;

#[derive(Template)]
#[template(path = "manage/guides.html")]
struct List {
    shell: Shell,
    may_change: bool,
    done: Option<&'static str>,
    rows: Vec<Row>,
}

struct Row {
    path: String,
    title: String,
    published: bool,
    author: String,
    changed: Moment,
}

/// `GET /manage/guides`
pub(super) async fn list(State(app): State<App>, staff: Staff, asked: Asked) -> web::Page {
    let guides = app.store.guides().await?;
    let page = List {
        shell: shell(&app, &staff).await?,
        may_change: may_change(&staff),
        done: asked.get("deleted").map(|_| "The guide is deleted."),
        rows: guides
            .into_iter()
            .map(|guide| Row {
                path: guide.fields.path,
                title: guide.fields.title,
                published: guide.fields.published,
                author: guide.author,
                changed: show::moment(guide.updated_at, staff.visitor.zone()),
            })
            .collect(),
    };
    web::page(&page)
}

#[derive(Template)]
#[template(path = "manage/guide.html")]
struct Edit {
    shell: Shell,
    may_change: bool,
    form: Form,
    title: String,
    action: String,
    path: Option<String>,
    published: bool,
    seen: i64,
    saved: bool,
    preview: Html,
    /// Who has changed it since, and the body as it stands now.
    theirs: Option<(String, String)>,
}

fn rendered(body: &str, path: &str, guides: &[String]) -> Html {
    let path = &format!("/docs/{path}");
    reference::prose::guide(body, Shelf { path, guides }).html.into()
}

async fn page(app: &App, staff: &Staff, form: Form, guide: Option<&Guide>) -> Result<Edit, Problem> {
    let shelf = guides::addresses(&app.store.guides().await?);
    let preview = rendered(form.value("body"), form.value("path"), &shelf);
    Ok(Edit {
        shell: shell(app, staff).await?,
        may_change: may_change(staff),
        title: guide.map_or_else(|| "New guide".to_owned(), |guide| guide.fields.title.clone()),
        action: guide.map_or_else(
            || "/manage/guides/new".to_owned(),
            |guide| format!("/manage/guides/edit/{}", guide.fields.path),
        ),
        path: guide.map(|guide| guide.fields.path.clone()),
        published: guide.is_some_and(|guide| guide.fields.published),
        seen: guide.map_or(0, |guide| guide.version),
        saved: false,
        preview,
        theirs: None,
        form,
    })
}

/// `GET /manage/guides/new`
pub(super) async fn new(State(app): State<App>, staff: Staff) -> web::Page {
    let form = Form::with([("position", "0"), ("body", "")]);
    web::page(&page(&app, &staff, form, None).await?)
}

/// What was typed, with what is wrong noted in the form.
fn typed(posted: &Posted, form: &mut Form, published: bool) -> GuideFields {
    let path = posted.get("path").trim_matches('/').to_owned();
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_./".contains(&byte);
    let parts = path.split('/').all(|part| !part.is_empty() && !part.starts_with('.'));
    if path.is_empty() || path.len() > 200 || !path.bytes().all(fits) || !parts {
        form.fault(
            "path",
            "Write small letters, digits and hyphens, with slashes between parts, such as start/first-call.",
        );
    }
    let title = posted.get("title").to_owned();
    if title.is_empty() || title.chars().count() > 200 {
        form.fault("title", "Write a title of 1 to 200 characters.");
    }
    let body = posted.raw("body").to_owned();
    if body.len() > LONGEST {
        form.fault(
            "body",
            format!("It is too long: {} of at most {} characters.", body.len(), LONGEST),
        );
    }
    let position = posted.get("position").parse().unwrap_or_else(|_| {
        form.fault("position", "Write a whole number; the lowest stands first.");
        0
    });
    GuideFields {
        path,
        title,
        summary: posted.get("summary").to_owned(),
        body,
        position,
        published,
    }
}

/// `POST /manage/guides/new`
pub(super) async fn create(State(app): State<App>, staff: Staff, posted: Posted) -> web::Page {
    let mut form = Form::typed(&posted);
    if posted.get("do") == "preview" {
        return web::page(&page(&app, &staff, form, None).await?);
    }
    let fields = typed(&posted, &mut form, posted.get("do") == "publish");
    if form.is_fine() && app.store.guide(&fields.path).await?.is_some() {
        form.fault("path", "There is a guide at this address. Choose another one.");
    }
    if !form.is_fine() {
        return unprocessable(&page(&app, &staff, form, None).await?);
    }
    let mut tx = staff.caller.change(&app).await?;
    let guide = tx.create_guide(&fields, &author(&staff)).await?;
    app.commit(tx).await?;
    see_other(&format!("/manage/guides/edit/{}?saved=1", guide.fields.path))
}

async fn found(app: &App, path: &str) -> Result<Guide, Problem> {
    app.store.guide(path).await?.ok_or_else(|| Problem::missing("guide"))
}

fn stored(guide: &Guide) -> Form {
    Form::with([
        ("path", guide.fields.path.clone()),
        ("title", guide.fields.title.clone()),
        ("summary", guide.fields.summary.clone()),
        ("position", guide.fields.position.to_string()),
        ("body", guide.fields.body.clone()),
    ])
}

/// `GET /manage/guides/edit/{path}`
pub(super) async fn edit(State(app): State<App>, staff: Staff, Path(path): Path<String>, asked: Asked) -> web::Page {
    let guide = found(&app, &path).await?;
    let mut page = page(&app, &staff, stored(&guide), Some(&guide)).await?;
    page.saved = asked.get("saved").is_some();
    web::page(&page)
}

/// `POST /manage/guides/edit/{path}`
pub(super) async fn change(
    State(app): State<App>,
    staff: Staff,
    Path(path): Path<String>,
    posted: Posted,
) -> web::Page {
    let guide = found(&app, &path).await?;
    let mut form = Form::typed(&posted);
    let published = match posted.get("do") {
        "preview" => return web::page(&page(&app, &staff, form, Some(&guide)).await?),
        "publish" => true,
        "unpublish" => false,
        _ => guide.fields.published,
    };
    let seen: i64 = posted.get("seen").parse().unwrap_or(0);
    if seen != guide.version {
        let mut page = page(&app, &staff, form, Some(&guide)).await?;
        page.theirs = Some((guide.author.clone(), guide.fields.body.clone()));
        return with_status(StatusCode::CONFLICT, &page);
    }
    let fields = typed(&posted, &mut form, published);
    if form.is_fine() && fields.path != path && app.store.guide(&fields.path).await?.is_some() {
        form.fault("path", "There is a guide at this address. Choose another one.");
    }
    if !form.is_fine() {
        return unprocessable(&page(&app, &staff, form, Some(&guide)).await?);
    }
    let mut tx = staff.caller.change(&app).await?;
    let after = tx.update_guide(&path, seen, &fields, &author(&staff)).await?;
    app.commit(tx).await?;
    see_other(&format!("/manage/guides/edit/{}?saved=1", after.fields.path))
}

#[derive(Template)]
#[template(path = "manage/guide_delete.html")]
struct Delete {
    shell: Shell,
    path: String,
    title: String,
    published: bool,
    seen: i64,
}

/// `GET /manage/guides/delete/{path}`
pub(super) async fn confirm(State(app): State<App>, staff: Staff, Path(path): Path<String>) -> web::Page {
    let guide = found(&app, &path).await?;
    let page = Delete {
        shell: shell(&app, &staff).await?,
        title: guide.fields.title,
        published: guide.fields.published,
        seen: guide.version,
        path,
    };
    web::page(&page)
}

/// `POST /manage/guides/delete/{path}`
pub(super) async fn delete(
    State(app): State<App>,
    staff: Staff,
    Path(path): Path<String>,
    posted: Posted,
) -> web::Page {
    let mut tx = staff.caller.change(&app).await?;
    tx.delete_guide(&path, posted.get("seen").parse().unwrap_or(0)).await?;
    app.commit(tx).await?;
    see_other("/manage/guides?deleted=1")
}
