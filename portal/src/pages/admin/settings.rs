//! `/admin/settings`: name, colours, who may sign up, legal identity, mail with a test.

use askama::Template;
use axum::extract::State;
use domain::config::{Document, Settings, Signup};
use domain::subscription::Origin;
use serde_json::Value as Json;

use super::contrast;
use crate::app::App;
use crate::configuration::plan::Prune;
use crate::configuration::{self, Apply, Run};
use crate::http::problem::Problem;
use crate::letters::{self, Letter};
use crate::pages::statics;
use crate::pages::web::access::Section;
use crate::pages::web::field::Choices;
use crate::pages::web::{Asked, Form, Page, Posted, Shell, Staff, page, see_other, unprocessable};

/// Tokens that the form offers: name, what they colour, the value in force when none is set (light, dark).
const COLOURS: [(&str, &str, &str, &str); 8] = [
    ("accent", "Primary button", "#2a5bd0", "#3f68d6"),
    ("on-accent", "Text on the primary button", "#ffffff", "#ffffff"),
    ("link", "Links", "#2450bb", "#8fb4ff"),
    ("canvas", "Page", "#ffffff", "#101215"),
    ("ink", "Text", "#1a1f29", "#e7eaef"),
    ("ink-soft", "Second voice", "#485060", "#b1b7c2"),
    ("ink-faint", "Captions", "#626a78", "#959ca9"),
    ("focus", "Focus ring", "#3d63e6", "#6d9bff"),
];
/// Which colour must be read on which, and the least ratio in hundredths.
const PAIRS: [(&str, &str, u64); 6] = [
    ("on-accent", "accent", 450),
    ("link", "canvas", 450),
    ("ink", "canvas", 450),
    ("ink-soft", "canvas", 450),
    ("ink-faint", "canvas", 450),
    ("focus", "canvas", 300),
];
const MAX_TEXT: usize = 500;
const MAX_TAX_IDS: usize = 10;

struct Colour {
    name: &'static str,
    label: &'static str,
    light: &'static str,
    dark: &'static str,
}

#[derive(Template)]
#[template(path = "admin/settings.html")]
struct Shown {
    shell: Shell,
    form: Form,
    colours: Vec<Colour>,
    signup: Choices,
    /// What invoices lack, in a sentence.
    lacking: Option<String>,
    mail_words: String,
    mail_from: String,
    me: String,
    may_change: bool,
    done: Option<String>,
    failed: Option<String>,
}

fn tax_ids(settings: &Settings) -> Vec<String> {
    let ids = settings.legal.get("tax_ids").and_then(Json::as_array);
    let ids = ids.into_iter().flatten().filter_map(Json::as_str);
    ids.map(str::to_owned).collect()
}

fn text(map: &indexmap::IndexMap<String, Json>, name: &str) -> String {
    map.get(name).and_then(Json::as_str).unwrap_or_default().to_owned()
}

/// What invoices lack for want of a setting.
fn lacking(settings: &Settings) -> Option<String> {
    let has = |name: &str| match settings.legal.get(name) {
        Some(Json::Array(items)) => !items.is_empty(),
        Some(value) => value.as_str().is_some_and(|text| !text.trim().is_empty()),
        None => false,
    };
    let wanted = [
        ("name", "the company's legal name"),
        ("address", "its address"),
        ("tax_ids", "a tax number"),
    ];
    let missing: Vec<&str> = wanted
        .iter()
        .filter(|(name, _)| !has(name))
        .map(|(_, words)| *words)
        .collect();
    let (last, others) = missing.split_last()?;
    let words = if others.is_empty() {
        (*last).to_owned()
    } else {
        format!("{} and {last}", others.join(", "))
    };
    let from = settings.seller_name();
    Some(format!(
        "Invoices come from “{from}” and lack {words}. Most countries ask for it on an invoice."
    ))
}

/// Where mails go, in words.
fn mail_words(place: &str) -> String {
    match place.split_once(':') {
        Some(("outbox", folder)) => {
            let folder = if folder.is_empty() {
                "outbox in the data directory"
            } else {
                folder
            };
            format!("Into files in the folder {folder}: no mail server is set, so nobody receives them")
        }
        _ => format!("To the server {place}"),
    }
}

