//! `/app/security`: password, sessions, and what was done with the account.

use askama::Template;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use domain::key::KeyHash;
use store::{AuditFilter, AuditRecord, Page as Rows, Session};

use super::forgot;
use crate::app::App;
use crate::http::problem::Problem;
use crate::pages::web::show::{self, Moment};
use crate::pages::web::visitor::Person;
use crate::pages::web::{Asked, Form, Page, Posted, Shell, Visitor, page, see_other, sides, unprocessable};
use crate::people::throttle::{self, Try};
use crate::people::{password, sessions};

/// Events of the personal log.
const EVENTS: u32 = 50;

struct Row {
    id: String,
    browser: String,
    address: String,
    began: Moment,
    seen: Moment,
    is_current: bool,
}

struct Event {
    at: Moment,
    what: String,
    from: String,
}

#[derive(Template)]
#[template(path = "people/security.html")]
struct Security {
    shell: Shell,
    form: Form,
    email: String,
    sessions: Vec<Row>,
    events: Vec<Event>,
    done: Option<&'static str>,
    zone: String,
}

async fn security(app: &App, visitor: &Visitor, form: Form, done: Option<&'static str>) -> Result<Security, Problem> {
    let person = who(visitor)?;
    let filter = AuditFilter {
        person: Some(person.user.id),
        ..AuditFilter::default()
    };
    let events = app.store.audit_events(&filter, &Rows::first(EVENTS)).await?;
    let open = app.store.sessions_of(person.user.id, visitor.now()).await?;
    let mut shell = visitor.shell(app).await?;
    if let Some(membership) = &person.membership {
        shell = shell.side(sides::of(membership));
    }
    Ok(Security {
        shell,
        form,
        email: person.user.email.clone(),
        sessions: open.iter().map(|session| row(session, person, visitor)).collect(),
        events: events.iter().map(|event| told(event, visitor)).collect(),
        done,
        zone: show::zone_name(visitor.zone()),
    })
}

fn who(visitor: &Visitor) -> Result<&Person, Problem> {
    visitor.person().ok_or_else(Problem::internal)
}

fn row(session: &Session, person: &Person, visitor: &Visitor) -> Row {
    Row {
        id: session.secret_hash.to_hex(),
        browser: session
            .agent
            .as_deref()
            .map_or_else(|| "Unknown browser".to_owned(), browser),
        address: session.address.clone().unwrap_or_else(|| show::NOTHING.to_owned()),
        began: show::moment(session.created_at, visitor.zone()),
        seen: show::ago(session.seen_at, visitor.now()),
        is_current: session.secret_hash == person.session.secret_hash,
    }
}

