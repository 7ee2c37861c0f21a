//! Where to go after the log-in: a path of this server, nothing else.

const LONGEST: usize = 2_000;

/// The path, if it is one. Browsers read `//host` and `/\host` as another host and drop tabs and line ends before they look.
pub(super) fn safe(next: &str) -> Option<&str> {
    let is_path = next.starts_with('/') && !next.starts_with("//");
    let is_plain = next.bytes().all(|byte| (0x21..0x7f).contains(&byte) && byte != b'\\');
    // Back to the log-in page would go round in circles.
    let is_door = next.starts_with("/login") || next.starts_with("/logout");
    (is_path && is_plain && !is_door && next.len() <= LONGEST).then_some(next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_of_this_server_are_followed() {
        for next in ["/app", "/app/apps/con_1/keys?x=1#a", "/", "/products/a%2Fb"] {
            assert_eq!(safe(next), Some(next));
        }
        for next in [
            "//evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "https://evil.example",
            "javascript:alert(1)",
            "/\t/evil.example",
            "/app\r\nSet-Cookie: a=b",
            "/\u{2028}x",
            "/a\\b",
            "evil",
            "",
            "/login?next=/app",
        ] {
            assert_eq!(safe(next), None, "{next:?}");
        }
        assert_eq!(safe(&format!("/{}", "a".repeat(LONGEST))), None);
    }
}
