//! Where an API answers, and the first line that anyone sends to it.

use domain::config::Api;
use reference::Inputs;
use reference::request::Credential;

use super::offers::OfferedApi;
use crate::app::App;
use crate::pages::web::{Html, escape};

/// The variable of the environment from which samples read the key.
const VARIABLE: &str = "TOLLGATE_KEY";

/// The address of an API at this deployment's gateway, without a slash at its end; `None` while no gateway is known.
pub(crate) fn base_url(app: &App, api: &Api) -> Option<String> {
    let gateway = app.links.gateway()?;
    let origin = match (api.hosts.first(), gateway.split_once("://")) {
        (Some(host), Some((scheme, _))) if !host.contains('*') => format!("{scheme}://{host}"),
        _ => gateway.to_owned(),
    };
    let path = api.base_path.as_deref().unwrap_or_default().trim_end_matches('/');
    Some(format!("{origin}{path}"))
}

/// What samples send to an API: to this deployment's gateway, with the key of an app.
pub(crate) fn inputs(app: &App, offered: &OfferedApi) -> Inputs {
    Inputs {
        base: base_url(app, &offered.api),
        credential: Some(Credential {
            header: "Authorization".to_owned(),
            prefix: "Bearer ".to_owned(),
            variable: VARIABLE.to_owned(),
        }),
        ..Inputs::default()
    }
}

/// A request to try the key with, in colours.
pub(crate) fn line(app: &App, offered: &OfferedApi) -> Option<Html> {
    let url = base_url(app, &offered.api)?;
    let path = app
        .reading
        .references
        .ready(offered.document?)
        .and_then(|reference| {
            let simple = |entry: &&reference::Entry| entry.method == "GET" && !entry.path.contains('{');
            reference.entries().iter().find(simple).map(|entry| entry.path.clone())
        })
        .unwrap_or_else(|| "/".to_owned());
    Some(Html(format!(
        "<span class=\"k\">curl</span> {} \\\n  -H <span class=\"s\">&quot;Authorization: Bearer $TOLLGATE_KEY&quot;</span>",
        escape(&format!("{url}{path}"))
    )))
}
