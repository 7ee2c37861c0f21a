//! `/admin/users`: staff and their roles.

use askama::Template;
use axum::extract::State;
use domain::ids::UserId;
use store::{Page as Rows, StaffRole, User};

use crate::api::answer::Id;
use crate::api::users as api;
use crate::app::App;
use crate::http::problem::Problem;
use crate::pages::web::access::{Section, role_name};
use crate::pages::web::show::{self, Moment};
use crate::pages::web::{Asked, Form, Page, Posted, Shell, Staff, page, see_other, unprocessable};

const ROLES: [(StaffRole, &str, &str); 4] = [
    (StaffRole::Admin, "admin", "Everything, people and settings included"),
    (
        StaffRole::ProductManager,
        "product_manager",
        "Products, plans, approvals, guides",
    ),
    (StaffRole::Finance, "finance", "Invoices, payments, revenue"),
    (StaffRole::Support, "support", "Reads everything, changes nothing"),
];

struct Row {
    id: String,
    name: String,
    email: String,
    roles: String,
    login: Moment,
    is_disabled: bool,
    is_invited: bool,
}

struct Role {
    word: &'static str,
    name: &'static str,
    text: &'static str,
    is_held: bool,
}

#[derive(Template)]
#[template(path = "admin/users.html")]
struct Users {
    shell: Shell,
    form: Form,
    rows: Vec<Row>,
    roles: Vec<Role>,
    may_change: bool,
    done: Option<&'static str>,
}

#[derive(Template)]
#[template(path = "admin/user.html")]
struct One {
    shell: Shell,
    form: Form,
    row: Row,
    roles: Vec<Role>,
    may_change: bool,
    is_self: bool,
    organisations: Vec<(String, &'static str)>,
    done: Option<&'static str>,
}

fn row(app: &App, user: &User) -> Row {
    let names: Vec<_> = user.staff_roles.iter().map(|role| role_name(*role)).collect();
    let now = app.clock.now();
    Row {
        id: user.id.to_string(),
        name: if user.name.is_empty() {
            user.email.clone()
        } else {
            user.name.clone()
        },
        email: user.email.clone(),
        roles: if names.is_empty() {
            "no role".to_owned()
        } else {
            names.join(", ")
        },
        login: user.last_login_at.map_or_else(
            || crate::pages::web::Html(show::NOTHING.to_owned()),
            |at| show::ago(at, now),
        ),
        is_disabled: user.disabled_at.is_some(),
        is_invited: user.password_hash.is_none(),
    }
}

fn roles(is_held: impl Fn(StaffRole, &str) -> bool) -> Vec<Role> {
    ROLES
        .iter()
        .map(|(role, word, text)| Role {
            word,
            name: role_name(*role),
            text,
            is_held: is_held(*role, word),
        })
        .collect()
}

fn chosen(posted: &Posted) -> Vec<StaffRole> {
    ROLES
        .iter()
        .filter(|(_, word, _)| posted.all("role").any(|value| value == *word))
        .map(|(role, ..)| *role)
        .collect()
}

async fn listed(app: &App, staff: &Staff, form: Form, done: Option<&'static str>) -> Result<Users, Problem> {
    let people = app.store.staff(&Rows::first(Rows::MAX)).await?;
    let roles = roles(|_, word| form.holds("role", word));
    Ok(Users {
        shell: super::shell(app, staff).await?,
        rows: people.iter().map(|user| row(app, user)).collect(),
        roles,
        form,
        may_change: staff.may_change(Section::Admin),
        done,
    })
}

/// `GET /admin/users`
pub(super) async fn list(State(app): State<App>, staff: Staff, asked: Asked) -> Page {
    let done = match asked.get("done") {
        Some("invited") => Some("The invitation is on its way by mail. Its link works for seven days."),
        Some("disabled") => Some("The person is signed out everywhere and cannot sign in."),
        _ => None,
    };
    page(&listed(&app, &staff, Form::new(), done).await?)
}

/// `POST /admin/users`
pub(super) async fn invite(State(app): State<App>, staff: Staff, posted: Posted) -> Page {
    let made = api::invited(
        &app,
        &staff.caller,
        (posted.get("email"), posted.get("name")),
        chosen(&posted),
    )
    .await;
    match made {
        Ok(_) => see_other("/admin/users?done=invited"),
        Err(problem) if problem.status().is_client_error() => {
            let mut form = Form::typed(&posted);
            form.take(&problem, &[("roles", "role")]);
            unprocessable(&listed(&app, &staff, form, None).await?)
        }
        Err(problem) => Err(problem),
    }
}

async fn one(app: &App, staff: &Staff, id: UserId, form: Form) -> Result<One, Problem> {
    let user = app.store.user(id).await?.ok_or_else(|| Problem::missing("person"))?;
    let memberships = app.store.memberships(id).await?;
    let own = staff.visitor.person().map(|person| person.user.id);
    Ok(One {
        shell: super::shell(app, staff).await?,
        row: row(app, &user),
        roles: roles(|role, _| user.staff_roles.contains(&role)),
        form,
        may_change: staff.may_change(Section::Admin),
        is_self: own == Some(id),
        organisations: memberships
            .into_iter()
            .map(|one| (one.account_name, one.role.as_str()))
            .collect(),
        done: None,
    })
}

/// `GET /admin/users/{id}`
pub(super) async fn show(State(app): State<App>, staff: Staff, Id(id): Id<UserId>, asked: Asked) -> Page {
    let mut shown = one(&app, &staff, id, Form::new()).await?;
    shown.done = match asked.get("done") {
        Some("roles") => Some("The roles were changed. They hold from the next page on."),
        _ => None,
    };
    page(&shown)
}

/// Nobody takes away their own way back.
fn not_oneself(staff: &Staff, id: UserId) -> Result<(), Problem> {
    if staff.visitor.person().is_some_and(|person| person.user.id == id) {
        return Err(Problem::conflict(
            "you cannot take away your own role or bar yourself: ask another administrator",
        ));
    }
    Ok(())
}

/// `POST /admin/users/{id}/roles`
pub(super) async fn change(State(app): State<App>, staff: Staff, Id(id): Id<UserId>, posted: Posted) -> Page {
    let wanted = chosen(&posted);
    if !wanted.contains(&StaffRole::Admin) {
        not_oneself(&staff, id)?;
    }
    let mut tx = staff.caller.change(&app).await?;
    tx.set_staff_roles(id, &wanted).await?;
    app.commit(tx).await?;
    see_other(&format!("/admin/users/{id}?done=roles"))
}

/// `POST /admin/users/{id}/disable`
pub(super) async fn disable(State(app): State<App>, staff: Staff, Id(id): Id<UserId>, posted: Posted) -> Page {
    not_oneself(&staff, id)?;
    let user = app.store.user(id).await?.ok_or_else(|| Problem::missing("person"))?;
    if posted.get("confirm") != user.email {
        let mut form = Form::typed(&posted);
        form.fault("confirm", format!("Type {} to confirm", user.email));
        return unprocessable(&one(&app, &staff, id, form).await?);
    }
    let mut tx = staff.caller.change(&app).await?;
    tx.disable_user(id).await?;
    app.commit(tx).await?;
    see_other("/admin/users?done=disabled")
}
