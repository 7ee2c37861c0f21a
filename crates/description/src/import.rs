//! The entry of an API for the files of `apply`.
//!
//! [`import`] only proposes: names, versions and paths are meant to be edited. Deliberately absent: the document itself,
//! which the entry names by its path.

use serde_json::{Value, json};

use crate::fault::Fault;
use crate::openapi::Description;

/// What the entry says beside the description.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Options {
    /// Path of the document from the file on, as in `./petstore.yaml`.
    pub openapi: String,
    /// Name of the API; made of the title unless given.
    pub name: Option<String>,
    /// Prefix of every route; `/` and the name unless given.
    pub base_path: Option<String>,
}

/// An entry, and what its reader should check.
#[derive(Debug, Clone, PartialEq)]
pub struct Imported {
    /// `{apis: [{name, version, openapi, base_path, upstream: {targets: [{url}]}, auth: [api_key]}]}`.
    pub value: Value,
    /// Warnings about the entry; those of the description are in [`Description::faults`].
    pub faults: Vec<Fault>,
}

/// Makes the entry of an API.
///
/// An `upstream` with a path is taken as it is. To a bare scheme and host the path of the document's first server is
/// added (of 2.0 its `basePath`), for routes have the document's paths alone.
#[must_use]
pub fn import(description: &Description, upstream: &str, options: &Options) -> Imported {
    let mut faults = Vec::new();
    if description.operations.is_empty() {
        faults.push(Fault::warning(
            "",
            "the document has no operations, so no route results",
            "add paths to it",
        ));
    }
    let name = options
        .name
        .clone()
        .unwrap_or_else(|| slug(description.title.as_deref().unwrap_or_default()));
    let base_path = options.base_path.clone().unwrap_or_else(|| format!("/{name}"));
    let url = upstream_url(description, upstream, &mut faults);
    let value = json!({
        "apis": [{
            "name": name,
            "version": description.document_version.as_deref().filter(|text| !text.is_empty()).unwrap_or("1.0"),
            "openapi": options.openapi,
            "base_path": base_path,
            "upstream": { "targets": [{ "url": url }] },
            "auth": ["api_key"],
        }]
    });
    Imported { value, faults }
}

fn upstream_url(description: &Description, upstream: &str, faults: &mut Vec<Fault>) -> String {
    let upstream = upstream.trim();
    let rest = upstream.split_once("://").map_or(upstream, |(_, rest)| rest);
    if rest.contains('/') && !rest.ends_with('/') || rest.trim_end_matches('/').contains('/') {
        return upstream.trim_end_matches('/').to_owned();
    }
    let path = server_path(description);
    // `mailto:x` and the like have no path.
    let has_scheme = path.split('/').nth(1).is_some_and(|first| first.contains(':'));
    if has_scheme || path.contains(['{', '}', '?', '#']) {
        let reason = format!("the path {path:?} of the first server is not used");
        faults.push(Fault::warning(
            "/servers/0/url",
            reason,
            "give the whole address of the upstream",
        ));
        return upstream.trim_end_matches('/').to_owned();
    }
    format!("{}{path}", upstream.trim_end_matches('/'))
}

/// The path of the first server, with a leading and without a trailing slash; empty for `/`.
fn server_path(description: &Description) -> String {
    let first = description
        .base_path
        .as_ref()
        .or_else(|| description.servers.first())
        .map_or("", String::as_str);
    let path = match first.split_once("://") {
        Some((_, rest)) => rest.find('/').and_then(|at| rest.get(at..)).unwrap_or_default(),
        None => match first.strip_prefix("//") {
            Some(rest) => rest.find('/').and_then(|at| rest.get(at..)).unwrap_or_default(),
            None => first,
        },
    };
    let path = path.trim_matches('/');
    if path.is_empty() || path == "." {
        String::new()
    } else {
        format!("/{path}")
    }
}

/// A name of lower-case letters, digits and hyphens, at most 60 characters. Titles of other scripts become a name made
/// of their code points, so that two titles rarely have one name and none has none.
#[must_use]
pub fn slug(title: &str) -> String {
    const LONGEST: usize = 60;
    let mut name = String::new();
    let mut gap = false;
    for character in title.chars().flat_map(char::to_lowercase) {
        let plain = fold(character);
        if plain.is_empty() {
            gap = !name.is_empty();
            continue;
        }
        if name.len() + plain.len() + usize::from(gap) > LONGEST {
            break;
        }
        if std::mem::take(&mut gap) {
            name.push('-');
        }
        name.push_str(&plain);
    }
    if name.is_empty() { "api".to_owned() } else { name }
}

/// The plain letters that stand for a lower-case character; none for punctuation and combining marks.
#[must_use]
pub fn fold(character: char) -> String {
    if character.is_ascii_alphanumeric() {
        return character.to_string();
    }
    let known = LATIN
        .iter()
        .find(|(from, _)| from.contains(character))
        .map(|(_, to)| (*to).to_owned());
    match known {
        Some(letters) => letters,
        None if character.is_alphabetic() || character.is_numeric() => format!("{:x}", u32::from(character)),
        None => String::new(),
    }
}

