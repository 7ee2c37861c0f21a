//! Stand-in.
use super::End;
use crate::config::Environment;
macro_rules! o { ($($n:ident)*) => {$(#[derive(Debug, clap::Args)] pub(crate) struct $n {})*} }
o!(ApplyOptions DiffOptions ExportOptions LintOptions ImportOptions);
pub(crate) fn apply(_: &ApplyOptions, _: &Environment) -> End {
    End::Differences
}
pub(crate) fn diff(_: &DiffOptions, _: &Environment) -> End {
    End::Differences
}
pub(crate) fn export(_: &ExportOptions, _: &Environment) -> End {
    End::Differences
}
pub(crate) fn lint(_: &LintOptions, _: &Environment) -> End {
    End::Differences
}
pub(crate) fn import(_: &ImportOptions) -> End {
    End::Differences
}
