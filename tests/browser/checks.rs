//! What every page must keep, whoever reads it and however.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::sync::LazyLock;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use crate::browser::{Browser, Theme};
use crate::driver;
use crate::html::Page;

/// Tab, as WebDriver writes it.
const TAB: char = '\u{e004}';

/// Stops that a look at the keyboard makes on one page.
const MAX_STOPS: usize = 70;

/// Rules that can come out otherwise in a narrow window.
const OF_NARROW: &[&str] = &[
    "target-size",
    "color-contrast",
    "scrollable-region-focusable",
    "button-name",
    "link-name",
];

/// Bytes after gzip.
const MAX_HTML: usize = 40 * 1024;
const MAX_STYLE: usize = 25 * 1024;
const MAX_SCRIPT: usize = 25 * 1024;
const MAX_REQUESTS: usize = 6;

static AXE: LazyLock<Option<String>> = LazyLock::new(|| {
    let path = std::env::var_os("TOLLGATE_AXE")?;
    Some(std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("TOLLGATE_AXE: {}: {error}", path.display())))
});

/// The document itself: one first heading, no level left out, language, title, where the first stop leads, and nothing
/// inline.
pub fn document(page: &Page) -> Vec<String> {
    let mut faults = Vec::new();
    let headings = page.headings();
    let first = headings.iter().filter(|(level, _)| *level == 1).count();
    if first != 1 {
        faults.push(format!("{first} headings of the first level"));
    }
    let mut before = 0;
    for (level, text) in &headings {
        if *level > before + 1 {
            faults.push(format!("h{level} {text:?} follows h{before}"));
        }
        if text.is_empty() {
            faults.push(format!("an empty h{level}"));
        }
        before = *level;
    }
    if page
        .all("html")
        .all(|tag| tag.get("lang").unwrap_or_default().is_empty())
    {
        faults.push("no language".to_owned());
    }
    if page.title().is_empty() {
        faults.push("no title".to_owned());
    }
    let stop = page
        .open()
        .skip_while(|tag| tag.name != "body")
        .find(|tag| ["a", "button", "input", "select", "textarea", "summary"].contains(&tag.name.as_str()));
    if stop.is_none_or(|tag| tag.get("href") != Some("#main")) {
        faults.push("the first stop does not lead to the main part".to_owned());
    }
    faults.extend(inline(page));
    faults.extend(repeated_ids(page));
    faults
}

fn inline(page: &Page) -> Vec<String> {
    let mut faults = Vec::new();
    for tag in page.open() {
        if tag.name == "style" || tag.name == "script" && tag.get("src").is_none() {
            faults.push(format!("an inline {}", tag.name));
        }
        for (name, value) in &tag.attributes {
            let is_code = name.starts_with("on") || name == "style";
            let runs = ["href", "src", "action", "formaction"].contains(&name.as_str())
                && value.trim().to_lowercase().starts_with("javascript:");
            if is_code || runs {
                faults.push(format!("{} with {name}={value:?}", tag.name));
            }
        }
    }
    faults
}

fn repeated_ids(page: &Page) -> Vec<String> {
    let mut known = BTreeSet::new();
    let ids = page.open().filter_map(|tag| tag.get("id"));
    ids.filter(|id| !known.insert(*id))
        .map(|id| format!("the id {id:?} twice"))
        .collect()
}

/// Links within the page that lead nowhere.
pub fn anchors(page: &Page) -> Vec<String> {
    let ids = page.ids();
    let links = page.links();
    let inner = links.iter().filter_map(|link| link.strip_prefix('#'));
    let dead = inner.filter(|id| !id.is_empty() && !ids.contains(id));
    dead.map(|id| format!("a link to #{id}, which is not there")).collect()
}

/// What a value that nobody rendered looks like.
pub fn leaks(page: &Page) -> Vec<String> {
    let text = page.main_text();
    if text.len() < 20 {
        return vec![format!("hardly any text: {text:?}")];
    }
    let words = text
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| ["NaN", "undefined", "null", "Some"].contains(word));
    let words: BTreeSet<_> = words.collect();
    words.into_iter().map(|word| format!("the word {word}")).collect()
}

pub fn gzipped(text: &str) -> usize {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap().len()
}

/// The rules of WCAG 2.2 AA that a program can check, as the page stands now. `rules` are those of a second look, at
/// which only they can come out otherwise.
pub fn axe(browser: &Browser, rules: &[&str]) -> Vec<String> {
    let Some(source) = AXE.as_ref() else {
        driver::skip("axe-core (TOLLGATE_AXE)");
        return Vec::new();
    };
    if browser.run("return typeof axe === 'undefined'", vec![]) == json!(true) {
        browser.run(source, vec![]);
    }
    let rules = if rules.is_empty() { Value::Null } else { json!(rules) };
    let found = browser.run_async(include_str!("scripts/axe.js"), vec![rules]);
    let found: Vec<String> = serde_json::from_value(found).unwrap();
    found
}

