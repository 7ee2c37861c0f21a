//! What strangers try: forms of other sites, sessions made beforehand, doors that lead elsewhere, guesses about who has
//! an account. Each test has a platform of its own, because tries are counted by network.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::time::{Duration, Instant};

use crate::browser::Browser;
use crate::driver::Scripts;
use crate::html::{Form, Page};
use crate::site;
use crate::support::api::Api;
use crate::support::client::Answer;
use crate::support::outbox::Outbox;
use crate::support::platform::{Platform, Settings};
use crate::support::smtp::Catcher;
use crate::visitor::Visitor;

pub const EMAIL: &str = "root@example.com";
pub const PASSWORD: &str = "nine green bottles on a long wall";
const SESSION: &str = "tollgate_session";

/// A platform with an administrator and nothing else.
pub struct House {
    // Dropped before its folder.
    platform: Platform,
    dir: tempfile::TempDir,
}

impl House {
    pub fn start(adjust: impl FnOnce(Settings) -> Settings) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let settings = Settings::new(&dir.path().join("data"))
            .with("TOLLGATE_ADMIN_EMAIL", EMAIL)
            .with("TOLLGATE_ADMIN_PASSWORD", PASSWORD);
        let platform = adjust(settings).start();
        Self { platform, dir }
    }

    pub fn base(&self) -> String {
        format!("http://{}", self.platform.portal())
    }

    pub fn visitor(&self) -> Visitor {
        Visitor::new(&self.base())
    }

    pub fn api(&self) -> Api {
        self.platform.api()
    }

    pub fn outbox(&self) -> Outbox {
        Outbox::of(&self.dir.path().join("data"))
    }
}

fn sign_up(visitor: &mut Visitor, email: &str) -> Answer {
    let form = visitor.page("/signup").form("/signup").unwrap();
    let form = form.with("name", "Ann Example").with("email", email);
    visitor.submit(&form.with("password", PASSWORD).with("organisation", "Kestrel"))
}

fn try_log_in(visitor: &mut Visitor, email: &str, password: &str) -> Answer {
    let form = visitor.page("/login").form("/login").unwrap();
    visitor.submit(&form.with("email", email).with("password", password))
}

#[test]
fn a_form_from_elsewhere_changes_nothing() {
    let house = House::start(|settings| settings);
    let mut visitor = house.visitor();
    let form = visitor.page("/login").form("/login").unwrap();
    let form = form.with("email", EMAIL).with("password", PASSWORD);
    let bare = Form {
        fields: form
            .fields
            .iter()
            .filter(|(name, _)| !name.contains("csrf"))
            .cloned()
            .collect(),
        ..form.clone()
    };
    assert_eq!(bare.fields.len() + 1, form.fields.len());
    let foreign = form.clone().with("_csrf", "0123456789abcdef0123456789abcdef");
    let tries = [
        ("no token", visitor.submit(&bare)),
        ("a token of nobody", visitor.submit(&foreign)),
        (
            "another origin",
            visitor.submit_from(&form, Some("https://evil.example")),
        ),
        ("no origin to speak of", visitor.submit_from(&form, Some("null"))),
    ];
    for (what, answer) in tries {
        assert_eq!(answer.status, 403, "{what}: {}", answer.text());
        assert!(!visitor.cookies().contains_key(SESSION), "{what}");
    }
    // The token of one visitor is none of another's.
    let mut other = house.visitor();
    other.page("/login");
    assert_eq!(other.submit(&form).status, 403);
    // The control: the same form, sent as it should be.
    assert_eq!(visitor.submit(&form).status, 303);
    assert!(visitor.cookies().contains_key(SESSION));
}

/// One page on another server, with a form that is sent to the portal when its button is pressed.
fn evil_page(action: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let html = format!(
        "<!doctype html><title>evil</title><form method=post action='{action}'><input name=theme value=dark>\
         <button>Win a prize</button></form>"
    );
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let _ = stream.set_read_timeout(Some(Duration::from_secs(1)));
            let _ = stream.read(&mut [0; 4096]);
            let head = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n";
            let _ = stream.write_all(format!("{head}Content-Length: {}\r\n\r\n{html}", html.len()).as_bytes());
        }
    });
    // Another site than 127.0.0.1, where the portal is.
    format!("http://localhost:{port}/")
}

