//! Prints the OpenAPI document of the Admin API.

use std::io::Write as _;

fn main() -> std::io::Result<()> {
    std::io::stdout().write_all(portal::openapi_document().as_bytes())
}
