//! `GET /`: what can be built here, and the way to the first call.

use askama::Template;
use axum::extract::State;

use super::list::Card;
use super::offers::{self, Reader};
use super::{compare, curl};
use crate::app::App;
use crate::pages::Section;
use crate::pages::web::{self, Asked, Html, Shell, Visitor};

/// Products on the start page; the list has all of them.
const MOST: usize = 12;

#[derive(Template)]
#[template(path = "catalogue/start.html")]
struct Page {
    shell: Shell,
    cards: Vec<Card>,
    more: usize,
    /// Where a new reader begins: the sign-up, or the dashboard.
    first: First,
    curl: Option<Html>,
    may_manage: bool,
}

struct First {
    href: &'static str,
    label: &'static str,
}

/// `GET /`
pub(crate) async fn show(State(app): State<App>, visitor: Visitor, asked: Asked) -> web::Page {
    let shell = visitor.shell(&app).await?;
    let catalogue = offers::catalogue(&app).await?;
    let reader = Reader::of(&visitor);
    let currency = compare::currency(&app, &visitor, &asked).await?;
    let listed: Vec<_> = catalogue.listed(&reader).collect();
    let cards = listed
        .iter()
        .take(MOST)
        .map(|offer| Card::of(&app, offer, currency, &catalogue))
        .collect();
    let first_api = listed.iter().flat_map(|offer| &offer.apis).next();
    let person = visitor.person();
    let first = match person {
        Some(person) if person.membership.is_some() => First {
            href: "/app/apps",
            label: "Go to your apps",
        },
        Some(_) => First {
            href: "/organisation/new",
            label: "Create an organisation",
        },
        None if shell.signup_open => First {
            href: "/signup",
            label: "Sign up",
        },
        None => First {
            href: "/login",
            label: "Log in",
        },
    };
    web::page(&Page {
        more: listed.len().saturating_sub(MOST),
        curl: first_api.and_then(|offered| curl::line(&app, offered)),
        cards,
        first,
        may_manage: visitor.reads(Section::Manage),
        shell,
    })
}