/// `Firefox on Linux` from what a browser calls itself.
fn browser(agent: &str) -> String {
    // The order matters: Edge and Opera call themselves Chrome, Chrome calls itself Safari, Android calls itself Linux.
    let names = [
        ("Firefox/", "Firefox"),
        ("Edg/", "Edge"),
        ("OPR/", "Opera"),
        ("Chrome/", "Chrome"),
        ("Safari/", "Safari"),
        ("curl/", "curl"),
    ];
    let systems = [
        ("Android", "Android"),
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Windows", "Windows"),
        ("Mac OS", "macOS"),
        ("CrOS", "ChromeOS"),
        ("Linux", "Linux"),
    ];
    let find = |known: &[(&str, &'static str)]| {
        known
            .iter()
            .find(|(part, _)| agent.contains(part))
            .map(|(_, name)| *name)
    };
    match (find(&names), find(&systems)) {
        (Some(name), Some(system)) => format!("{name} on {system}"),
        (Some(name), None) => name.to_owned(),
        (None, _) => agent
            .split(['/', ' '])
            .next()
            .unwrap_or(agent)
            .chars()
            .take(40)
            .collect(),
    }
}

fn told(event: &AuditRecord, visitor: &Visitor) -> Event {
    Event {
        at: show::moment(event.at, visitor.zone()),
        what: words(&event.action),
        from: event
            .actor
            .address
            .clone()
            .unwrap_or_else(|| match event.actor.kind.as_str() {
                "user" => show::NOTHING.to_owned(),
                kind => format!("by a {kind}"),
            }),
    }
}

/// An action for people.
fn words(action: &str) -> String {
    let known = match action {
        "user.create" => "Account made",
        "user.log_in" => "Logged in",
        "user.log_out" => "Logged out",
        "user.set_password" => "Password changed",
        "user.verify_email" => "Mail address confirmed",
        "user.rename" => "Name changed",
        "user.set_roles" => "Staff roles changed",
        "user.sign_up_again" => "Someone tried to sign up with your address",
        "user.end_sessions" => "Sessions ended",
        "invitation.accept" => "Invitation accepted",
        "invitation.create" => "Someone invited",
        "invitation.withdraw" => "Invitation withdrawn",
        "member.set" => "Member added or role changed",
        "member.remove" => "Member removed",
        "account.create" => "Organisation made",
        "account.update" => "Organisation changed",
        "consumer.create" => "App created",
        "credential.create" => "Key created",
        "credential.revoke" => "Key revoked",
        "credential.rotate" => "Key rotated",
        _ => "",
    };
    if !known.is_empty() {
        return known.to_owned();
    }
    let text = action.replace(['.', '_'], " ");
    let mut letters = text.chars();
    letters
        .next()
        .map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// `GET /app/security`
pub(super) async fn show(State(app): State<App>, visitor: Visitor, asked: Asked) -> Page {
    let done = match asked.get("done") {
        Some("password") => Some("The password was changed and every other session was ended."),
        Some("ended") => Some("The session was ended."),
        Some("others") => Some("Every other session was ended."),
        _ => None,
    };
    page(&security(&app, &visitor, Form::new(), done).await?)
}

/// `POST /app/security/password`
pub(super) async fn password(State(app): State<App>, visitor: Visitor, headers: HeaderMap, posted: Posted) -> Page {
    let person = who(&visitor)?;
    let user = &person.user;
    let mut form = Form::new();
    let counted = match throttle::count(&app, Try::LogIn, &user.email, visitor.address()).await? {
        Ok(counted) => counted,
        Err(seconds) => {
            form.wrong(super::wait(seconds));
            return super::too_many(seconds, &security(&app, &visitor, form, None).await?);
        }
    };
    let is_right = password::verify(posted.raw("old_password"), user.password_hash.as_deref()).await;
    if is_right.map_err(|_| Problem::internal())? {
        counted.forgive(&app).await?;
    } else {
        form.fault("old_password", "This is not your password");
    }
    if let Some(fault) = password::fault(posted.raw("new_password"), &[&user.email, &user.name]) {
        form.fault("new_password", fault);
    }
    if !form.is_fine() {
        return unprocessable(&security(&app, &visitor, form, None).await?);
    }
    let hash = password::hash(posted.raw("new_password"))
        .await
        .map_err(|_| Problem::internal())?;
    let actor = match visitor.address() {
        Some(address) => store::Actor::user(user.id).from_address(address),
        None => store::Actor::user(user.id),
    };
    let mut tx = app.change(actor, store::Scope::All).await?;
    tx.set_password(user.id, &hash).await?;
    app.commit(tx).await?;
    forgot::changed(&app, &visitor, &user.email).await;
    // All sessions have ended with the old password, this one too.
    let response = see_other("/app/security?done=password")?;
    sessions::begin(&app, (&visitor, &headers), user.id, response).await
}

/// `POST /app/security/sessions/{id}/end`
pub(super) async fn end(State(app): State<App>, visitor: Visitor, Path(id): Path<String>, _posted: Posted) -> Page {
    let user = who(&visitor)?.user.id;
    let unknown = || Problem::missing("session of yours");
    let hash = KeyHash::from_hex(&id).ok_or_else(unknown)?;
    if !app.store.end_session_of(user, hash).await? {
        return Err(unknown());
    }
    sessions::note(&app, &visitor, user, "user.end_sessions").await?;
    see_other("/app/security?done=ended")
}

/// `POST /app/security/sessions/others`
pub(super) async fn end_others(State(app): State<App>, visitor: Visitor, _posted: Posted) -> Page {
    let person = who(&visitor)?;
    app.store
        .end_other_sessions(person.user.id, person.session.secret_hash)
        .await?;
    sessions::note(&app, &visitor, person.user.id, "user.end_sessions").await?;
    see_other("/app/security?done=others")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_are_named_as_people_know_them() {
        for (agent, name) in [
            (
                "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
                "Firefox on Linux",
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/147.0 Safari/537.36 Edg/147.0",
                "Edge on Windows",
            ),
            (
                "Mozilla/5.0 (Linux; Android 16) AppleWebKit/537.36 Chrome/147.0 Mobile Safari/537.36",
                "Chrome on Android",
            ),
            ("curl/8.5", "curl"),
            ("python-requests/2.32", "python-requests"),
        ] {
            assert_eq!(browser(agent), name);
        }
    }
}
