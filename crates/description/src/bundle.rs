//! In preparation.
use crate::*;
/// x
pub struct Bundled { /// x
 pub value: serde_json::Value, /// x
 pub faults: Vec<Fault> }
/// x
pub fn bundle(_path: &std::path::Path, limits: &located::Limits) -> Result<Bundled, located::SyntaxError> { let d = located::parse_one(&std::fs::read(_path).unwrap_or_default(), limits)?; Ok(Bundled { value: d.into_value(), faults: Vec::new() }) }
