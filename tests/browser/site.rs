//! The demo that these tests share, and the people in it.

use std::sync::LazyLock;

use crate::browser::Browser;
use crate::driver::Scripts;
use crate::support::client::Client;
use crate::support::demo::Demo;
use crate::support::outbox::Outbox;
use crate::visitor::Visitor;

static DEMO: LazyLock<Demo> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap().keep();
    Demo::start_for_all(&folder, &["--traffic", "10"])
});

/// The demo with traffic. Tests make what they change themselves.
pub fn demo() -> &'static Demo {
    &DEMO
}

pub fn base() -> &'static str {
    demo().text("portal").trim_end_matches('/')
}

pub fn gateway() -> Client {
    demo().client("gateway")
}

pub fn outbox() -> Outbox {
    Outbox::of(demo().text("data_dir").as_ref())
}

/// Who reads a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    Anonymous,
    Developer,
    ProductManager,
    Finance,
    Admin,
}

impl Role {
    pub fn name(self) -> &'static str {
        match self {
            Self::Anonymous => "anonymous",
            Self::Developer => "developer",
            Self::ProductManager => "product manager",
            Self::Finance => "finance",
            Self::Admin => "admin",
        }
    }

    /// Where the pages begin that this person alone reads; of everyone's, anonymous readers see to.
    pub fn section(self) -> &'static str {
        match self {
            Self::Anonymous => "/",
            Self::Developer => "/app",
            Self::ProductManager => "/manage",
            Self::Finance => "/finance",
            Self::Admin => "/admin",
        }
    }

    /// Address and password in the demo.
    pub fn login(self) -> (String, String) {
        let logins = demo().facts["logins"].as_array().unwrap();
        let login = logins.iter().find(|login| login["role"] == self.name());
        let login = login.unwrap_or_else(|| panic!("the demo has no login of a {}: {logins:?}", self.name()));
        let text = |name: &str| login[name].as_str().unwrap().to_owned();
        (text("email"), text("password"))
    }

    pub fn visitor(self) -> Visitor {
        let mut visitor = Visitor::new(base());
        if self != Self::Anonymous {
            let (email, password) = self.login();
            visitor.log_in(&email, &password);
        }
        visitor
    }

    /// A window in which this person is logged in, by the form.
    pub fn browser(self, scripts: Scripts) -> Option<Browser> {
        let browser = Browser::open(base(), scripts)?;
        if self != Self::Anonymous {
            let (email, password) = self.login();
            log_in(&browser, &email, &password);
        }
        Some(browser)
    }
}

pub fn log_in(browser: &Browser, email: &str, password: &str) {
    browser.go("/login");
    browser.fill("email", email);
    browser.fill("password", password);
    browser.click("Log in");
    browser.wait_until("nobody is logged in", || !browser.path().starts_with("/login"));
}
