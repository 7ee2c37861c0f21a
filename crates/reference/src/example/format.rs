//! Texts of known formats.

/// A text of a format; none for formats that say nothing about the text.
pub(super) fn text(format: &str) -> Option<&'static str> {
    Some(match format.to_ascii_lowercase().replace('_', "-").as_str() {
        "date" => "2026-01-31",
        "date-time" | "datetime" => "2026-01-31T09:30:00Z",
        "time" => "09:30:00Z",
        "partial-time" => "09:30:00",
        "duration" => "P1D",
        "email" | "idn-email" => "ada@example.com",
        "hostname" | "idn-hostname" => "example.com",
        "ipv4" | "ip" => "192.0.2.1",
        "ipv6" => "2001:db8::1",
        "cidr" => "192.0.2.0/24",
        "uri" | "url" | "iri" => "https://example.com/",
        "uri-reference" | "iri-reference" => "/path",
        "uri-template" => "/items/{id}",
        "uuid" | "guid" => "3fa85f64-5717-4562-b3fc-2c963f66afa6",
        "json-pointer" => "/a/b",
        "relative-json-pointer" => "0/a",
        "regex" => "^a+$",
        "byte" | "base64" | "base64url" => "aGVsbG8=",
        "binary" => "(file)",
        "password" => "correct horse battery",
        "color" | "colour" => "#336699",
        "phone" | "e164" => "+4915112345678",
        "currency" => "EUR",
        "country" => "DE",
        "decimal" => "12.50",
        "int64" | "int32" | "uint64" | "uint32" => "1",
        _ => return None,
    })
}
