//! Reference documentation from OpenAPI documents of any version.