/// Wider than the window, or cut off.
pub fn overflow(browser: &Browser) -> Vec<String> {
    let found = browser.run(include_str!("scripts/overflow.js"), vec![]);
    serde_json::from_value(found).unwrap()
}

/// Both themes, wide and narrow, and text of twice the size; leaves the window as it was.
pub fn appearance(browser: &Browser) -> Vec<String> {
    let mut faults = Vec::new();
    let mut note = |look: &str, found: Vec<String>| {
        faults.extend(found.into_iter().map(|fault| format!("{look}: {fault}")));
    };
    let look = |width: u32, theme: Theme| {
        browser.look(width, theme);
        settle(browser);
    };
    look(320, Theme::Light);
    note("320 px", overflow(browser));
    note("320 px", axe(browser, OF_NARROW));
    look(320, Theme::Dark);
    note("320 px, dark", axe(browser, &["color-contrast"]));
    look(1280, Theme::Dark);
    note("dark", axe(browser, &["color-contrast"]));
    look(1280, Theme::Light);
    note("wide", axe(browser, &[]));
    note("wide", overflow(browser));
    browser.run("document.documentElement.style.fontSize = '200%'", vec![]);
    settle(browser);
    note("text of twice the size", overflow(browser));
    browser.run("document.documentElement.style.fontSize = ''", vec![]);
    settle(browser);
    faults
}

/// Until the page is drawn with what was changed last.
fn settle(browser: &Browser) {
    let script = "const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(() => done()))";
    browser.run_async(script, vec![]);
}

/// Stops inside a field for a date and a time, its button among them.
const DATE_PARTS: usize = 8;

/// Tabs through the page, which must have been loaded just now: the focus is always seen, never caught, follows the
/// document, and the first stop skips to the main part.
pub fn keyboard(browser: &Browser) -> Vec<String> {
    let (mut faults, mut stops, mut parts) = (Vec::new(), Vec::new(), 0);
    let look = || browser.run_async(include_str!("scripts/focus.js"), vec![]);
    while stops.len() < MAX_STOPS {
        browser.press(TAB);
        let stop = look();
        let Some(at) = stop["at"].as_i64() else { break };
        let name = stop["name"].as_str().unwrap_or_default();
        if stops.is_empty() && stop["href"] != "#main" {
            faults.push(format!("the first stop is {name}"));
        }
        if stops.last() == Some(&at) {
            // Year, month and day are stops of their own.
            parts += 1;
            let is_date = browser.run(
                "return ['date', 'datetime-local', 'time', 'month'].includes(document.activeElement.type)",
                vec![],
            );
            if is_date == json!(true) && parts <= DATE_PARTS {
                continue;
            }
            faults.push(format!("the focus is caught in {name}"));
            break;
        }
        parts = 0;
        if stops.first() == Some(&at) {
            break;
        }
        if stops.last().is_some_and(|before| *before > at) {
            faults.push(format!("the focus goes back to {name}"));
        }
        let unseen = ["ringed", "inView"].iter().filter(|sign| stop[**sign] != json!(true));
        faults.extend(unseen.map(|sign| format!("the focus on {name} is not seen ({sign})")));
        if stop["covered"] == json!(true) {
            faults.push(format!("{name} has the focus and is covered"));
        }
        stops.push(at);
    }
    if stops.len() < 2 {
        faults.push(format!("only {} stops", stops.len()));
    }
    faults
}

/// Bytes and requests of the page that was loaded with an empty cache.
pub fn budget(browser: &Browser, html: &str, fetch: &mut dyn FnMut(&str) -> String) -> Vec<String> {
    let mut sizes: BTreeMap<String, usize> = BTreeMap::new();
    let answers = browser.answers();
    let others: Vec<_> = answers.iter().filter(|seen| !seen.url.starts_with("data:")).collect();
    for seen in others
        .iter()
        .filter(|seen| ["Stylesheet", "Script"].contains(&seen.kind.as_str()))
    {
        *sizes.entry(seen.kind.clone()).or_default() += gzipped(&fetch(&seen.url));
    }
    sizes.insert("Document".to_owned(), gzipped(html));
    let limits = [
        ("Document", MAX_HTML),
        ("Stylesheet", MAX_STYLE),
        ("Script", MAX_SCRIPT),
    ];
    let size = |kind: &str| sizes.get(kind).copied().unwrap_or(0);
    let over = limits.iter().filter(|(kind, limit)| size(kind) > *limit);
    let mut faults: Vec<_> = over
        .map(|(kind, limit)| format!("{kind}: {} bytes of at most {limit}, gzipped", size(kind)))
        .collect();
    if others.len() > MAX_REQUESTS {
        let urls: Vec<_> = others.iter().map(|seen| seen.url.as_str()).collect();
        faults.push(format!("{} requests: {urls:?}", others.len()));
    }
    let nodes = browser.run("return document.querySelectorAll('*').length", vec![]);
    if nodes.as_u64().unwrap() > 3_000 {
        faults.push(format!("{nodes} elements"));
    }
    faults
}
