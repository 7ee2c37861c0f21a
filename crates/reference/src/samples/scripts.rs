//! curl, Python and JavaScript.

use std::fmt::Write as _;

use super::quote::{self, JAVASCRIPT, PYTHON, pretty, shell};
use crate::request::{Body, Content, Header, HeaderValue, Part, Request, percent};

pub(super) fn curl(request: &Request) -> String {
    let address = request.address();
    let mut lines = Vec::new();
    let implied = match request.body {
        Body::None => "GET",
        _ => "POST",
    };
    let glob = if address.contains(['[', ']', '{', '}']) {
        "-g "
    } else {
        ""
    };
    let method = match request.method.as_str() {
        "HEAD" if request.body == Body::None => "--head ".to_owned(),
        method if method == implied => String::new(),
        method => format!("-X {} ", shell(method)),
    };
    lines.push(format!("curl {glob}{method}{}", shell(&address)));
    for header in request.all_headers() {
        if header.name == "Content-Type" && matches!(request.body, Body::Form(_)) {
            continue;
        }
        lines.push(format!("-H {}", curl_header(&header)));
    }
    match &request.body {
        Body::None => {}
        Body::Json { value, .. } => lines.push(format!("--data-raw {}", shell(&pretty(value)))),
        Body::Raw { text, .. } => lines.push(format!("--data-raw {}", shell(text))),
        Body::File { name, .. } => lines.push(format!("--data-binary {}", shell(&format!("@{name}")))),
        Body::Form(pairs) if pairs.is_empty() => lines.push("--data-raw ''".to_owned()),
        Body::Form(pairs) => {
            let each = pairs.iter().map(|(name, value)| {
                let text = format!("{}={value}", percent(name));
                format!("--data-urlencode {}", shell(&text))
            });
            lines.extend(each);
        }
        Body::Multipart(parts) => lines.extend(parts.iter().map(curl_part)),
    }
    lines.join(" \\\n  ") + "\n"
}

fn curl_header(header: &Header) -> String {
    match &header.value {
        // curl leaves a header without a value out, unless it is written so.
        HeaderValue::Text(text) if text.is_empty() => shell(&format!("{};", header.name)),
        HeaderValue::Text(text) => shell(&format!("{}: {text}", header.name)),
        HeaderValue::Secret { prefix, variable } => {
            let hide = |text: &str| text.replace(['"', '$', '`', '\\', '\n'], "");
            format!("\"{}: {}${}\"", hide(&header.name), hide(prefix), hide(variable))
        }
    }
}

fn curl_part(part: &Part) -> String {
    let kind = part
        .content_type
        .as_ref()
        .map_or_else(String::new, |name| format!(";type={name}"));
    match &part.content {
        Content::File(name) => format!("-F {}", shell(&format!("{}=@{name}{kind}", part.name))),
        Content::Text(text) if kind.is_empty() => format!("--form-string {}", shell(&format!("{}={text}", part.name))),
        Content::Text(text) => {
            let quoted = text.replace('\\', "\\\\").replace('"', "\\\"");
            format!("-F {}", shell(&format!("{}=\"{quoted}\"{kind}", part.name)))
        }
    }
}

pub(super) fn python(request: &Request) -> String {
    let secret = request
        .headers
        .iter()
        .any(|header| matches!(header.value, HeaderValue::Secret { .. }));
    let mut out = String::from(if secret {
        "import os\n\nimport requests\n\n"
    } else {
        "import requests\n\n"
    });
    let known = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"].contains(&request.method.as_str());
    if known {
        let _ = writeln!(out, "answer = requests.{}(", request.method.to_ascii_lowercase());
    } else {
        let _ = writeln!(
            out,
            "answer = requests.request(\n    {},",
            quote::python(&request.method)
        );
    }
    let _ = writeln!(out, "    {},", quote::python(&request.address()));
    let headers = request.all_headers();
    // requests sets these two itself.
    let own = |header: &&Header| {
        let json = matches!(&header.value, HeaderValue::Text(text) if text == "application/json");
        header.name != "Content-Type" || !(json || matches!(request.body, Body::Form(_)))
    };
    let headers: Vec<&Header> = headers.iter().filter(own).collect();
    if !headers.is_empty() {
        out.push_str("    headers={\n");
        for header in headers {
            let value = match &header.value {
                HeaderValue::Text(text) if text.is_ascii() => quote::python(text),
                HeaderValue::Text(text) => format!("{}.encode()", quote::python(text)),
                HeaderValue::Secret { prefix, variable } if prefix.is_empty() => {
                    format!("os.environ[{}]", quote::python(variable))
                }
                HeaderValue::Secret { prefix, variable } => {
                    format!("{} + os.environ[{}]", quote::python(prefix), quote::python(variable))
                }
            };
            let _ = writeln!(out, "        {}: {value},", quote::python(&header.name));
        }
        out.push_str("    },\n");
    }
    out.push_str(&python_body(&request.body));
    out.push_str("    timeout=30,\n)\nanswer.raise_for_status()\nprint(answer.text)\n");
    out
}