fn stored(settings: &Settings) -> Form {
    let mut values = vec![
        ("name".to_owned(), text(&settings.branding, "name")),
        ("logo".to_owned(), text(&settings.branding, "logo")),
        ("legal_name".to_owned(), text(&settings.legal, "name")),
        ("legal_address".to_owned(), text(&settings.legal, "address")),
        ("legal_country".to_owned(), text(&settings.legal, "country")),
        ("legal_tax_ids".to_owned(), tax_ids(settings).join("\n")),
        (
            "signup".to_owned(),
            if settings.signup == Some(Signup::Invitation) {
                "invitation"
            } else {
                "open"
            }
            .to_owned(),
        ),
    ];
    for (name, ..) in COLOURS {
        for prefix in ["", "dark-"] {
            let token = format!("{prefix}{name}");
            values.push((token.clone(), text(&settings.branding, &token)));
        }
    }
    Form::with(values)
}

async fn shown(app: &App, staff: &Staff, form: Form) -> Result<Shown, Problem> {
    let me = staff.visitor.person().map(|person| person.user.email.clone());
    Ok(Shown {
        shell: super::shell(app, staff).await?,
        form,
        colours: COLOURS
            .iter()
            .map(|(name, label, light, dark)| Colour {
                name,
                label,
                light,
                dark,
            })
            .collect(),
        signup: vec![
            ("open".to_owned(), "Open: everyone can make an account".to_owned()),
            (
                "invitation".to_owned(),
                "By invitation: only whoever is invited".to_owned(),
            ),
        ],
        lacking: lacking(&configuration::settings(app).await?),
        mail_words: mail_words(app.mailer.place()),
        mail_from: app.mailer.from(),
        me: me.unwrap_or_default(),
        may_change: staff.may_change(Section::Admin),
        done: None,
        failed: None,
    })
}

/// `GET /admin/settings`
pub(super) async fn show(State(app): State<App>, staff: Staff, asked: Asked) -> Page {
    let settings = configuration::settings(&app).await?;
    let mut view = shown(&app, &staff, stored(&settings)).await?;
    if asked.get("done") == Some("saved") {
        view.done = Some("Saved. Pages show it from now on.".to_owned());
    }
    page(&view)
}

/// `POST /admin/settings`
pub(super) async fn save(State(app): State<App>, staff: Staff, posted: Posted) -> Page {
    let mut form = Form::typed(&posted);
    let mut settings = configuration::settings(&app).await?;
    take(&mut settings, &posted, &mut form);
    check_colours(&settings, &mut form);
    if form.is_fine() {
        let wish = Apply {
            document: Document {
                settings,
                ..Document::default()
            },
            prune: Prune::Nothing,
            run: Run::Real,
            origin: Origin::Portal,
        };
        match configuration::apply(&app, staff.caller.actor(), wish).await {
            Ok(_) => return see_other("/admin/settings?done=saved"),
            Err(problem) if problem.status().as_u16() == 400 => form.take(&problem, &[]),
            Err(problem) => return Err(problem),
        }
    }
    unprocessable(&shown(&app, &staff, form).await?)
}

fn put(map: &mut indexmap::IndexMap<String, Json>, name: &str, value: &str) {
    if value.is_empty() {
        map.shift_remove(name);
    } else {
        map.insert(name.to_owned(), Json::from(value));
    }
}

