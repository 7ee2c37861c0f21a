//! Listening, strict HTTP framing, deadlines, drain, health and problem bodies.