fn python_body(body: &Body) -> String {
    match body {
        Body::None => String::new(),
        Body::Json { value, .. } => format!("    json={},\n", quote::value(value, &PYTHON, 4)),
        Body::Raw { text, .. } => format!("    data={}.encode(),\n", quote::python(text)),
        Body::File { name, .. } => format!("    data=open({}, \"rb\"),\n", quote::python(name)),
        Body::Form(pairs) => {
            let mut out = String::from("    data=[\n");
            for (name, value) in pairs {
                let _ = writeln!(out, "        ({}, {}),", quote::python(name), quote::python(value));
            }
            out + "    ],\n"
        }
        Body::Multipart(parts) => {
            let mut out = String::from("    files=[\n");
            for part in parts {
                let kind = part
                    .content_type
                    .as_ref()
                    .map_or_else(String::new, |name| format!(", {}", quote::python(name)));
                let content = match &part.content {
                    Content::Text(text) => format!("None, {}", quote::python(text)),
                    Content::File(name) => format!("{0}, open({0}, \"rb\")", quote::python(name)),
                };
                let _ = writeln!(out, "        ({}, ({content}{kind})),", quote::python(&part.name));
            }
            out + "    ],\n"
        }
    }
}

pub(super) fn javascript(request: &Request, typed: bool) -> String {
    let mut out = String::new();
    let reads = match &request.body {
        Body::File { .. } => true,
        Body::Multipart(parts) => parts.iter().any(|part| matches!(part.content, Content::File(_))),
        Body::None | Body::Json { .. } | Body::Form(_) | Body::Raw { .. } => false,
    };
    if reads {
        out.push_str("import { readFile } from \"node:fs/promises\";\n\n");
    }
    if let Body::Multipart(parts) = &request.body {
        out.push_str("const form = new FormData();\n");
        for part in parts {
            let kind = part
                .content_type
                .as_ref()
                .map_or_else(String::new, |name| format!(", {{ type: {} }}", quote::javascript(name)));
            let content = match &part.content {
                Content::Text(text) if kind.is_empty() => quote::javascript(text),
                Content::Text(text) => format!("new Blob([{}]{kind})", quote::javascript(text)),
                Content::File(name) => format!("new Blob([await readFile({0})]{kind}), {0}", quote::javascript(name)),
            };
            let _ = writeln!(out, "form.append({}, {content});", quote::javascript(&part.name));
        }
        out.push('\n');
    }
    let kind = if typed { ": Response" } else { "" };
    let _ = writeln!(
        out,
        "const answer{kind} = await fetch({}, {{",
        quote::javascript(&request.address())
    );
    let _ = writeln!(out, "  method: {},", quote::javascript(&request.method));
    let headers = request.all_headers();
    let own = |header: &&Header| header.name != "Content-Type" || !matches!(request.body, Body::Form(_));
    let headers: Vec<&Header> = headers.iter().filter(own).collect();
    if !headers.is_empty() {
        out.push_str("  headers: {\n");
        for header in headers {
            let value = match &header.value {
                // Headers are bytes: each one as the character of its number.
                HeaderValue::Text(text) => quote::javascript(&text.bytes().map(char::from).collect::<String>()),
                HeaderValue::Secret { prefix, variable } => {
                    let variable = format!(
                        "process.env[{}]{}",
                        quote::javascript(variable),
                        if typed { "!" } else { "" }
                    );
                    if prefix.is_empty() {
                        variable
                    } else {
                        format!("{} + {variable}", quote::javascript(prefix))
                    }
                }
            };
            let _ = writeln!(out, "    {}: {value},", quote::javascript(&header.name));
        }
        out.push_str("  },\n");
    }
    let body = match &request.body {
        Body::None => None,
        Body::Json { value, .. } => Some(format!("JSON.stringify({})", quote::value(value, &JAVASCRIPT, 2))),
        Body::Raw { text, .. } => Some(quote::javascript(text)),
        Body::File { name, .. } => Some(format!("await readFile({})", quote::javascript(name))),
        Body::Multipart(_) => Some("form".to_owned()),
        Body::Form(pairs) => {
            let each: Vec<String> = pairs
                .iter()
                .map(|(name, value)| format!("    [{}, {}],\n", quote::javascript(name), quote::javascript(value)))
                .collect();
            Some(format!("new URLSearchParams([\n{}  ])", each.concat()))
        }
    };
    if let Some(body) = body {
        let _ = writeln!(out, "  body: {body},");
    }
    out.push_str("});\nif (!answer.ok) throw new Error(await answer.text());\nconsole.log(await answer.text());\n");
    out
}
