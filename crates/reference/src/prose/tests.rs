use super::*;

fn page(text: &str) -> String {
    markdown(text, Place::Page(2), None).to_string()
}

#[test]
fn github_markdown_is_rendered() {
    let html = page("A **bold** `x`\n\n| a | b |\n|---|:-:|\n| 1 | 2 |\n\n- one\n- two");
    for part in [
        "<strong>bold</strong>",
        "<code>x</code>",
        "<table>",
        "<td align=\"center\">2</td>",
        "<li>one</li>",
    ] {
        assert!(html.contains(part), "{part} in {html}");
    }
    assert_eq!(page("Plain words, nothing else."), "<p>Plain words, nothing else.</p>");
}

#[test]
fn headings_begin_at_the_given_level_and_skip_none() {
    let rendered = render(
        "#### Deep\n\ntext\n\n###### Deeper\n\n# Top\n\n<h1>raw</h1>",
        Place::Page(2),
        None,
        LONGEST,
    );
    let levels: Vec<_> = rendered.headings.iter().map(|heading| heading.level).collect();
    assert_eq!(levels, [2, 3, 2]);
    let html = rendered.html.as_str();
    assert!(
        html.contains("<h2 id=\"doc-deep\">Deep</h2>") && html.contains("<strong>raw</strong>"),
        "{html}"
    );
    assert!(!html.contains("<h1"));
    let field = markdown("# Head\n\ntext", Place::Field, None);
    assert_eq!(field.as_str(), "<p>Head</p>\n<p>text</p>\n");
}

#[test]
fn relative_links_are_text_unless_a_server_completes_them() {
    assert!(!page("[a](/docs) [b](#x) [c](d/e)").contains("<a"));
    let base = |text| markdown(text, Place::Page(2), Some("https://api.example/v1/")).to_string();
    assert!(base("[a](/docs)").contains("href=\"https://api.example/docs\""));
    assert!(base("[c](d/../e)").contains("href=\"https://api.example/v1/e\""));
    assert!(!base("[c](//evil.example)").contains("href"));
    let guides = ["/docs/a/other", "/docs/x"].map(str::to_owned);
    let shelf = Shelf {
        path: "/docs/a/b",
        guides: &guides,
    };
    let guide = guide(
        "# One\n\n[in](#one) [next](other) [up](../x) [abs](/pricing) [file](./other.md#Some-part) [docs](/docs) [out](../../products) \
         [gone](missing.md) [none](/docs/none) [deep](other.md/x)",
        shelf,
    );
    let html = guide.html.as_str();
    for href in [
        "#doc-one",
        "/docs/a/other",
        "/docs/x",
        "/pricing",
        "/docs/a/other#doc-Some-part",
        "/docs",
        "/products",
    ] {
        assert!(html.contains(&format!("href=\"{href}\"")), "{href} in {html}");
    }
    assert_eq!(html.matches("<a ").count(), 7, "what is not there is text: {html}");
    assert!(html.contains("gone") && html.contains("none") && html.contains("deep"));
    assert_eq!(guide.headings[0].anchor, "doc-one");
}

#[test]
fn images_become_links() {
    let html = page("![logo](https://x.example/a.png) <img src=x onerror=alert(1)>");
    assert!(
        html.contains("<a href=\"https://x.example/a.png\"") && !html.contains("<img"),
        "{html}"
    );
}

#[test]
fn text_comes_back_without_markup() {
    assert_eq!(
        plain_text("A **bold** [link](https://x.example) &amp; `a<b`\n\n- x\n- y"),
        "A bold link & a<b x y"
    );
}

/// Every element and attribute of the markup is on the allow-list, and every link has an allowed scheme.
fn assert_clean(html: &str, of: &str) {
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        rest = &rest[at + 1..];
        let end = rest.find('>').unwrap_or(rest.len());
        let tag = rest[..end].trim_start_matches('/');
        let name = tag.split([' ', '/']).next().unwrap();
        assert!(sanitise::ELEMENTS.contains(&name), "{name:?} of {of:?} in {html}");
        let allowed = sanitise::ATTRIBUTES
            .iter()
            .find(|(element, _)| *element == name)
            .map_or(&[][..], |(_, a)| a);
        for attribute in tag[name.len()..]
            .split("\" ")
            .map(str::trim)
            .filter(|text| !text.is_empty())
        {
            let (key, value) = attribute.split_once("=\"").unwrap_or((attribute, ""));
            assert!(allowed.contains(&key) || key == "rel", "{key:?} of {of:?} in {html}");
            if key == "href" {
                let good = ["http://", "https://", "mailto:", "#", "/"]
                    .iter()
                    .any(|start| value.starts_with(start));
                assert!(good && !value.starts_with("//"), "{value:?} of {of:?}");
            }
        }
        rest = &rest[end..];
    }
}

