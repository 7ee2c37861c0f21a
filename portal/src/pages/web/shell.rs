//! What stands around every page: header, account menu, side navigation, footer.

use super::access::Section;
use super::visitor::{Theme, Visitor};
use super::{Html, escape, posted};
use crate::app::App;
use crate::configuration;
use crate::http::problem::Problem;
use crate::pages::statics;

/// A link of a navigation.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    pub(crate) href: String,
    pub(crate) label: String,
    pub(crate) is_current: bool,
    /// A number beside it, such as what waits.
    pub(crate) count: Option<u64>,
}

/// Links under a heading; the first group has none.
#[derive(Debug, Clone)]
pub(crate) struct Group {
    pub(crate) title: Option<String>,
    pub(crate) links: Vec<Link>,
}

/// The side navigation of a section.
#[derive(Debug, Clone)]
pub(crate) struct Side {
    pub(crate) label: String,
    pub(crate) groups: Vec<Group>,
}

/// Path and label.
type Entry<'a> = (&'a str, &'a str);

impl Side {
    /// A side navigation: its name, then groups of (heading, [(path, label)]).
    pub(crate) fn new(label: impl Into<String>, groups: &[(Option<&str>, &[Entry<'_>])]) -> Self {
        let links = |links: &[Entry<'_>]| {
            links
                .iter()
                .map(|(href, label)| Link {
                    href: (*href).to_owned(),
                    label: (*label).to_owned(),
                    is_current: false,
                    count: None,
                })
                .collect()
        };
        Self {
            label: label.into(),
            groups: groups
                .iter()
                .map(|(title, list)| Group {
                    title: title.map(str::to_owned),
                    links: links(list),
                })
                .collect(),
        }
    }

    /// Puts a number beside the link to a path.
    #[must_use]
    pub(crate) fn count(mut self, href: &str, count: u64) -> Self {
        for link in self.groups.iter_mut().flat_map(|group| &mut group.links) {
            if link.href == href {
                link.count = Some(count).filter(|count| *count > 0);
            }
        }
        self
    }

    /// Marks the link that is the longest beginning of the path.
    fn mark(&mut self, path: &str) {
        let leads =
            |href: &str| path == href || (path.starts_with(href) && path.as_bytes().get(href.len()) == Some(&b'/'));
        let best = self
            .groups
            .iter()
            .flat_map(|group| &group.links)
            .filter(|link| leads(&link.href))
            .map(|link| link.href.len())
            .max();
        for link in self.groups.iter_mut().flat_map(|group| &mut group.links) {
            link.is_current = Some(link.href.len()) == best && leads(&link.href);
        }
    }

    /// The name of the current link, for the button that opens the navigation on a narrow screen.
    pub(crate) fn current(&self) -> &str {
        self.groups
            .iter()
            .flat_map(|group| &group.links)
            .find(|link| link.is_current)
            .map_or(self.label.as_str(), |link| link.label.as_str())
    }
}

/// The person in the header.
#[derive(Debug, Clone)]
pub(crate) struct Account {
    pub(crate) name: String,
    pub(crate) email: String,
    pub(crate) initials: String,
    /// Name of the current organisation.
    pub(crate) organisation: Option<String>,
    /// Other organisations: id and name.
    pub(crate) others: Vec<(String, String)>,
    /// Staff sections: path and name.
    pub(crate) sections: Vec<(&'static str, &'static str)>,
    pub(crate) is_verified: bool,
}

/// What every template's layout needs.
#[derive(Debug, Clone)]
pub(crate) struct Shell {
    pub(crate) seller: String,
    /// `light`, `dark` or empty: the value of `data-theme`.
    pub(crate) theme: &'static str,
    /// The theme that the button switches to.
    pub(crate) other_theme: &'static str,
    pub(crate) account: Option<Account>,
    pub(crate) side: Option<Side>,
    pub(crate) path: String,
    pub(crate) signup_open: bool,
    pub(crate) style: &'static str,
    pub(crate) script: &'static str,
    pub(crate) htmx: &'static str,
    /// Address of the sheet of the tenant's brand; none when nothing is set.
    pub(crate) brand: Option<String>,
    pub(crate) logo: Option<String>,
    csrf: String,
}

impl Visitor {
    /// What the layout of a page for this visitor needs.
    pub(crate) async fn shell(&self, app: &App) -> Result<Shell, Problem> {
        let settings = configuration::settings(app).await?;
        let text = |name: &str| {
            settings
                .branding
                .get(name)
                .and_then(|value| value.as_str())
                .map(str::to_owned)
                .filter(|value| !value.is_empty())
        };
        let has_colours = settings.branding.keys().any(|key| key != "name" && key != "logo");
        Ok(Shell {
            seller: settings.portal_name().to_owned(),
            theme: match self.theme() {
                Some(Theme::Light) => "light",
                Some(Theme::Dark) => "dark",
                None => "",
            },
            other_theme: if self.theme() == Some(Theme::Dark) {
                "light"
            } else {
                "dark"
            },
            account: self.person().map(account),
            side: None,
            path: self.path().to_owned(),
            signup_open: settings.signup != Some(domain::config::Signup::Invitation),
            style: statics::STYLE_PATH.as_str(),
            script: statics::SCRIPT_PATH.as_str(),
            htmx: statics::HTMX_PATH.as_str(),
            brand: has_colours.then(|| format!("/static/brand.css?v={}", app.publisher.published())),
            logo: text("logo"),
            csrf: self.csrf(),
        })
    }
}

fn account(person: &super::visitor::Person) -> Account {
    let sections = [
        (Section::Manage, "Manage"),
        (Section::Finance, "Finance"),
        (Section::Admin, "Admin"),
    ];
    let current = person.membership.as_ref().map(|one| one.account_id);
    Account {
        name: person.user.name.clone(),
        email: person.user.email.clone(),
        initials: initials(&person.user.name, &person.user.email),
        organisation: person.membership.as_ref().map(|one| one.account_name.clone()),
        others: person
            .memberships
            .iter()
            .filter(|one| Some(one.account_id) != current)
            .map(|one| (one.account_id.to_string(), one.account_name.clone()))
            .collect(),
        sections: sections
            .into_iter()
            .filter(|(section, _)| section.allows(&person.user.staff_roles, &axum::http::Method::GET))
            .map(|(section, name)| (section.path(), name))
            .collect(),
        is_verified: person.user.verified_at.is_some() || !person.user.staff_roles.is_empty(),
    }
}

/// At most two letters.
fn initials(name: &str, email: &str) -> String {
    let source = if name.trim().is_empty() { email } else { name };
    let mut words = source.split_whitespace().filter_map(|word| word.chars().next());
    let first = words.next();
    first
        .into_iter()
        .chain(words.next_back())
        .flat_map(char::to_uppercase)
        .collect()
}

impl Shell {
    /// The same with a side navigation, whose current link is found by the path.
    #[must_use]
    pub(crate) fn side(mut self, mut side: Side) -> Self {
        side.mark(&self.path);
        self.side = Some(side);
        self
    }

    /// The hidden field of every form.
    pub(crate) fn csrf(&self) -> Html {
        Html(format!(
            "<input type=\"hidden\" name=\"{}\" value=\"{}\">",
            posted::CSRF_FIELD,
            escape(&self.csrf)
        ))
    }

    /// ` aria-current="page"` for the link to this path or to what lies above it.
    pub(crate) fn here(&self, path: &str) -> Html {
        let inside = self.path == path || (path != "/" && self.path.starts_with(&format!("{path}/")));
        Html(if inside { " aria-current=\"page\"" } else { "" }.to_owned())
    }
}