fn take(settings: &mut Settings, posted: &Posted, form: &mut Form) {
    for (field, map, key) in [
        ("name", true, "name"),
        ("legal_name", false, "name"),
        ("legal_address", false, "address"),
        ("legal_country", false, "country"),
    ] {
        let value = posted.get(field);
        if value.len() > MAX_TEXT {
            form.fault(field, format!("Make it shorter: {MAX_TEXT} characters at most"));
        }
        put(
            if map {
                &mut settings.branding
            } else {
                &mut settings.legal
            },
            key,
            value,
        );
    }
    let ids: Vec<&str> = posted.get("legal_tax_ids").lines().map(str::trim).collect();
    let ids: Vec<&str> = ids.into_iter().filter(|id| !id.is_empty()).collect();
    if ids.len() > MAX_TAX_IDS || ids.iter().any(|id| id.len() > MAX_TEXT) {
        form.fault(
            "legal_tax_ids",
            format!("Write {MAX_TAX_IDS} numbers at most, each on a line"),
        );
    }
    if ids.is_empty() {
        settings.legal.shift_remove("tax_ids");
    } else {
        settings.legal.insert("tax_ids".to_owned(), Json::from(ids));
    }
    let logo = posted.get("logo");
    let is_picture = logo.starts_with("data:image/") && logo.len() <= 100_000;
    if !(logo.is_empty() || is_picture) {
        form.fault(
            "logo",
            "Give the picture as a data: address of an image, up to 100 KB; pages load nothing from other hosts",
        );
    }
    put(&mut settings.branding, "logo", logo);
    settings.signup = match posted.get("signup") {
        "invitation" => Some(Signup::Invitation),
        _ => Some(Signup::Open),
    };
    for (name, ..) in COLOURS {
        for prefix in ["", "dark-"] {
            let token = format!("{prefix}{name}");
            let value = posted.get(&token);
            if !value.is_empty() && (contrast::parse(value).is_none() || !statics::is_token_value(value)) {
                form.fault(&token, "Write the colour as #rrggbb, such as #2a5bd0");
            }
            put(&mut settings.branding, &token, value);
        }
    }
}

/// Every pair of which one colour is set must be readable; offers the nearest colour that is.
fn check_colours(settings: &Settings, form: &mut Form) {
    for (theme, prefix) in [("light", ""), ("dark", "dark-")] {
        let value = |name: &str| {
            let set = text(&settings.branding, &format!("{prefix}{name}"));
            let default = COLOURS
                .iter()
                .find(|(known, ..)| *known == name)
                .map_or(
                    "#000000",
                    |(_, _, light, dark)| if prefix.is_empty() { *light } else { *dark },
                );
            let is_set = !set.is_empty();
            (contrast::parse(if is_set { &set } else { default }), is_set)
        };
        for (front, ground, least) in PAIRS {
            let ((Some(on), is_on_set), (Some(below), is_below_set)) = (value(front), value(ground)) else {
                continue;
            };
            let found = contrast::ratio(on, below);
            if found >= least || !(is_on_set || is_below_set) {
                continue;
            }
            let field = format!("{prefix}{}", if is_on_set { front } else { ground });
            let (fixed, other) = if is_on_set { (on, below) } else { (below, on) };
            form.fault(
                &field,
                format!(
                    "Too faint in the {theme} theme: {front} on {ground} has {}.{:02} to 1, {}.{} is needed. {} would do",
                    found / 100,
                    found % 100,
                    least / 100,
                    least % 100 / 10,
                    contrast::hex(contrast::nearest(fixed, other, least))
                ),
            );
        }
    }
}

fn accepted(to: &str, place: &str) -> String {
    if place.starts_with("outbox:") {
        return format!("The test mail to {to} was accepted: it lies in the outbox.");
    }
    format!("The test mail to {to} was accepted by {place}.")
}

/// `POST /admin/settings/mail`
pub(super) async fn try_mail(State(app): State<App>, staff: Staff, posted: Posted) -> Page {
    let settings = configuration::settings(&app).await?;
    let mut view = shown(&app, &staff, stored(&settings)).await?;
    let to = posted.get("to");
    if mail::check_address(to).is_err() {
        view.failed = Some("Complete the address to send the test to, as in ines@kestrel.example".to_owned());
        return unprocessable(&view);
    }
    let letter = Letter {
        kind: "test",
        subject: format!("A test mail of {}", view.shell.seller),
        preview: "Mails of this deployment arrive.".to_owned(),
        text: vec!["You read this, so mails of this deployment arrive.".to_owned()],
        why: "An administrator sent it from the settings to try whether mail works.".to_owned(),
        ..Letter::default()
    };
    let written = letters::written(&app, to, letter).await?;
    match app.mailer.send_now(&written).await {
        Ok(()) => view.done = Some(accepted(to, app.mailer.place())),
        Err(error) => view.failed = Some(format!("The test mail was not accepted: {error}")),
    }
    page(&view)
}