/// Latin letters with marks, by the letters that are written without them.
const LATIN: [(&str, &str); 27] = [
    ("àáâãåāăą", "a"),
    ("ä", "ae"),
    ("æ", "ae"),
    ("çćĉċč", "c"),
    ("ďđ", "d"),
    ("ð", "d"),
    ("èéêëēĕėęě", "e"),
    ("ĝğġģ", "g"),
    ("ĥħ", "h"),
    ("ìíîïĩīĭįı", "i"),
    ("ĵ", "j"),
    ("ķ", "k"),
    ("ĺļľŀł", "l"),
    ("ñńņňŉ", "n"),
    ("òóôõøōŏő", "o"),
    ("ö", "oe"),
    ("œ", "oe"),
    ("ŕŗř", "r"),
    ("śŝşšș", "s"),
    ("ß", "ss"),
    ("ţťŧț", "t"),
    ("ùúûũūŭůűų", "u"),
    ("ü", "ue"),
    ("ŵ", "w"),
    ("ýÿŷ", "y"),
    ("źżž", "z"),
    ("þ", "th"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::openapi::read;

    fn imported(document: &Value, upstream: &str) -> Imported {
        let options = Options {
            openapi: "./api.yaml".to_owned(),
            ..Options::default()
        };
        import(&read(document), upstream, &options)
    }

    fn url(document: &Value, upstream: &str) -> String {
        imported(document, upstream).value["apis"][0]["upstream"]["targets"][0]["url"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    #[test]
    fn the_entry_has_the_shape_of_the_files() {
        let document = json!({
            "openapi": "3.0.0",
            "info": {"title": "Swagger Petstore", "version": "1.2.3"},
            "servers": [{"url": "https://petstore.example/v1/"}],
            "paths": {"/pets": {"get": {"responses": {}}}}
        });
        let imported = imported(&document, "http://127.0.0.1:9001");
        assert_eq!(
            imported.value,
            json!({"apis": [{
                "name": "swagger-petstore",
                "version": "1.2.3",
                "openapi": "./api.yaml",
                "base_path": "/swagger-petstore",
                "upstream": {"targets": [{"url": "http://127.0.0.1:9001/v1"}]},
                "auth": ["api_key"]
            }]})
        );
        assert_eq!(imported.faults, []);
    }

    #[test]
    fn the_path_of_the_first_server_is_added_to_a_bare_host_only() {
        let three = |server: &str| json!({"openapi": "3.0.0", "servers": [{"url": server}]});
        let two = json!({"swagger": "2.0", "host": "a.example", "basePath": "/api/v2", "schemes": ["http"]});
        let table = [
            (three("https://a.example/v1"), "http://up:1", "http://up:1/v1"),
            (three("https://a.example/v1"), "http://up:1/", "http://up:1/v1"),
            (three("https://a.example/v1"), "http://up:1/own", "http://up:1/own"),
            (three("https://a.example/v1"), "http://up:1/own/", "http://up:1/own"),
            (three("https://a.example"), "http://up", "http://up"),
            (three("/v3"), "http://up", "http://up/v3"),
            (three("//a.example/v4"), "http://up", "http://up/v4"),
            (three("/"), "http://up", "http://up"),
            (three("javascript:alert(1)"), "http://up", "http://up"),
            (two, "http://up", "http://up/api/v2"),
            (json!({"openapi": "3.1.0"}), "http://up", "http://up"),
        ];
        for (document, upstream, expected) in table {
            assert_eq!(url(&document, upstream), expected, "{document} {upstream}");
        }
    }

    #[test]
    fn server_variables_take_their_defaults_and_others_are_refused() {
        let server =
            |url: &str| json!({"openapi": "3.0.0", "servers": [{"url": url, "variables": {"v": {"default": "v9"}}}]});
        assert_eq!(url(&server("https://a.example/{v}"), "http://up"), "http://up/v9");
        let odd = imported(&server("https://a.example/{w}"), "http://up");
        assert_eq!(odd.value["apis"][0]["upstream"]["targets"][0]["url"], "http://up");
        assert!(
            odd.faults.iter().any(|fault| fault.reason.contains("{w}")),
            "{:?}",
            odd.faults
        );
    }

    #[test]
    fn every_title_has_a_name() {
        let table = [
            ("Swagger Petstore - OpenAPI 3.0", "swagger-petstore-openapi-3-0"),
            ("Größe & Maß", "groesse-mass"),
            ("Łódź café", "lodz-cafe"),
            ("カラーミー", "30ab30e930fc30df30fc"),
            ("  ", "api"),
            ("", "api"),
            ("🙂", "api"),
            ("-x-", "x"),
        ];
        for (title, name) in table {
            assert_eq!(slug(title), name, "{title}");
        }
        assert!(slug(&"é".repeat(1_000)).len() <= 60);
        assert_ne!(slug("颜色"), slug("形状"));
    }
}
