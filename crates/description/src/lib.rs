//! A lenient view over OpenAPI documents of any version.
