//! Processes that a whole test binary shares and that end with it, however it ends.
//!
//! Statics are never dropped, so nobody would kill such a process. A shell holds it instead and waits for the end of its
//! own standard input, whose other end only this process has.

use std::path::Path;
use std::process::{Command, Stdio};

const GUARD: &str = r#""$@" & child=$!
exec >/dev/null
cat >/dev/null
kill "$child" 2>/dev/null; wait "$child"
[ -z "$GUARDED_FOLDER" ] || rm -rf -- "$GUARDED_FOLDER""#;

/// A command that runs `program`; whoever spawns it keeps the child's standard input. `folder` goes when the process
/// has ended.
pub fn command(program: &str, folder: Option<&Path>) -> Command {
    let mut command = Command::new("sh");
    command
        .args(["-c", GUARD, "guard", program])
        .env("GUARDED_FOLDER", folder.unwrap_or_else(|| Path::new("")))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    command
}
