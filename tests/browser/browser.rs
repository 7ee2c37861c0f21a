//! One window of a browser, used as a person uses it: by what is written on the page.

use std::cell::RefCell;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use fantoccini::actions::{InputSource as _, KeyAction, KeyActions};
use fantoccini::elements::Element;
use fantoccini::{Client, Locator};
use serde_json::{Value, json};

use crate::driver::{self, Scripts, wait};
use crate::html::Page;

/// How long a page may take to show something, on a machine that has other things to do.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long work may take that is done in passes: one begins every few seconds, and lets what has just happened settle.
const PATIENCE_WITH_PASSES: Duration = Duration::from_secs(60);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Theme {
    Light,
    Dark,
}

/// A request that the browser sent, with what was answered.
#[derive(Debug, Clone)]
pub struct Seen {
    pub url: String,
    /// `Document`, `Stylesheet`, `Script`, `XHR`, …
    pub kind: String,
    pub status: u64,
}

#[derive(Default)]
struct Record {
    seen: Vec<Seen>,
    console: Vec<String>,
}

pub struct Browser {
    client: Option<Client>,
    base: String,
    record: RefCell<Record>,
}

impl Browser {
    /// A window 1280 wide on the start page's server; `None` where there is no browser.
    pub fn open(base: &str, scripts: Scripts) -> Option<Self> {
        let browser = Self {
            client: Some(driver::session(scripts)?),
            base: base.trim_end_matches('/').to_owned(),
            record: RefCell::default(),
        };
        browser.look(1280, Theme::Light);
        Some(browser)
    }

    fn client(&self) -> &Client {
        self.client.as_ref().unwrap()
    }

    /// Sets how wide the window is and which theme the reader prefers. Nothing moves.
    pub fn look(&self, width: u32, theme: Theme) {
        let height = if width < 600 { 844 } else { 900 };
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        driver::devtools(self.client(), "Emulation.setDeviceMetricsOverride", &size);
        self.media("screen", theme);
    }

    /// `screen` or `print`.
    pub fn media(&self, media: &str, theme: Theme) {
        let theme = if theme == Theme::Dark { "dark" } else { "light" };
        let features = json!([
            { "name": "prefers-color-scheme", "value": theme },
            { "name": "prefers-reduced-motion", "value": "reduce" },
        ]);
        let wish = json!({ "media": media, "features": features });
        driver::devtools(self.client(), "Emulation.setEmulatedMedia", &wish);
    }

    /// Opens a path of the portal, or a whole URL.
    pub fn go(&self, path: &str) {
        let url = if path.contains(':') {
            path.to_owned()
        } else {
            format!("{}{path}", self.base)
        };
        wait(self.client().goto(&url)).unwrap();
    }

    pub fn back(&self) {
        wait(self.client().back()).unwrap();
    }

    pub fn reload(&self) {
        wait(self.client().refresh()).unwrap();
    }

    /// Path and query of the page.
    pub fn path(&self) -> String {
        let url = wait(self.client().current_url()).unwrap();
        let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
        format!("{}{query}", url.path())
    }

    pub fn title(&self) -> String {
        wait(self.client().title()).unwrap()
    }

    /// The document as it stands now.
    pub fn source(&self) -> String {
        wait(self.client().source()).unwrap()
    }

    pub fn page(&self) -> Page {
        Page::parse(&self.source())
    }

    /// What can be read in the main part.
    pub fn text(&self) -> String {
        let text = self.run(
            "return (document.querySelector('main') || document.body).innerText",
            vec![],
        );
        text.as_str().unwrap_or_default().to_owned()
    }

    /// Runs a script of the test, which the page's policy does not bind.
    pub fn run(&self, script: &str, arguments: Vec<Value>) -> Value {
        wait(self.client().execute(script, arguments)).unwrap()
    }

    pub fn run_async(&self, script: &str, arguments: Vec<Value>) -> Value {
        wait(self.client().execute_async(script, arguments)).unwrap()
    }

    pub fn devtools(&self, command: &str, parameters: &Value) -> Value {
        driver::devtools(self.client(), command, parameters)
    }

    fn element(&self, script: &str, name: &str) -> Option<Element> {
        let found = self.run(script, vec![json!(name)]);
        let reference = found.as_object()?.values().next()?.as_str()?.to_owned();
        Some(Element::from_element_id(self.client().clone(), reference.into()))
    }

