//! C#, PHP and Ruby.

use std::fmt::Write as _;

use super::compiled::body_text;
use super::quote::{self, RUBY, single};
use crate::request::{Body, Content, Header, HeaderValue, Part, Request};

pub(super) fn csharp(request: &Request) -> String {
    let mut out = String::from("using System.Net.Http.Headers;\n\nusing var client = new HttpClient();\n");
    let (method, address) = (quote::csharp(&request.method), quote::csharp(&request.address()));
    let _ = writeln!(
        out,
        "using var request = new HttpRequestMessage(new HttpMethod({method}), {address});"
    );
    for header in request
        .all_headers()
        .iter()
        .filter(|header| header.name != "Content-Type")
    {
        let value = match &header.value {
            HeaderValue::Text(text) => quote::csharp(text),
            HeaderValue::Secret { prefix, variable } => {
                let variable = format!("Environment.GetEnvironmentVariable({})", quote::csharp(variable));
                if prefix.is_empty() {
                    variable
                } else {
                    format!("{} + {variable}", quote::csharp(prefix))
                }
            }
        };
        let _ = writeln!(
            out,
            "request.Headers.TryAddWithoutValidation({}, {value});",
            quote::csharp(&header.name)
        );
    }
    match &request.body {
        Body::None => {}
        Body::Multipart(parts) => {
            out.push_str("var form = new MultipartFormDataContent();\n");
            for (at, part) in parts.iter().enumerate() {
                out.push_str(&csharp_part(at, part));
            }
            out.push_str("request.Content = form;\n");
        }
        other => {
            let content = match other {
                Body::File { name, .. } => format!("new StreamContent(File.OpenRead({}))", quote::csharp(name)),
                text => format!(
                    "new StringContent({})",
                    csharp_text(&body_text(text).unwrap_or_default())
                ),
            };
            let _ = writeln!(out, "request.Content = {content};");
            for header in request
                .all_headers()
                .iter()
                .filter(|header| header.name == "Content-Type")
            {
                if let HeaderValue::Text(kind) = &header.value {
                    let kind = quote::csharp(kind);
                    let _ = writeln!(
                        out,
                        "request.Content.Headers.ContentType = MediaTypeHeaderValue.Parse({kind});"
                    );
                }
            }
        }
    }
    out.push_str("using var answer = await client.SendAsync(request);\n");
    out.push_str("Console.WriteLine(await answer.Content.ReadAsStringAsync());\n");
    out
}

fn csharp_part(at: usize, part: &Part) -> String {
    let (content, file) = match &part.content {
        Content::Text(text) => (format!("new StringContent({})", quote::csharp(text)), String::new()),
        Content::File(name) => {
            let name = quote::csharp(name);
            (format!("new StreamContent(File.OpenRead({name}))"), format!(", {name}"))
        }
    };
    let kind = match (&part.content_type, &part.content) {
        (Some(kind), _) => format!("MediaTypeHeaderValue.Parse({})", quote::csharp(kind)),
        (None, _) => "null".to_owned(),
    };
    let name = quote::csharp(&part.name);
    format!("var part{at} = {content};\npart{at}.Headers.ContentType = {kind};\nform.Add(part{at}, {name}{file});\n")
}

/// Text of several lines as a raw literal, where one can hold it.
fn csharp_text(text: &str) -> String {
    if text.contains('\n') && !text.contains("\"\"\"") && !text.contains('\r') {
        return format!("\"\"\"\n{text}\n\"\"\"");
    }
    quote::csharp(text)
}

