use serde_json::json;

use super::*;

fn bundled(files: &[(&str, &str)]) -> Bundled {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), files);
    bundle(&folder.path().join("api/openapi.yaml"), &Limits::DESCRIPTION).unwrap()
}

fn write(folder: &Path, files: &[(&str, &str)]) {
    for (name, text) in files {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
}

#[test]
fn paths_are_put_in_and_schemas_become_components() {
    let result = bundled(&[
        (
            "api/openapi.yaml",
            "openapi: 3.1.0\npaths:\n  /a:\n    $ref: paths/a.yaml\n  /b:\n    $ref: paths/a.yaml\n",
        ),
        (
            "api/paths/a.yaml",
            "get:\n  responses:\n    '200': {content: {x/y: {schema: {$ref: ../s/Order%20One.yaml}}}}\n",
        ),
        (
            "api/s/Order One.yaml",
            "properties: {next: {$ref: 'Order One.yaml'}, kind: {$ref: '#/$defs/Kind'}}\n$defs: {Kind: {type: string}}\n",
        ),
    ]);
    assert_eq!(result.faults, []);
    assert_eq!(
        result.value,
        json!({
            "openapi": "3.1.0",
            "paths": {
                "/a": {"get": {"responses": {"200": {"content": {"x/y": {"schema": {"$ref": "#/components/schemas/Order_One"}}}}}}},
                "/b": {"$ref": "#/paths/~1a"}
            },
            "components": {"schemas": {
                "Order_One": {
                    "properties": {
                        "next": {"$ref": "#/components/schemas/Order_One"},
                        "kind": {"$ref": "#/components/schemas/Kind"}
                    },
                    "$defs": {"Kind": {"type": "string"}}
                },
                "Kind": {"type": "string"}
            }}
        })
    );
}

#[test]
fn a_component_that_only_names_a_file_keeps_its_name_and_no_name_is_taken_twice() {
    let result = bundled(&[
        (
            "api/openapi.yaml",
            "openapi: 3.0.0\npaths: {/a: {get: {responses: {'200': {$ref: r.yaml}}}}}\n\
             components: {schemas: {Pet: {$ref: pet.yaml}, dog: {type: object}}}\n",
        ),
        (
            "api/r.yaml",
            "description: d\ncontent: {x/y: {schema: {oneOf: [{$ref: pet.yaml}, {$ref: dog.yaml}, {$ref: 'openapi.yaml#/components/schemas/dog'}]}}}\n",
        ),
        (
            "api/pet.yaml",
            "discriminator: {propertyName: k, mapping: {d: ./dog.yaml, p: Pet}}\ndescription: {$ref: pet.md}\n",
        ),
        ("api/dog.yaml", "type: string\nexample: {$ref: nothing.yaml}\n"),
        ("api/pet.md", "# Pet\n"),
    ]);
    assert_eq!(result.faults, []);
    let schemas = &result.value["components"]["schemas"];
    assert_eq!(
        schemas["Pet"]["discriminator"]["mapping"],
        json!({"d": "#/components/schemas/dog2", "p": "Pet"})
    );
    assert_eq!(schemas["Pet"]["description"], "# Pet\n");
    assert_eq!(schemas["dog"], json!({"type": "object"}));
    assert_eq!(
        schemas["dog2"],
        json!({"type": "string", "example": {"$ref": "nothing.yaml"}})
    );
    assert_eq!(
        result.value["components"]["responses"]["r"]["content"]["x/y"]["schema"]["oneOf"],
        json!([
            {"$ref": "#/components/schemas/Pet"},
            {"$ref": "#/components/schemas/dog2"},
            {"$ref": "#/components/schemas/dog"}
        ])
    );
}

#[test]
fn nothing_outside_of_the_folder_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret.yaml");
    let references = [
        ("../secret.yaml", "out of the folder"),
        ("../other/secret.yaml", "out of the folder"),
        ("%2e%2e/secret.yaml", "out of the folder"),
        ("sub/../../secret.yaml", "out of the folder"),
        ("link.yaml", "out of the folder"),
        ("linked/secret.yaml", "out of the folder"),
        (secret.to_str().unwrap(), "out of the folder"),
        ("file:///etc/passwd", "address"),
        ("http://169.254.169.254/latest", "address"),
        ("HTTPS://example.com/x.yaml", "address"),
        ("//example.com/x.yaml", "address"),
        ("missing.yaml", "no readable file"),
        ("sub", "no readable file"),
        ("broken.yaml", "line 1, column"),
        ("good.yaml#/nothing", "nothing in its file"),
        ("", "nothing"),
    ];
    let items: Vec<String> = references
        .iter()
        .map(|(text, _)| format!("    - $ref: '{text}'\n"))
        .collect();
    let document = format!(
        "openapi: 3.1.0\ncomponents: {{schemas: {{A: {{allOf:\n{}    }}}}}}\n",
        items.concat()
    );
    let document = document
        .replace("    - ", "      ")
        .replace("'\n", "'},\n")
        .replace("$ref", "{$ref")
        .replace("allOf:\n", "allOf: [\n");
    let document = document.replace("    }}}", "    ]}}}");
    write(
        folder.path(),
        &[
            ("secret.yaml", "secret: SECRET\n"),
            ("other/secret.yaml", "secret: SECRET\n"),
            ("api/openapi.yaml", &document),
            ("api/sub/x.yaml", "a: 1\n"),
            ("api/broken.yaml", "a: b: c\n"),
            ("api/good.yaml", "a: 1\n"),
        ],
    );
    std::os::unix::fs::symlink(&secret, folder.path().join("api/link.yaml")).unwrap();
    std::os::unix::fs::symlink(folder.path().join("other"), folder.path().join("api/linked")).unwrap();
    let result = bundle(&folder.path().join("api/openapi.yaml"), &Limits::DESCRIPTION).unwrap();
    assert!(!result.value.to_string().contains("SECRET"));
    assert_eq!(result.faults.len(), references.len(), "{:#?}", result.faults);
    for ((at, (text, reason)), fault) in references.iter().enumerate().zip(&result.faults) {
        assert!(fault.reason.contains(reason), "{text}: {fault}");
        assert_eq!(fault.pointer, format!("/components/schemas/A/allOf/{at}/$ref"));
        assert_eq!(
            usize::try_from(fault.position.unwrap().line).unwrap(),
            at + 3,
            "{fault}"
        );
        assert_eq!(result.value["components"]["schemas"]["A"]["allOf"][at]["$ref"], **text);
    }
}

