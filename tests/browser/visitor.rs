//! Somebody without a browser: cookies, pages as text, forms as they stand on the page.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::html::{Form, Page};
use crate::support::client::{Answer, Client};
use crate::support::demo::address;

pub struct Visitor {
    base: String,
    client: Client,
    cookies: BTreeMap<String, String>,
}

/// A page that a crawl has found.
#[derive(Debug, Clone)]
pub struct Found {
    pub path: String,
    /// The page with the first link to it.
    pub from: String,
    pub status: u16,
    pub page: Page,
}

impl Visitor {
    pub fn new(base: &str) -> Self {
        let base = base.trim_end_matches('/').to_owned();
        Self {
            client: Client::new(address(&base)),
            base,
            cookies: BTreeMap::new(),
        }
    }

    /// With the cookies of a browser.
    pub fn with_cookies(base: &str, cookies: &str) -> Self {
        let mut visitor = Self::new(base);
        let pairs = cookies.split("; ").filter_map(|pair| pair.split_once('='));
        visitor.cookies = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        visitor
    }

    pub fn cookies(&self) -> &BTreeMap<String, String> {
        &self.cookies
    }

    pub fn get(&mut self, path: &str) -> Answer {
        self.send("GET", path, &[("Accept", "text/html")], "")
    }

    pub fn page(&mut self, path: &str) -> Page {
        let answer = self.get(path);
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        Page::parse(&answer.text())
    }

    /// Sends a form from a page of this server.
    pub fn submit(&mut self, form: &Form) -> Answer {
        let origin = self.base.clone();
        self.submit_from(form, Some(&origin))
    }

    pub fn submit_from(&mut self, form: &Form, origin: Option<&str>) -> Answer {
        let body = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(&form.fields)
            .finish();
        let mut headers = vec![
            ("Accept", "text/html"),
            ("Content-Type", "application/x-www-form-urlencoded"),
        ];
        headers.extend(origin.map(|origin| ("Origin", origin)));
        self.send("POST", &form.action, &headers, &body)
    }

    pub fn send(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let pairs: Vec<_> = self
            .cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let cookie = pairs.join("; ");
        let mut headers = headers.to_vec();
        if !cookie.is_empty() {
            headers.push(("Cookie", &cookie));
        }
        let answer = self.client.send(method, path, &headers, body.as_bytes());
        let answer = answer.or_else(|_| self.client.send(method, path, &headers, body.as_bytes()));
        let answer = answer.unwrap_or_else(|error| panic!("{method} {path}: {error}"));
        for (_, cookie) in answer
            .headers
            .iter()
            .filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie"))
        {
            let (name, value) = cookie.split(';').next().unwrap().split_once('=').unwrap();
            let is_gone = value.is_empty() || cookie.to_lowercase().contains("max-age=0");
            if is_gone {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        answer
    }

    pub fn log_in(&mut self, email: &str, password: &str) {
        let form = self.page("/login").form("/login").expect("a form to log in");
        let answer = self.submit(&form.with("email", email).with("password", password));
        assert_eq!(
            answer.status,
            303,
            "{email}: {}",
            Page::parse(&answer.text()).main_text()
        );
    }

    /// Follows redirects and gives back where they end.
    pub fn follow(&mut self, path: &str) -> (String, Answer) {
        let mut path = path.to_owned();
        for _ in 0..5 {
            let answer = self.get(&path);
            match answer
                .header("location")
                .filter(|_| (300..400).contains(&answer.status))
            {
                Some(location) => path = self.local(location).unwrap_or_else(|| location.to_owned()),
                None => return (path, answer),
            }
        }
        panic!("{path} redirects for ever");
    }

    /// The path on this server that a link leads to; `None` for another server and other schemes.
    fn local(&self, link: &str) -> Option<String> {
        let path = link.strip_prefix(&self.base).unwrap_or(link);
        (path.starts_with('/') && !path.starts_with("//")).then(|| path.to_owned())
    }

    /// Every page that links lead to from `/`, at most so many for each shape of a path.
    pub fn crawl(&mut self, at_most: usize) -> Vec<Found> {
        let mut queue: VecDeque<(String, String)> = [("/".to_owned(), String::new())].into();
        let mut known: BTreeSet<String> = ["/".to_owned()].into();
        let mut shapes: BTreeMap<String, usize> = BTreeMap::new();
        let mut found = Vec::new();
        while let Some((path, from)) = queue.pop_front() {
            let seen = shapes.entry(shape(&path)).or_default();
            *seen += 1;
            if *seen > at_most {
                continue;
            }
            let (end, answer) = self.follow(&path);
            let status = answer.status;
            if end != path && !known.insert(end.clone()) {
                // It is looked at under its own name.
                assert!(status < 400, "{path} (linked from {from}) leads to {end}: {status}");
                continue;
            }
            let is_page = answer
                .header("content-type")
                .is_some_and(|kind| kind.starts_with("text/html"));
            let page = Page::parse(&if is_page { answer.text() } else { String::new() });
            for link in page.links().iter().filter_map(|link| resolved(&end, link)) {
                let Some(local) = self.local(&link) else { continue };
                let path = local.split('#').next().unwrap().to_owned();
                if known.insert(path.clone()) {
                    queue.push_back((path, end.clone()));
                }
            }
            found.push(Found {
                path: end,
                from,
                status,
                page,
            });
        }
        found
    }
}

/// A link of a page as a path of this server or a whole URL.
fn resolved(page: &str, link: &str) -> Option<String> {
    let base = url::Url::parse(&format!("http://portal.invalid{page}")).ok()?;
    let url = base.join(link).ok()?;
    if url.host_str() == Some("portal.invalid") {
        Some(url.as_str()["http://portal.invalid".len()..].to_owned())
    } else {
        Some(url.to_string())
    }
}

/// A path without what names one thing of many, so that pages of one kind fall together.
pub fn shape(path: &str) -> String {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let mut segments: Vec<String> = path.split('/').map(segment).collect();
    // What follows these is a name.
    for at in 1..segments.len() {
        if [
            "operations",
            "schemas",
            "docs",
            "group",
            "reference",
            "products",
            "plans",
        ]
        .contains(&segments[at - 1].as_str())
            && segments[at] != "new"
        {
            "{}".clone_into(&mut segments[at]);
        }
    }
    let names: Vec<_> = query
        .split('&')
        .map(|pair| pair.split('=').next().unwrap_or_default())
        .collect();
    let query = names.join("&");
    format!(
        "{}{}{query}",
        segments.join("/"),
        if query.is_empty() { "" } else { "?" }
    )
}

fn segment(text: &str) -> String {
    let is_id = text.split_once('_').is_some_and(|(_, id)| id.len() >= 16);
    if is_id || text.chars().any(|c| c.is_ascii_digit()) {
        "{}".to_owned()
    } else {
        text.to_owned()
    }
}
