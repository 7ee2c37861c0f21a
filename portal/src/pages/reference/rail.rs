//! Samples beside an operation: the request in ten languages, the answers.

use std::fmt::Write as _;

use reference::operation::OperationView;
use reference::samples::{self, Language};
use reference::{Example, Request};

use super::parts::{code, cut};
use super::tree::elements;
use crate::pages::web::{Html, escape};

/// Bytes of markup for all samples of a request.
const ROOM_REQUEST: usize = 30_000;
/// Bytes of markup for all examples of answers.
const ROOM_ANSWERS: usize = 14_000;
const MOST_ANSWERS: usize = 12;
/// Elements for colours of requests, and of answers; what has no room is shown in one colour.
const COLOURS_REQUEST: usize = 900;
const COLOURS_ANSWERS: usize = 450;

/// A tab with a sample.
pub(crate) struct Sample {
    pub(crate) value: String,
    pub(crate) label: String,
    pub(crate) html: Html,
    pub(crate) checked: bool,
    pub(crate) is_generated: bool,
}

/// Requests in the languages that the room is enough for, the wanted one first of all; then addresses of the others.
pub(crate) struct Samples {
    pub(crate) tabs: Vec<Sample>,
    pub(crate) elsewhere: Vec<(String, &'static str)>,
}

/// The request of an operation in every language.
pub(crate) fn samples(request: &Request, wanted: Option<&str>) -> Samples {
    let wanted = Language::ALL
        .into_iter()
        .find(|language| Some(language.slug()) == wanted);
    let wanted = wanted.unwrap_or(Language::Curl);
    let (mut room, mut colours) = (ROOM_REQUEST, COLOURS_REQUEST);
    let mut made: Vec<(Language, Html)> = Vec::new();
    let order = std::iter::once(wanted).chain(Language::ALL.into_iter().filter(|language| *language != wanted));
    for language in order {
        let printed = samples::print(request, language);
        let mut markup: String = printed.html().to_string();
        if markup.len() > room || elements(&markup) > colours {
            markup = escape(&printed.text);
        }
        if markup.len() > room && language == wanted {
            markup = format!("{}\n…", escape(cut(&printed.text, ROOM_REQUEST / 2)));
        }
        if markup.len() > room {
            continue;
        }
        room -= markup.len();
        colours -= elements(&markup);
        made.push((language, Html(markup)));
    }
    let mut samples = Samples {
        tabs: Vec::new(),
        elsewhere: Vec::new(),
    };
    for language in Language::ALL {
        match made.iter().position(|(known, _)| *known == language) {
            Some(at) => {
                let (_, html) = made.swap_remove(at);
                samples.tabs.push(Sample {
                    value: language.slug().to_owned(),
                    label: language.name().to_owned(),
                    html,
                    checked: language == wanted,
                    is_generated: false,
                });
            }
            None => samples
                .elsewhere
                .push((format!("?language={}#request", language.slug()), language.name())),
        }
    }
    samples
}

/// Examples of the answers of an operation, or of the payload of a webhook.
pub(crate) fn answers(view: &OperationView) -> Vec<Sample> {
    let (mut room, mut colours) = (ROOM_ANSWERS, COLOURS_ANSWERS);
    let mut tabs: Vec<Sample> = Vec::new();
    let of_body = view
        .body
        .iter()
        .filter(|_| view.kind == reference::Kind::Webhook)
        .flat_map(|body| &body.media)
        .flat_map(|media| &media.examples)
        .map(|example| ("Payload", example));
    let of_responses = view.responses.iter().flat_map(|response| {
        let examples = response.media.iter().take(1).flat_map(|media| &media.examples);
        examples.map(|example| (response.status.as_str(), example))
    });
    for (status, example) in of_body.chain(of_responses).take(MOST_ANSWERS) {
        let label = label(status, example);
        let mut html = code(example, &label);
        if elements(&html) > colours {
            html = format!(
                "<pre tabindex=\"0\" role=\"region\" aria-label=\"{}\"><code>{}</code></pre>",
                escape(&label),
                escape(cut(&example.text, ROOM_ANSWERS / 2))
            );
        }
        if html.is_empty() || html.len() > room {
            continue;
        }
        room -= html.len();
        colours = colours.saturating_sub(elements(&html));
        tabs.push(Sample {
            value: tabs.len().to_string(),
            checked: tabs.is_empty(),
            label,
            html: Html(html),
            is_generated: example.is_generated,
        });
    }
    tabs
}

fn label(status: &str, example: &Example) -> String {
    let mut label = status.to_owned();
    if !example.name.is_empty() && example.name != "Example" {
        let _ = write!(label, " {}", example.name);
    }
    label
}