#[test]
fn files_that_multiply_each_other_stay_small() {
    let mut files: Vec<(String, String)> = (0..40)
        .map(|n| {
            let next = format!("{{$ref: s{}.yaml}}", n + 1);
            (
                format!("api/s{n}.yaml"),
                format!("properties: {{a: {next}, b: {next}, c: {next}}}\n"),
            )
        })
        .collect();
    files.push(("api/s40.yaml".to_owned(), "type: string\n".to_owned()));
    files.push((
        "api/openapi.yaml".to_owned(),
        "openapi: 3.1.0\nx: {schema: {$ref: s0.yaml}}\n".to_owned(),
    ));
    let files: Vec<(&str, &str)> = files
        .iter()
        .map(|(name, text)| (name.as_str(), text.as_str()))
        .collect();
    let result = bundled(&files);
    assert_eq!(result.faults, []);
    assert_eq!(result.value["components"]["schemas"].as_object().unwrap().len(), 41);
    assert!(result.value.to_string().len() < 10_000);
}

#[test]
fn paths_in_a_circle_of_files_end() {
    let result = bundled(&[
        ("api/openapi.yaml", "openapi: 3.1.0\npaths: {/a: {$ref: a.yaml}}\n"),
        ("api/a.yaml", "$ref: b.yaml\n"),
        ("api/b.yaml", "$ref: a.yaml\n"),
    ]);
    assert_eq!(result.faults.len(), 1, "{:?}", result.faults);
    assert_eq!(
        result.faults[0].reason,
        "b.yaml: the reference \"a.yaml\" leads back to itself"
    );
    assert_eq!(crate::openapi::read(&result.value).operations, []);
    let own = bundled(&[
        (
            "api/openapi.yaml",
            "openapi: 3.1.0\ncomponents: {schemas: {A: {$ref: a.yaml}}}\nx: {schema: {$ref: b.yaml}}\n",
        ),
        ("api/a.yaml", "$ref: a.yaml\n"),
        ("api/b.yaml", "$ref: b.yaml\n"),
    ]);
    assert_eq!(own.faults.len(), 2, "{:?}", own.faults);
}

#[test]
fn a_document_that_is_no_file_or_no_document_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let missing = bundle(&folder.path().join("none.yaml"), &Limits::DESCRIPTION).unwrap_err();
    assert!(missing.to_string().contains("none.yaml cannot be read"), "{missing}");
    write(folder.path(), &[("page.html", "<html>")]);
    let page = bundle(&folder.path().join("page.html"), &Limits::DESCRIPTION).unwrap_err();
    assert!(matches!(page, Error::Syntax { .. }), "{page}");
    let small = Limits {
        bytes: 3,
        ..Limits::DESCRIPTION
    };
    assert!(bundle(&folder.path().join("page.html"), &small).is_err());
}
