//! Go, Java and Rust.

use std::fmt::Write as _;

use super::quote::{self, pretty};
use crate::request::{Body, Content, HeaderValue, Part, Request, form_text};

/// The text of a body that is sent as text.
pub(super) fn body_text(body: &Body) -> Option<String> {
    match body {
        Body::Json { value, .. } => Some(pretty(value)),
        Body::Raw { text, .. } => Some(text.clone()),
        Body::Form(pairs) => Some(form_text(pairs)),
        Body::None | Body::File { .. } | Body::Multipart(_) => None,
    }
}

pub(super) fn go(request: &Request) -> String {
    let long = |text: &str| {
        let raw = text.contains('\n') && !text.contains(['`', '\r', '\u{feff}']);
        if raw { format!("`{text}`") } else { quote::go(text) }
    };
    let secret = request
        .headers
        .iter()
        .any(|header| matches!(header.value, HeaderValue::Secret { .. }));
    let mut imports = vec!["fmt", "io", "net/http"];
    let mut steps = String::new();
    let mut content_type = String::new();
    let body = match &request.body {
        Body::None => "nil",
        Body::File { name, .. } => {
            imports.push("os");
            let _ = write!(steps, "\tbody, err := os.Open({})\n{GO_CHECK}", quote::go(name));
            "body"
        }
        Body::Multipart(parts) => {
            imports.extend(["bytes", "mime/multipart"]);
            imports.extend(go_imports(parts));
            steps.push_str("\tbody := &bytes.Buffer{}\n\tform := multipart.NewWriter(body)\n");
            for part in parts {
                steps.push_str(&go_part(part));
            }
            steps.push_str("\tform.Close()\n");
            content_type.push_str("\treq.Header.Set(\"Content-Type\", form.FormDataContentType())\n");
            "body"
        }
        other => {
            imports.push("strings");
            let text = body_text(other).unwrap_or_default();
            let _ = writeln!(steps, "\tbody := strings.NewReader({})", long(&text));
            "body"
        }
    };
    if secret {
        imports.push("os");
    }
    imports.sort_unstable();
    imports.dedup();
    let imports: Vec<String> = imports.iter().map(|name| format!("\t\"{name}\"\n")).collect();
    let mut out = format!(
        "package main\n\nimport (\n{})\n\nfunc main() {{\n{steps}",
        imports.concat()
    );
    let (method, address) = (quote::go(&request.method), quote::go(&request.address()));
    let _ = write!(
        out,
        "\treq, err := http.NewRequest({method}, {address}, {body})\n{GO_CHECK}{content_type}"
    );
    for header in request.all_headers() {
        let value = match &header.value {
            HeaderValue::Text(text) => quote::go(text),
            HeaderValue::Secret { prefix, variable } if prefix.is_empty() => {
                format!("os.Getenv({})", quote::go(variable))
            }
            HeaderValue::Secret { prefix, variable } => {
                format!("{}+os.Getenv({})", quote::go(prefix), quote::go(variable))
            }
        };
        let _ = writeln!(out, "\treq.Header.Set({}, {value})", quote::go(&header.name));
    }
    let _ = write!(out, "\tanswer, err := http.DefaultClient.Do(req)\n{GO_CHECK}");
    let _ = write!(
        out,
        "\tdefer answer.Body.Close()\n\ttext, err := io.ReadAll(answer.Body)\n{GO_CHECK}"
    );
    out.push_str("\tfmt.Println(answer.Status, string(text))\n}\n");
    out
}

const GO_CHECK: &str = "\tif err != nil {\n\t\tpanic(err)\n\t}\n";

fn go_imports(parts: &[Part]) -> Vec<&'static str> {
    let mut names = Vec::new();
    if parts.iter().any(|part| matches!(part.content, Content::File(_))) {
        names.push("os");
    }
    if parts.iter().any(|part| part.content_type.is_some()) {
        names.push("net/textproto");
    }
    names
}