#[test]
fn a_page_of_another_site_logs_nobody_out_of_a_real_browser() {
    let house = House::start(|settings| settings);
    let base = house.base();
    let Some(browser) = Browser::open(&base, Scripts::On) else {
        return;
    };
    site::log_in(&browser, EMAIL, PASSWORD);
    browser.go(&evil_page(&format!("{base}/logout")));
    browser.forget();
    browser.click("Win a prize");
    browser.wait_until("no answer to the form", || browser.status() > 0);
    assert_ne!(browser.status(), 303);
    let mut visitor = Visitor::with_cookies(&base, &browser.cookies());
    assert_eq!(
        visitor.get("/app/team").header("location"),
        Some("/admin"),
        "logged out: {}",
        browser.path()
    );
}

#[test]
fn whoever_logs_in_gets_a_new_session_and_its_cookie_is_out_of_reach_of_scripts() {
    let house = House::start(|settings| settings);
    let planted = "tgs_planted0000000000000000000000";
    let mut visitor = Visitor::with_cookies(&house.base(), &format!("{SESSION}={planted}"));
    let answer = try_log_in(&mut visitor, EMAIL, PASSWORD);
    assert_eq!(answer.status, 303, "{}", answer.text());
    let first = visitor.cookies()[SESSION].clone();
    assert_ne!(first, planted);
    let cookie = answer
        .headers
        .iter()
        .find(|(_, value)| value.starts_with(SESSION))
        .unwrap();
    let flags = cookie.1.to_lowercase();
    assert!(
        ["httponly", "samesite=lax", "path=/"]
            .iter()
            .all(|flag| flags.contains(flag)),
        "{flags}"
    );
    // Over http a `Secure` cookie would never come back; the tests of cookies see to https.
    let with = |secret: &str| {
        let mut visitor = Visitor::with_cookies(&house.base(), &format!("{SESSION}={secret}"));
        visitor.get("/app/team").header("location").unwrap().to_owned()
    };
    assert!(with(planted).starts_with("/login"));
    assert_eq!(with(&first), "/admin");
    // Logging out ends it, wherever else it is held.
    let form = visitor.page("/").form("/logout").unwrap();
    assert_eq!(visitor.submit(&form).status, 303);
    assert!(with(&first).starts_with("/login"));
}

#[test]
fn the_log_in_page_leads_to_no_other_host() {
    let house = House::start(|settings| settings);
    let places = [
        "//evil.example",
        "/\\evil.example",
        "https://evil.example/",
        "/\t/evil.example",
        "javascript:alert(1)",
        "\\\\evil.example",
        "/%0d%0aSet-Cookie:x=1",
    ];
    for place in places {
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("next", place)
            .finish();
        let mut visitor = house.visitor();
        let page = visitor.page(&format!("/login?{query}"));
        let form = page.form("/login").unwrap();
        for form in [form.clone(), form.with("next", place)] {
            let mut visitor = house.visitor();
            let token = visitor.page("/login").form("/login").unwrap();
            let token = token.fields.into_iter().find(|(name, _)| name == "_csrf").unwrap().1;
            let form = form
                .with("_csrf", &token)
                .with("email", EMAIL)
                .with("password", PASSWORD);
            let answer = visitor.submit(&form);
            assert_eq!(answer.status, 303);
            let location = answer.header("location").unwrap();
            let base = url::Url::parse(&house.base()).unwrap();
            let led = base.join(location).unwrap();
            assert_eq!(led.origin(), base.origin(), "{place:?} leads to {location}");
            assert!(answer.header("x").is_none());
        }
    }
    // The control: a path of this server is kept.
    let mut visitor = house.visitor();
    let form = visitor.page("/login?next=%2Fadmin%3Fx%3D1").form("/login").unwrap();
    let answer = visitor.submit(&form.with("email", EMAIL).with("password", PASSWORD));
    assert_eq!(answer.header("location"), Some("/admin?x=1"));
}

