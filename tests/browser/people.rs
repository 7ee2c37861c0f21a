//! Signing up, confirming, forgetting a password, inviting somebody: what everybody does before and beside their work.

use crate::browser::Browser;
use crate::checks;
use crate::driver::Scripts;
use crate::site;

pub const PASSWORD: &str = "seven lanterns along the harbour";

/// A new person with an organisation, signed in, whose address is confirmed by the link in the mail.
pub fn newcomer(scripts: Scripts, name: &str) -> Option<Browser> {
    let browser = Browser::open(site::base(), scripts)?;
    let email = address(name);
    browser.go("/signup");
    browser.send(
        "[action='/signup']",
        &[
            ("name", name),
            ("email", &email),
            ("password", PASSWORD),
            ("organisation", &format!("{name} Ltd")),
        ],
    );
    browser.wait_for_path("/signup?sent");
    browser.go(&site::outbox().wait_for_link(&email, "/verify/"));
    browser.wait_for_path("/app");
    Some(browser)
}

pub fn address(name: &str) -> String {
    format!("{}@kestrel.example", name.to_lowercase().replace(' ', "."))
}

#[test]
fn a_form_keeps_what_was_typed_and_says_beside_the_field_what_to_mend() {
    for scripts in [Scripts::On, Scripts::Off] {
        let Some(browser) = Browser::open(site::base(), scripts) else {
            return;
        };
        browser.go("/signup");
        browser.send(
            "[action='/signup']",
            &[
                ("name", "Ines Okafor"),
                ("email", "ines@"),
                ("password", "short"),
                ("organisation", "Kestrel"),
            ],
        );
        assert_eq!(browser.status(), 422);
        assert_eq!(browser.value("name"), "Ines Okafor");
        assert_eq!(browser.value("email"), "ines@");
        assert_eq!(browser.value("password"), "");
        for field in ["email", "password"] {
            let described = format!(
                "const e = document.querySelector('main [name={field}]');\
                 const by = (e.getAttribute('aria-describedby') || '').split(' ').map((id) => document.getElementById(id));\
                 return e.ariaInvalid === 'true' && by.some((d) => d && d.innerText.trim().length > 10)"
            );
            assert_eq!(browser.run(&described, vec![]), true, "{field}");
        }
        assert!(browser.title().starts_with("Error"), "{}", browser.title());
        let links = browser.page().links();
        assert!(
            links.contains(&"#email".to_owned()) && links.contains(&"#password".to_owned()),
            "{links:?}"
        );
        if scripts == Scripts::On {
            let faults = checks::appearance(&browser);
            assert!(faults.is_empty(), "{faults:#?}");
        }
        assert_eq!(browser.noise(), Vec::<String>::new());
        browser.screenshot(&format!("signup-faults-{scripts:?}"));
    }
}

#[test]
fn a_forgotten_password_is_replaced_by_way_of_the_mailbox_and_every_session_ends() {
    let Some(before) = newcomer(Scripts::On, "Frida Gomez") else {
        return;
    };
    let email = address("Frida Gomez");
    let browser = Browser::open(site::base(), Scripts::Off).unwrap();
    browser.go("/login");
    browser.click("I forgot my password");
    browser.send("[action='/forgot']", &[("email", &email)]);
    let link = site::outbox().wait_for_link(&email, "/reset/");
    browser.go(&link);
    browser.send(
        "[action^='/reset/']",
        &[("password", "eight lanterns and a late ferry")],
    );
    browser.wait_for_path("/login");
    browser.send("[action='/login']", &[("email", &email), ("password", PASSWORD)]);
    assert_eq!(browser.status(), 422);
    browser.send(
        "[action='/login']",
        &[("email", &email), ("password", "eight lanterns and a late ferry")],
    );
    browser.wait_for_path("/app");
    before.go("/app/team");
    assert!(before.path().starts_with("/login"), "{}", before.path());
    browser.go(&link);
    assert_eq!(browser.status(), 410, "a used link works again");
}

#[test]
fn a_colleague_is_invited_and_sees_what_the_role_allows() {
    let Some(owner) = newcomer(Scripts::Off, "Olga Petrova") else {
        return;
    };
    let email = address("Viktor Petrov");
    owner.go("/app/team");
    owner.send(
        "[action='/app/team/invitations']",
        &[("email", &email), ("role", "viewer")],
    );
    owner.wait_for_text(&email);
    let colleague = Browser::open(site::base(), Scripts::On).unwrap();
    colleague.go(&site::outbox().wait_for_link(&email, "/invite/"));
    colleague.send(
        "[action^='/invite/']",
        &[("name", "Viktor Petrov"), ("password", PASSWORD)],
    );
    colleague.wait_for_path("/app");
    colleague.go("/app/team");
    assert!(colleague.text().contains("Olga Petrova"), "{}", colleague.text());
    assert!(
        !colleague.has("form[action='/app/team/invitations']"),
        "a viewer invites people"
    );
    owner.go("/app/team");
    owner.wait_for_text("Viktor Petrov");
    colleague.go("/app/settings");
    let faults = checks::appearance(&colleague);
    assert!(faults.is_empty(), "{faults:#?}");
}