fn go_part(part: &Part) -> String {
    let name = quote::go(&part.name);
    let mut out = String::from("\t{\n");
    match (&part.content_type, &part.content) {
        (Some(kind), content) => {
            let file = match content {
                Content::File(file) => format!("; filename=\"{file}\""),
                Content::Text(_) => String::new(),
            };
            let quoted = part.name.replace('\\', "\\\\").replace('"', "\\\"");
            let disposition = quote::go(&format!("form-data; name=\"{quoted}\"{file}"));
            let kind = quote::go(kind);
            let _ = write!(
                out,
                "\t\thead := textproto.MIMEHeader{{\"Content-Disposition\": {{{disposition}}}, \"Content-Type\": {{{kind}}}}}\n\
                 \t\tpart, _ := form.CreatePart(head)\n"
            );
        }
        (None, Content::File(file)) => {
            let _ = writeln!(out, "\t\tpart, _ := form.CreateFormFile({name}, {})", quote::go(file));
        }
        (None, Content::Text(_)) => {
            let _ = writeln!(out, "\t\tpart, _ := form.CreateFormField({name})");
        }
    }
    match &part.content {
        Content::Text(text) => {
            let _ = writeln!(out, "\t\tio.WriteString(part, {})", quote::go(text));
        }
        Content::File(file) => {
            let _ = write!(
                out,
                "\t\tcontent, err := os.ReadFile({})\n\t\tif err != nil {{\n\t\t\tpanic(err)\n\t\t}}\n\t\tpart.Write(content)\n",
                quote::go(file)
            );
        }
    }
    out + "\t}\n"
}

pub(super) fn java(request: &Request) -> String {
    let mut out =
        String::from("import java.net.URI;\nimport java.net.http.HttpClient;\nimport java.net.http.HttpRequest;\n");
    out.push_str("import java.net.http.HttpRequest.BodyPublishers;\nimport java.net.http.HttpResponse.BodyHandlers;\n");
    let publisher = match &request.body {
        Body::None => "BodyPublishers.noBody()".to_owned(),
        Body::File { name, .. } => format!("BodyPublishers.ofFile(Path.of({}))", quote::java(name)),
        Body::Multipart(parts) => java_parts(parts),
        other => format!(
            "BodyPublishers.ofString({})",
            java_text(&body_text(other).unwrap_or_default())
        ),
    };
    if publisher.contains("Path.of") {
        out.push_str("import java.nio.file.Path;\n");
    }
    out.push_str("\npublic class Example {\n  public static void main(String[] args) throws Exception {\n");
    let _ = writeln!(
        out,
        "    var request = HttpRequest.newBuilder(URI.create({}))",
        quote::java(&request.address())
    );
    let mut headers = request.all_headers();
    if matches!(request.body, Body::Multipart(_)) {
        headers.push(crate::request::Header {
            name: "Content-Type".to_owned(),
            value: HeaderValue::Text("multipart/form-data; boundary=form-boundary".to_owned()),
        });
    }
    for header in headers {
        let value = match &header.value {
            HeaderValue::Text(text) => quote::java(text),
            HeaderValue::Secret { prefix, variable } if prefix.is_empty() => {
                format!("System.getenv({})", quote::java(variable))
            }
            HeaderValue::Secret { prefix, variable } => {
                format!("{} + System.getenv({})", quote::java(prefix), quote::java(variable))
            }
        };
        let _ = writeln!(out, "        .header({}, {value})", quote::java(&header.name));
    }
    let _ = writeln!(out, "        .method({}, {publisher})", quote::java(&request.method));
    out.push_str(
        "        .build();\n    var answer = HttpClient.newHttpClient().send(request, BodyHandlers.ofString());\n",
    );
    out.push_str("    System.out.println(answer.statusCode() + \" \" + answer.body());\n  }\n}\n");
    out
}

/// Text of several lines as a text block, where one can hold it.
fn java_text(text: &str) -> String {
    let odd =
        text.contains(['\r', '\t']) || text.lines().any(|line| line.ends_with(' ')) || text.starts_with(['\n', ' ']);
    if !text.contains('\n') || odd || text.ends_with('\n') {
        return quote::java(text);
    }
    let indent = " ".repeat(12);
    let escaped = text.replace('\\', "\\\\").replace("\"\"\"", "\\\"\"\"");
    let lines: Vec<String> = escaped.lines().map(|line| format!("{indent}{line}")).collect();
    format!("\"\"\"\n{}\"\"\"", lines.join("\n"))
}

