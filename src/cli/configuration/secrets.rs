//! Secrets by the name of an environment variable: read by the command, sent as values, never shown.

use domain::validate::Severity;

use super::merge::Merged;
use super::report::Report;
use super::typed::Typed;

/// What becomes of an upstream's secret whose variable is not set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Missing {
    /// It is an error.
    Refused,
    /// The server keeps the value that it has, and refuses when it has none.
    LeftToServer,
}

/// Puts the values of variables beside their names.
pub(crate) fn resolve(typed: &mut Typed, (merged, missing): (&Merged, Missing), report: &mut Report) {
    let mut document = std::mem::take(&mut typed.document);
    for (index, api) in document.apis.iter_mut().enumerate() {
        let Some(auth) = &mut api.upstream.auth else { continue };
        let at = typed.written(&format!("/apis/{index}/upstream/auth"));
        if auth.value.is_some() {
            plain(&format!("{at}/value"), "value_env", (merged, report));
        }
        let Some(name) = &auth.value_env else { continue };
        auth.value = variable(name);
        let at = format!("{at}/value_env");
        match (auth.value.is_none(), missing) {
            (true, Missing::Refused) => unset(&at, name, (merged, report)),
            (true, Missing::LeftToServer) => {
                let reason = format!("the environment variable {name} is not set");
                let remedy = "the server keeps the value that it has".to_owned();
                report.push(merged.message(Severity::Warning, &at, (reason, remedy)));
            }
            (false, _) => {}
        }
    }
    for (index, consumer) in document.consumers.iter_mut().enumerate() {
        for (place, credential) in consumer.credentials.iter_mut().enumerate() {
            let at = typed.written(&format!("/consumers/{index}/credentials/{place}"));
            if credential.secret.is_some() {
                plain(&format!("{at}/secret"), "secret_env", (merged, report));
            }
            let Some(name) = &credential.secret_env else { continue };
            credential.secret = variable(name);
            if credential.secret.is_none() {
                unset(&format!("{at}/secret_env"), name, (merged, report));
            }
        }
    }
    typed.document = document;
}

fn unset(at: &str, name: &str, (merged, report): (&Merged, &mut Report)) {
    let reason = format!("the environment variable {name} is not set");
    let remedy = format!("set it for this command: export {name}=…");
    report.push(merged.message(Severity::Error, at, (reason, remedy)));
}

fn plain(at: &str, key: &str, (merged, report): (&Merged, &mut Report)) {
    let remedy = format!("write {key}: NAME, and give the secret in that environment variable");
    report.push(merged.message(
        Severity::Warning,
        at,
        ("a secret stands in the file".to_owned(), remedy),
    ));
}

#[expect(
    clippy::disallowed_methods,
    reason = "the files of apply name the variables, so only this command can read them"
)]
fn variable(name: &str) -> Option<String> {
    let valid = !name.is_empty() && !name.contains(['=', '\0']);
    let value = valid.then(|| std::env::var(name).ok()).flatten();
    value.filter(|value| !value.is_empty())
}
