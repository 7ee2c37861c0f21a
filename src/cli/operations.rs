//! Stand-in.
use super::{End, ProcessOptions};
use crate::config::Environment;
macro_rules! o { ($($n:ident)*) => {$(#[derive(Debug, clap::Args)] pub(crate) struct $n {})*} }
o!(BackupOptions RestoreOptions WhyOptions OpenapiOptions);
pub(crate) fn backup(_: &BackupOptions, _: &Environment) -> End {
    End::Differences
}
pub(crate) fn restore(_: &RestoreOptions) -> End {
    End::Differences
}
pub(crate) fn why(_: &WhyOptions, _: &Environment) -> End {
    End::Differences
}
pub(crate) fn migrate(_: &ProcessOptions, _: &Environment) -> End {
    End::Differences
}
pub(crate) fn openapi(_: &OpenapiOptions) -> End {
    End::Differences
}
