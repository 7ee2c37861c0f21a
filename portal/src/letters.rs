//! Mails of the portal: one letter of plain texts, drawn once as text and once as HTML in the provider's name.
//!
//! Invariants: the two parts say the same; whatever a person has typed is escaped; posting never fails for the caller, the
//! mailer logs and counts what it cannot send.

use askama::Template;
use domain::config::Settings;
use mail::Mail;

use crate::app::App;
use crate::configuration;
use crate::http::problem::Problem;
use crate::pages::statics;

const ACCENT: &str = "#225ebf";
const ON_ACCENT: &str = "#ffffff";
const MAX_SUBJECT: usize = 150;

/// What a mail says.
#[derive(Debug, Clone, Default)]
pub(crate) struct Letter {
    /// What it is, for logs: `verify`, `invitation`.
    pub(crate) kind: &'static str,
    /// Subject and heading.
    pub(crate) subject: String,
    /// What inboxes show beside the subject.
    pub(crate) preview: String,
    /// Paragraphs before the facts.
    pub(crate) text: Vec<String>,
    /// Names and values.
    pub(crate) facts: Vec<(String, String)>,
    /// What to do: the words on the button and where it leads.
    pub(crate) action: Option<(String, String)>,
    /// Paragraphs after the button.
    pub(crate) after: Vec<String>,
    /// Why the reader gets this mail.
    pub(crate) why: String,
}

/// Who writes.
#[derive(Debug, Clone)]
struct Brand {
    seller: String,
    initial: String,
    accent: String,
    on_accent: String,
    imprint: Vec<String>,
    portal: String,
}

#[derive(Template)]
#[template(path = "mails/letter.html")]
struct Html<'a> {
    letter: &'a Letter,
    brand: &'a Brand,
}

#[derive(Template)]
#[template(path = "mails/letter.txt")]
struct Text<'a> {
    letter: &'a Letter,
    brand: &'a Brand,
}

/// Queues a letter to an address.
pub(crate) async fn post(app: &App, to: &str, letter: Letter) {
    match written(app, to, letter).await {
        // The mailer itself logs and counts what it does not take.
        Ok(mail) => drop(app.mailer.queue(&mail)),
        Err(problem) => tracing::error!(status = problem.status().as_u16(), "a mail cannot be written"),
    }
}

/// A letter as a mail.
///
/// # Errors
/// When the settings cannot be read or the templates cannot be filled.
pub(crate) async fn written(app: &App, to: &str, letter: Letter) -> Result<Mail, Problem> {
    let settings = configuration::settings(app).await?;
    let brand = brand(&settings, app.links.origin());
    let letter = Letter {
        subject: one_line(&letter.subject),
        ..letter
    };
    let failed = |error: askama::Error| {
        tracing::error!(%error, kind = letter.kind, "a mail cannot be written");
        Problem::internal()
    };
    let (letter, brand) = (&letter, &brand);
    Ok(Mail {
        kind: letter.kind,
        to: to.trim().to_owned(),
        subject: letter.subject.clone(),
        text: Text { letter, brand }.render().map_err(failed)?,
        html: Html { letter, brand }.render().map_err(failed)?,
        at: app.clock.now(),
    })
}

/// Names of organisations stand in subjects: no line end, no endless line.
fn one_line(text: &str) -> String {
    let line: String = text
        .chars()
        .map(|letter| if letter.is_control() { ' ' } else { letter })
        .collect();
    if line.chars().count() <= MAX_SUBJECT {
        return line;
    }
    line.chars().take(MAX_SUBJECT - 1).chain(['\u{2026}']).collect()
}

fn brand(settings: &Settings, portal: &str) -> Brand {
    let branding = |name: &str| settings.branding.get(name).and_then(|value| value.as_str());
    let colour = |name: &str, default: &str| {
        let set = branding(name).filter(|value| value.starts_with('#') && statics::is_token_value(value));
        set.unwrap_or(default).to_owned()
    };
    let seller = settings.portal_name();
    let legal = |name: &str| settings.legal.get(name).and_then(|value| value.as_str());
    let lines = [legal("name"), legal("address")]
        .into_iter()
        .flatten()
        .flat_map(str::lines);
    Brand {
        seller: seller.to_owned(),
        initial: seller
            .chars()
            .next()
            .map(|first| first.to_uppercase().collect())
            .unwrap_or_default(),
        accent: colour("accent", ACCENT),
        on_accent: colour("on-accent", ON_ACCENT),
        imprint: lines.map(str::to_owned).collect(),
        portal: portal.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter() -> Letter {
        Letter {
            kind: "test",
            subject: "Join <b>Kestrel</b>".to_owned(),
            preview: "Preview".to_owned(),
            text: vec!["First & last".to_owned()],
            facts: vec![("Role".to_owned(), "developer".to_owned())],
            action: Some(("Join".to_owned(), "https://portal.test/invite/tgi_abc".to_owned())),
            after: vec!["Afterwards".to_owned()],
            why: "You were invited.".to_owned(),
        }
    }

    #[test]
    fn both_parts_say_the_same_and_nothing_typed_becomes_markup() {
        let brand = brand(&Settings::default(), "https://portal.test");
        let (letter, brand) = (&letter(), &brand);
        let html = Html { letter, brand }.render().unwrap();
        let text = Text { letter, brand }.render().unwrap();
        assert!(
            !html.contains("<b>Kestrel") && html.contains("First &#38; last"),
            "{html}"
        );
        assert!(
            text.contains("Join <b>Kestrel</b>") && text.contains("First & last"),
            "{text}"
        );
        for part in [
            "developer",
            "https://portal.test/invite/tgi_abc",
            "Afterwards",
            "You were invited.",
        ] {
            assert!(html.contains(part) && text.contains(part), "{part}\n{html}\n{text}");
        }
        assert!(!html.contains("<img") && !html.contains("<script"));
    }

    #[test]
    fn subjects_stay_one_short_line() {
        assert_eq!(one_line("a\r\nBcc: b"), "a  Bcc: b");
        assert_eq!(one_line(&"x".repeat(500)).chars().count(), MAX_SUBJECT);
    }

    #[test]
    fn only_plain_colours_reach_a_style() {
        let mut settings = Settings::default();
        settings
            .branding
            .insert("accent".to_owned(), "#0a0;background:url(//evil)".into());
        assert_eq!(brand(&settings, "").accent, ACCENT);
        settings.branding.insert("accent".to_owned(), "#00aa00".into());
        assert_eq!(brand(&settings, "").accent, "#00aa00");
    }
}
