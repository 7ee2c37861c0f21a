use serde_json::json;

use super::*;
use crate::request::{Body, Header, HeaderValue, Pair, Part};

fn nasty() -> Request {
    let odd = "a'b\"c\\d$HOME`id`#{x}${y}\n\t</script>é漢🙂%s\u{1}";
    Request {
        method: "POST".to_owned(),
        url: "https://api.example/it's".to_owned(),
        query: vec![Pair {
            name: "q".to_owned(),
            value: odd.to_owned(),
            encoded: "q=%27".to_owned(),
        }],
        headers: vec![
            Header {
                name: "X-API-Key".to_owned(),
                value: HeaderValue::Secret {
                    prefix: String::new(),
                    variable: "TOLLGATE_KEY".to_owned(),
                },
            },
            Header {
                name: "X-Odd".to_owned(),
                value: HeaderValue::Text("a'b\"c\\ $HOME #{x}".to_owned()),
            },
        ],
        cookies: Vec::new(),
        body: Body::Json {
            content_type: "application/json".to_owned(),
            value: json!({"odd": odd, "list": [1, true, null]}),
        },
    }
}

#[test]
fn pieces_of_code_are_the_code_and_markup_has_only_spans() {
    let mut request = nasty();
    let bodies = [
        request.body.clone(),
        Body::None,
        Body::Form(vec![("a[b]".to_owned(), "it's & \"so\"".to_owned())]),
        Body::Multipart(vec![Part {
            name: "f'ile".to_owned(),
            content_type: Some("image/png".to_owned()),
            content: crate::request::Content::File("file.bin".to_owned()),
        }]),
        Body::Raw {
            content_type: "text/plain".to_owned(),
            text: "it's\n\"\"\"\r\n`\"##".to_owned(),
        },
    ];
    for body in bodies {
        request.body = body;
        for language in Language::ALL {
            let code = print(&request, language);
            let joined: String = code.spans().iter().map(|(_, text)| *text).collect();
            assert_eq!(joined, code.text, "{}", language.name());
            assert!(code.text.contains("TOLLGATE_KEY"), "{}", language.name());
            let html = code.html().to_string();
            let bare = html.replace("</span>", "");
            let bare = ["k", "s", "n", "c"]
                .iter()
                .fold(bare, |s, c| s.replace(&format!("<span class=\"{c}\">"), ""));
            assert!(!bare.contains('<'), "{}: {bare}", language.name());
        }
    }
}

#[test]
fn values_stay_inside_of_their_quotes() {
    let request = nasty();
    let text = |language| print(&request, language).text;
    assert!(text(Language::Curl).contains("-H 'X-Odd: a'\\''b\"c\\ $HOME #{x}'"));
    assert!(text(Language::Curl).contains("-H \"X-API-Key: $TOLLGATE_KEY\""));
    assert!(text(Language::Python).contains("\"X-Odd\": \"a'b\\\"c\\\\ $HOME #{x}\""));
    assert!(text(Language::Ruby).contains("request['X-Odd'] = 'a\\'b\"c\\\\ $HOME #{x}'"));
    assert!(text(Language::Php).contains("'X-Odd: a\\'b\"c\\\\ $HOME #{x}'"));
    assert!(text(Language::Java).contains(".header(\"X-Odd\", \"a'b\\\"c\\\\ $HOME #{x}\")"));
}