    fn wanted(&self, what: &str, script: &str, name: &str) -> Element {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(element) = self.element(script, name) {
                return element;
            }
            assert!(
                Instant::now() < deadline,
                "no {what} {name:?} on {} ({}):\n{}",
                self.path(),
                self.title(),
                self.text()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub fn has_control(&self, label: &str) -> bool {
        self.element(include_str!("scripts/control.js"), label).is_some()
    }

    /// Whether there is a link, button, or the like with this name.
    pub fn offers(&self, name: &str) -> bool {
        self.element(include_str!("scripts/pressable.js"), name).is_some()
    }

    /// Types into the field with this label or name, instead of what stands there.
    pub fn fill(&self, label: &str, text: &str) {
        let field = self.wanted("field", include_str!("scripts/control.js"), label);
        wait(field.clear()).unwrap();
        wait(field.send_keys(text)).unwrap();
    }

    pub fn value(&self, label: &str) -> String {
        let field = self.wanted("field", include_str!("scripts/control.js"), label);
        wait(field.prop("value")).unwrap().unwrap_or_default()
    }

    /// Chooses the option with this text in the list with this label or name.
    pub fn choose(&self, label: &str, option: &str) {
        let list = self.wanted("list", include_str!("scripts/control.js"), label);
        let script = "const [list, want] = arguments; const flat = (t) => t.replace(/\\s+/g, ' ').trim();\
             const all = [...list.options]; const o = all.find((o) => flat(o.text) === want || o.value === want)\
               || all.find((o) => flat(o.text).includes(want));\
             return o ? o.value : null";
        let reference = serde_json::to_value(&list).unwrap();
        let value = self.run(script, vec![reference, json!(option)]);
        let value = value
            .as_str()
            .unwrap_or_else(|| panic!("no option {option:?} in {label:?} on {}", self.path()));
        wait(list.select_by_value(value)).unwrap();
    }

    /// Ticks the box or the radio button with this label or name, if it is not yet.
    pub fn tick(&self, label: &str) {
        let control = self.wanted("box", include_str!("scripts/control.js"), label);
        if !wait(control.is_selected()).unwrap() {
            wait(control.click()).unwrap();
        }
    }

    /// Presses the link, button, summary or label with this name, and waits for the page that follows.
    pub fn click(&self, name: &str) {
        let element = self.wanted("link or button", include_str!("scripts/pressable.js"), name);
        wait(element.click()).unwrap_or_else(|error| panic!("{name:?} on {} cannot be pressed: {error}", self.path()));
    }

    /// A field of the form that fits, or its own button.
    fn part_of_form(&self, form: &str, part: &str, value: Option<&str>) -> Element {
        let script = include_str!("scripts/part_of_form.js");
        let found = self.run(script, vec![json!(form), json!(part), json!(value)]);
        let reference = found
            .as_object()
            .and_then(|found| found.values().next()?.as_str().map(str::to_owned));
        let reference = reference.unwrap_or_else(|| {
            panic!(
                "no {part:?} ({value:?}) of form{form} on {} ({}):\n{}",
                self.path(),
                self.title(),
                self.text()
            )
        });
        Element::from_element_id(self.client().clone(), reference.into())
    }

    /// Fills fields of the form that fits, by their names.
    pub fn fill_in(&self, form: &str, fields: &[(&str, &str)]) {
        for (name, value) in fields {
            let field = self.part_of_form(form, name, Some(value));
            let kind = wait(field.prop("type")).unwrap().unwrap_or_default();
            match kind.as_str() {
                "radio" | "checkbox" if wait(field.is_selected()).unwrap() => {}
                "radio" | "checkbox" => wait(field.click()).unwrap(),
                "select-one" => wait(field.select_by_value(value)).unwrap(),
                _ => {
                    wait(field.clear()).unwrap();
                    wait(field.send_keys(value)).unwrap();
                }
            }
        }
    }

    /// Fills fields of the form that fits and sends it with its first button.
    pub fn send(&self, form: &str, fields: &[(&str, &str)]) {
        self.fill_in(form, fields);
        let button = self.part_of_form(form, "button", None);
        wait(button.click()).unwrap_or_else(|error| panic!("form{form} on {} cannot be sent: {error}", self.path()));
    }

    pub fn has(&self, css: &str) -> bool {
        !wait(self.client().find_all(Locator::Css(css))).unwrap().is_empty()
    }

    /// The value of the first element that fits, as a property.
    pub fn property(&self, css: &str, property: &str) -> Option<String> {
        let element = wait(self.client().find(Locator::Css(css))).ok()?;
        wait(element.prop(property)).unwrap()
    }

    /// Presses a key in whatever has the focus.
    pub fn press(&self, key: char) {
        let keys = KeyActions::new("keyboard".to_owned())
            .then(KeyAction::Down { value: key })
            .then(KeyAction::Up { value: key });
        wait(self.client().perform_actions(keys)).unwrap();
    }

    pub fn wait_until(&self, what: &str, is_so: impl FnMut() -> bool) {
        self.wait_at_most(PATIENCE, what, is_so);
    }

    /// Waits for what no page does by itself, but a pass of billing, metering or mail.
    pub fn wait_longer(&self, what: &str, is_so: impl FnMut() -> bool) {
        self.wait_at_most(PATIENCE_WITH_PASSES, what, is_so);
    }

    fn wait_at_most(&self, patience: Duration, what: &str, mut is_so: impl FnMut() -> bool) {
        let deadline = Instant::now() + patience;
        while !is_so() {
            assert!(
                Instant::now() < deadline,
                "{what}: on {} ({})\n{}",
                self.path(),
                self.title(),
                self.text()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub fn wait_for_text(&self, text: &str) {
        self.wait_until(&format!("{text:?} does not appear"), || self.text().contains(text));
    }

    /// Waits for a path that begins like this.
    pub fn wait_for_path(&self, path: &str) {
        self.wait_until(&format!("{path} is not reached"), || self.path().starts_with(path));
    }

    /// A cookie header with what this browser has, for requests beside it.
    pub fn cookies(&self) -> String {
        let cookies = wait(self.client().get_all_cookies()).unwrap();
        let pairs: Vec<_> = cookies
            .iter()
            .map(|cookie| format!("{}={}", cookie.name(), cookie.value()))
            .collect();
        pairs.join("; ")
    }

    pub fn forget_cookies(&self) {
        wait(self.client().delete_all_cookies()).unwrap();
    }

    /// A picture of the page, to a height of 5,000, where somebody asked for pictures.
    pub fn screenshot(&self, name: &str) {
        let Some(folder) = screenshots() else { return };
        let size = self.run(
            "const e = document.documentElement; return [e.clientWidth, Math.max(innerHeight, Math.min(e.scrollHeight, 5000))]",
            vec![],
        );
        let clip = json!({ "x": 0, "y": 0, "width": size[0], "height": size[1], "scale": 1 });
        let shot = json!({ "format": "png", "captureBeyondViewport": true, "clip": clip });
        let shot = self.devtools("Page.captureScreenshot", &shot);
        let data = shot["data"].as_str().unwrap();
        let bytes = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, data).unwrap();
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(format!("{name}.png")), bytes).unwrap();
    }

    fn read_logs(&self) {
        let mut record = self.record.borrow_mut();
        for entry in driver::log(self.client(), "performance") {
            let text = entry["message"].as_str().unwrap_or_default();
            let Ok(event) = serde_json::from_str::<Value>(text) else {
                continue;
            };
            let (event, text) = (&event["message"], |value: &Value| {
                value.as_str().unwrap_or_default().to_owned()
            });
            let parameters = &event["params"];
            let (url, status) = match event["method"].as_str() {
                Some("Network.requestWillBeSent") => (&parameters["request"]["url"], None),
                Some("Network.responseReceived") => (
                    &parameters["response"]["url"],
                    parameters["response"]["status"].as_u64(),
                ),
                _ => continue,
            };
            record.seen.push(Seen {
                url: text(url),
                kind: text(&parameters["type"]),
                status: status.unwrap_or(0),
            });
        }
        for entry in driver::log(self.client(), "browser") {
            if ["SEVERE", "WARNING"].contains(&entry["level"].as_str().unwrap_or_default()) {
                record
                    .console
                    .push(entry["message"].as_str().unwrap_or_default().to_owned());
            }
        }
    }

    /// Forgets what was seen until now.
    pub fn forget(&self) {
        self.read_logs();
        *self.record.borrow_mut() = Record::default();
    }

    /// What was answered since the last [`forget`](Self::forget).
    pub fn answers(&self) -> Vec<Seen> {
        self.read_logs();
        let record = self.record.borrow();
        record.seen.iter().filter(|seen| seen.status > 0).cloned().collect()
    }

    /// The status of the page that is shown.
    pub fn status(&self) -> u64 {
        let answers = self.answers();
        let page = answers.iter().rev().find(|seen| seen.kind == "Document");
        page.map_or(0, |seen| seen.status)
    }

    /// How many pages were loaded since the last [`forget`](Self::forget); a redirect belongs to the page it leads to.
    pub fn page_loads(&self) -> usize {
        self.answers().iter().filter(|seen| seen.kind == "Document").count()
    }

    /// What a quiet page has none of: messages of the console, reports of the policy, requests to anybody else.
    pub fn noise(&self) -> Vec<String> {
        self.read_logs();
        let record = self.record.borrow();
        let foreign = record.seen.iter().filter(|seen| {
            !seen.url.starts_with(&self.base) && !seen.url.starts_with("data:") && !seen.url.starts_with("about:")
        });
        let mut noise: Vec<_> = foreign.map(|seen| format!("a request to {}", seen.url)).collect();
        // An error page is an answer, not an accident; the browser notes it all the same.
        let is_answer = |message: &String| {
            message.contains("Failed to load resource")
                && record
                    .seen
                    .iter()
                    .any(|seen| seen.kind == "Document" && seen.status >= 400 && message.starts_with(&seen.url))
        };
        noise.extend(record.console.iter().filter(|message| !is_answer(message)).cloned());
        noise
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let Some(client) = self.client.take() else { return };
        if std::thread::panicking() {
            let url = wait(client.current_url())
                .map(|url| url.to_string())
                .unwrap_or_default();
            eprintln!("--- the browser was on {url}");
        }
        let _ = wait(client.close());
    }
}

/// The folder for pictures, where one is wished.
pub fn screenshots() -> Option<PathBuf> {
    std::env::var_os("TOLLGATE_SCREENSHOTS").map(PathBuf::from)
}