#[test]
fn no_payload_leaves_an_element_or_attribute_outside_of_the_allow_list() {
    let payloads = [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "<svg onload=alert(1)><circle/></svg>",
        "<svg><style><img src=x onerror=alert(1)></style></svg>",
        "<math><mtext><table><mglyph><style><!--</style><img title=\"--&gt;&lt;img src=1 onerror=alert(1)&gt;\">",
        "<noscript><p title=\"</noscript><img src=x onerror=alert(1)>\">",
        "<form><math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>",
        "[x](javascript:alert(1))",
        "[x](JaVaScRiPt:alert(1))",
        "[x](java\nscript:alert(1))",
        "[x](&#106;avascript:alert(1))",
        "[x](data:text/html;base64,PHNjcmlwdD4=)",
        "[x](vbscript:msgbox(1))",
        "<javascript:alert(1)>",
        "<a href=\"javascript&colon;alert(1)\">x</a>",
        "<a href=' javascript:alert(1)'>x</a>",
        "<a href=\"\u{1}javascript:alert(1)\">x</a>",
        "<a href=\"//evil.example\">x</a>",
        "<a href=\"/\\evil.example\">x</a>",
        "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
        "<object data=x><embed src=x>",
        "<base href=https://evil.example>",
        "<link rel=stylesheet href=x><meta http-equiv=refresh content=0>",
        "<p style=\"position:fixed\" class=x id=main onclick=alert(1)>x</p>",
        "<details open ontoggle=alert(1)>x</details>",
        "<h2 id=main onclick=x>y</h2>",
        "# <img src=x onerror=alert(1)>",
        "```\"><script>alert(1)</script>\nx\n```",
        "| <script>alert(1)</script> |\n|---|\n| <img src=x onerror=y> |",
        "![x](javascript:alert(1)) ![\"onerror=alert(1)](https://x.example/\"onload=alert(1))",
        "[x]: javascript:alert(1)\n\n[x]",
        "<textarea></textarea><input autofocus onfocus=alert(1)><button formaction=javascript:x>",
        "<xmp><script>alert(1)</script></xmp><plaintext><b>",
        "<!--><script>alert(1)</script>-->",
        "<![CDATA[<script>alert(1)</script>]]>",
    ];
    for payload in payloads {
        for place in [
            Place::Page(2),
            Place::Field,
            Place::Guide(Shelf {
                path: "/docs/a",
                guides: &[],
            }),
        ] {
            for text in [
                payload.to_owned(),
                format!("words\n\n{payload}\n\nmore"),
                format!("words {payload} more"),
            ] {
                assert_clean(markdown(&text, place, Some("https://a.example/b")).as_str(), &text);
            }
        }
    }
}

#[test]
fn hostile_texts_cost_little() {
    let texts = [
        ">".repeat(100_000),
        "- ".repeat(50_000),
        "<div>".repeat(20_000),
        "<b><table>".repeat(1_400),
        "[".repeat(60_000),
        "*a **b ".repeat(10_000),
        "![](".repeat(16_000),
        "`".repeat(65_000),
        "| a ".repeat(15_000),
        format!("{}\n", "> - ".repeat(100)).repeat(160),
        "<".repeat(65_000),
        "&#x".repeat(20_000),
    ];
    for text in texts {
        let start = std::time::Instant::now();
        assert_clean(markdown(&text, Place::Page(2), None).as_str(), &text[..20]);
        let spent = start.elapsed();
        println!("{spent:.1?} for {:?}", &text[..20]);
        // Without optimisation.
        assert!(spent.as_secs() < 5, "{spent:?} for {:?}", &text[..20]);
    }
}