/// A page without what differs from answer to answer.
fn plain(answer: &Answer) -> (u16, Option<String>, String) {
    let page = Page::parse(&answer.text());
    let text = page
        .main_text()
        .replace(EMAIL, "ADDRESS")
        .replace("nobody@example.com", "ADDRESS");
    (answer.status, answer.header("location").map(str::to_owned), text)
}

#[test]
fn nobody_learns_who_has_an_account() {
    let house = House::start(|settings| settings);
    // Hashing begins with the first try.
    try_log_in(&mut house.visitor(), "first@example.com", "not the password");
    let measured = |ask: &mut dyn FnMut(&str) -> Answer, email: &str| {
        let mut shortest = Duration::MAX;
        let mut told = None;
        for _ in 0..3 {
            let began = Instant::now();
            let answer = ask(email);
            shortest = shortest.min(began.elapsed());
            told = Some(plain(&answer));
        }
        (told.unwrap(), shortest)
    };
    let mut log_in = |email: &str| try_log_in(&mut house.visitor(), email, "not the password");
    let mut forgot = |email: &str| {
        let mut visitor = house.visitor();
        let form = visitor.page("/forgot").form("/forgot").unwrap();
        visitor.submit(&form.with("email", email))
    };
    let mut sign_up = |email: &str| sign_up(&mut house.visitor(), email);
    let questions: [(&str, &mut dyn FnMut(&str) -> Answer); 3] = [
        ("log in", &mut log_in),
        ("forgot", &mut forgot),
        ("sign up", &mut sign_up),
    ];
    for (what, ask) in questions {
        let (known, unknown) = (measured(ask, EMAIL), measured(ask, "nobody@example.com"));
        assert_eq!(known.0, unknown.0, "{what}");
        let (slow, fast) = (known.1.max(unknown.1), known.1.min(unknown.1));
        assert!(
            slow < fast * 2 + Duration::from_millis(20),
            "{what}: known {:?}, unknown {:?}",
            known.1,
            unknown.1
        );
    }
    // What was asked about is mailed to the owner of the address alone.
    house.outbox().wait_for_link(EMAIL, "/reset/");
}

#[test]
fn wrong_passwords_are_slowed_down_and_the_page_says_for_how_long() {
    let house = House::start(|settings| settings);
    let statuses: Vec<_> = (0..14)
        .map(|_| try_log_in(&mut house.visitor(), EMAIL, "a guess, and a long one"))
        .map(|answer| (answer.status, answer.header("retry-after").is_some()))
        .collect();
    assert_eq!(statuses[0], (422, false));
    assert_eq!(statuses[13], (429, true), "{statuses:?}");
    assert_eq!(try_log_in(&mut house.visitor(), EMAIL, PASSWORD).status, 429);
}

#[test]
fn mails_go_through_a_real_server_again_when_it_refuses_and_show_that_an_address_is_theirs() {
    let catcher = Catcher::start();
    catcher.refuse(1);
    let house = House::start(|settings| {
        settings
            .with("TOLLGATE_MAIL_URL", &catcher.url())
            .with("TOLLGATE_MAIL_FROM", "Tollgate <portal@worldtime.example>")
    });
    let mut visitor = house.visitor();
    let answer = sign_up(&mut visitor, "ines@kestrel.example");
    assert_eq!(answer.status, 303, "{}", Page::parse(&answer.text()).main_text());
    let caught = catcher.wait_for("ines@kestrel.example", "");
    assert_eq!(catcher.refused(), 1);
    assert!(
        caught.mail.html.contains("<html") && !caught.mail.html.contains("<script"),
        "{}",
        caught.mail.html
    );
    let link = caught.mail.link("/verify/").unwrap();
    assert!(link.starts_with(&house.base()), "{link}");
    // Programs that look at links do not confirm; whoever has another browser needs the password.
    let path = &link[house.base().len()..];
    let mut scanner = house.visitor();
    assert!(scanner.page(path).form("/verify/").is_some());
    // The browser that signed up is let in.
    let answer = visitor.get(path);
    assert_eq!((answer.status, answer.header("location")), (303, Some("/app")));
    // Once: what the link was worth is used up.
    assert!(scanner.page(path).form("/verify/").is_none());
}
