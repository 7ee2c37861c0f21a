//! Paths, whatever their parameters are called.

/// A query that reads like a path, with the method before it.
pub(super) struct PathQuery {
    pub(super) method: Option<String>,
    pub(super) shape: String,
}

const METHODS: [&str; 9] = [
    "get", "put", "post", "delete", "options", "head", "patch", "trace", "query",
];

/// The path in a query, if there is one.
pub(super) fn query(text: &str) -> Option<PathQuery> {
    let text = text.trim();
    let (first, rest) = text.split_once(char::is_whitespace).unwrap_or(("", text));
    let method = METHODS.iter().find(|method| first.eq_ignore_ascii_case(method));
    let path = if method.is_some() { rest.trim() } else { text };
    if !path.contains('/') || path.contains(char::is_whitespace) || path.len() > 2_000 {
        return None;
    }
    // A whole address is as good as its path.
    let path = path.split_once("://").map_or(path, |(_, rest)| {
        rest.find('/').and_then(|at| rest.get(at..)).unwrap_or("/")
    });
    Some(PathQuery {
        method: method.map(|method| method.to_ascii_uppercase()),
        shape: shape(path),
    })
}

/// A path with its parameters made equal: `/users/{}` for `/users/{id}`, `/Users/:id` and `/users/{user}/`.
pub(super) fn shape(path: &str) -> String {
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let mut shape = String::new();
    for segment in path.split('/').filter(|segment| !segment.is_empty()) {
        shape.push('/');
        if segment.starts_with(':') && segment.len() > 1 {
            shape.push_str("{}");
            continue;
        }
        let mut inside = false;
        for character in segment.chars().flat_map(char::to_lowercase) {
            match character {
                '{' => {
                    inside = true;
                    shape.push_str("{}");
                }
                '}' => inside = false,
                _ if inside => {}
                other => shape.push(other),
            }
        }
    }
    shape
}

/// Whether a concrete path such as `/users/42` fits a shape, or a shape is the end of one.
pub(super) fn fits(shape: &str, asked: &str) -> bool {
    let (known, given): (Vec<&str>, Vec<&str>) = (shape.split('/').collect(), asked.split('/').collect());
    known.len() == given.len()
        && known
            .iter()
            .zip(&given)
            .all(|(known, given)| known == given || *known == "{}" && !given.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_do_not_matter() {
        for path in [
            "/users/{id}/keys",
            "/users/{user}/keys/",
            "users/:id/Keys",
            "/users/{x}/keys?a=b",
        ] {
            assert_eq!(shape(path), "/users/{}/keys", "{path}");
        }
        assert!(fits("/users/{}", "/users/42") && !fits("/users/{}", "/users"));
    }

    #[test]
    fn a_query_is_a_path_where_it_reads_like_one() {
        let found = query("get  /users/{id}").unwrap();
        assert_eq!(
            (found.method.as_deref(), found.shape.as_str()),
            (Some("GET"), "/users/{}")
        );
        assert_eq!(query("https://api.example/v1/users").unwrap().shape, "/v1/users");
        assert!(query("get users").is_none() && query("and / or").is_none());
    }
}