pub(super) fn php(request: &Request) -> String {
    let mut out = format!(
        "<?php\n$curl = curl_init({});\ncurl_setopt_array($curl, [\n",
        single(&request.address())
    );
    let _ = writeln!(out, "    CURLOPT_CUSTOMREQUEST => {},", single(&request.method));
    out.push_str("    CURLOPT_RETURNTRANSFER => true,\n");
    if request.method == "HEAD" {
        out.push_str("    CURLOPT_NOBODY => true,\n");
    }
    let headers = request.all_headers();
    if !headers.is_empty() {
        out.push_str("    CURLOPT_HTTPHEADER => [\n");
        for header in &headers {
            let _ = writeln!(out, "        {},", php_header(header));
        }
        out.push_str("    ],\n");
    }
    match &request.body {
        Body::None => {}
        Body::File { name, .. } => {
            let _ = writeln!(out, "    CURLOPT_POSTFIELDS => file_get_contents({}),", single(name));
        }
        Body::Multipart(parts) => {
            out.push_str("    CURLOPT_POSTFIELDS => [\n");
            for part in parts {
                let kind = part.content_type.as_deref().unwrap_or("application/octet-stream");
                let content = match &part.content {
                    Content::Text(text) if part.content_type.is_none() => single(text),
                    Content::Text(text) => format!("new CURLStringFile({}, '', {})", single(text), single(kind)),
                    Content::File(name) => format!("new CURLFile({0}, {1}, {0})", single(name), single(kind)),
                };
                let _ = writeln!(out, "        {} => {content},", single(&part.name));
            }
            out.push_str("    ],\n");
        }
        other => {
            let _ = writeln!(
                out,
                "    CURLOPT_POSTFIELDS => {},",
                single(&body_text(other).unwrap_or_default())
            );
        }
    }
    out + "]);\n$answer = curl_exec($curl);\necho $answer;\n"
}

fn php_header(header: &Header) -> String {
    match &header.value {
        // curl leaves a header without a value out, unless it is written so.
        HeaderValue::Text(text) if text.is_empty() => single(&format!("{};", header.name)),
        HeaderValue::Text(text) => single(&format!("{}: {text}", header.name)),
        HeaderValue::Secret { prefix, variable } => {
            format!(
                "{} . getenv({})",
                single(&format!("{}: {prefix}", header.name)),
                single(variable)
            )
        }
    }
}

pub(super) fn ruby(request: &Request) -> String {
    let json = matches!(request.body, Body::Json { .. });
    let mut out = String::from(if json {
        "require 'json'\nrequire 'net/http'\n\n"
    } else {
        "require 'net/http'\n\n"
    });
    let _ = writeln!(out, "uri = URI({})", single(&request.address()));
    let known = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"].contains(&request.method.as_str());
    if known {
        let mut name = request.method.to_ascii_lowercase();
        if let Some(first) = name.get_mut(..1) {
            first.make_ascii_uppercase();
        }
        let _ = writeln!(out, "request = Net::HTTP::{name}.new(uri)");
    } else {
        let method = single(&request.method);
        let body = request.body != Body::None;
        let _ = writeln!(
            out,
            "request = Net::HTTPGenericRequest.new({method}, {body}, true, uri)"
        );
    }
    for header in request.all_headers() {
        let value = match &header.value {
            HeaderValue::Text(text) => single(text),
            HeaderValue::Secret { prefix, variable } if prefix.is_empty() => format!("ENV.fetch({})", single(variable)),
            HeaderValue::Secret { prefix, variable } => {
                format!("{} + ENV.fetch({})", single(prefix), single(variable))
            }
        };
        let _ = writeln!(out, "request[{}] = {value}", single(&header.name));
    }
    match &request.body {
        Body::None => {}
        Body::Json { value, .. } => {
            let _ = writeln!(out, "request.body = JSON.generate({})", quote::value(value, &RUBY, 0));
        }
        Body::File { name, .. } => {
            let _ = writeln!(out, "request.body = File.binread({})", single(name));
        }
        Body::Multipart(parts) => {
            out.push_str("request.set_form([\n");
            for part in parts {
                let kind = part
                    .content_type
                    .as_ref()
                    .map_or_else(String::new, |name| format!(", {{ content_type: {} }}", single(name)));
                let content = match &part.content {
                    Content::Text(text) => single(text),
                    Content::File(name) => format!("File.open({})", single(name)),
                };
                let _ = writeln!(out, "  [{}, {content}{kind}],", single(&part.name));
            }
            out.push_str("], 'multipart/form-data')\n");
        }
        other => {
            let _ = writeln!(out, "request.body = {}", single(&body_text(other).unwrap_or_default()));
        }
    }
    out.push_str("\nanswer = Net::HTTP.start(uri.host, uri.port, use_ssl: uri.scheme == 'https') do |http|\n");
    out + "  http.request(request)\nend\nputs answer.body\n"
}