fn java_parts(parts: &[Part]) -> String {
    let mut pieces: Vec<String> = Vec::new();
    for part in parts {
        let name = part.name.replace('\\', "\\\\").replace('"', "%22");
        let mut head = format!("--form-boundary\r\nContent-Disposition: form-data; name=\"{name}\"");
        if let Content::File(file) = &part.content {
            let _ = write!(head, "; filename=\"{file}\"");
        }
        if let Some(kind) = &part.content_type {
            let _ = write!(head, "\r\nContent-Type: {kind}");
        }
        head.push_str("\r\n\r\n");
        match &part.content {
            Content::Text(text) => pieces.push(format!(
                "BodyPublishers.ofString({})",
                quote::java(&format!("{head}{text}\r\n"))
            )),
            Content::File(file) => {
                pieces.push(format!("BodyPublishers.ofString({})", quote::java(&head)));
                pieces.push(format!("BodyPublishers.ofFile(Path.of({}))", quote::java(file)));
                pieces.push("BodyPublishers.ofString(\"\\r\\n\")".to_owned());
            }
        }
    }
    pieces.push("BodyPublishers.ofString(\"--form-boundary--\\r\\n\")".to_owned());
    format!(
        "BodyPublishers.concat(\n            {})",
        pieces.join(",\n            ")
    )
}

pub(super) fn rust(request: &Request) -> String {
    let mut out =
        String::from("use reqwest::blocking::Client;\n\nfn main() -> Result<(), Box<dyn std::error::Error>> {\n");
    if let Body::Multipart(parts) = &request.body {
        out.push_str("    let form = reqwest::blocking::multipart::Form::new()");
        for part in parts {
            let content = match &part.content {
                Content::Text(text) => format!("Part::text({})", quote::rust(text)),
                Content::File(name) => format!("Part::file({})?", quote::rust(name)),
            };
            let kind = part
                .content_type
                .as_ref()
                .map_or_else(String::new, |name| format!(".mime_str({})?", quote::rust(name)));
            let _ = write!(
                out,
                "\n        .part({}, reqwest::blocking::multipart::{content}{kind})",
                quote::rust(&part.name)
            );
        }
        out.push_str(";\n");
    }
    let known = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"].contains(&request.method.as_str());
    let address = quote::rust(&request.address());
    let call = if known {
        format!(".{}({address})", request.method.to_ascii_lowercase())
    } else {
        format!(".request({}.parse()?, {address})", quote::rust(&request.method))
    };
    let _ = write!(out, "    let answer = Client::new()\n        {call}");
    for header in request.all_headers() {
        let value = match &header.value {
            HeaderValue::Text(text) => quote::rust(text),
            HeaderValue::Secret { prefix, variable } if prefix.is_empty() => {
                format!("std::env::var({})?", quote::rust(variable))
            }
            HeaderValue::Secret { prefix, variable } => {
                let prefix = quote::rust(prefix);
                format!("String::from({prefix}) + &std::env::var({})?", quote::rust(variable))
            }
        };
        let _ = write!(out, "\n        .header({}, {value})", quote::rust(&header.name));
    }
    let body = match &request.body {
        Body::None => None,
        Body::Multipart(_) => Some(".multipart(form)".to_owned()),
        Body::File { name, .. } => Some(format!(".body(std::fs::File::open({})?)", quote::rust(name))),
        other => {
            let text = body_text(other).unwrap_or_default();
            let raw = text.contains(['\n', '"']) && !text.contains("\"##") && !text.contains('\r');
            Some(format!(
                ".body({})",
                if raw {
                    format!("r##\"{text}\"##")
                } else {
                    quote::rust(&text)
                }
            ))
        }
    };
    if let Some(body) = body {
        let _ = write!(out, "\n        {body}");
    }
    out.push_str("\n        .send()?;\n    println!(\"{} {}\", answer.status(), answer.text()?);\n    Ok(())\n}\n");
    out
}
