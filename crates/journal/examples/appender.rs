//! Appends records until it is killed and prints the number of each one on standard output: the child of the crash tests.
//!
//! `appender FOLDER safe` prints after the append returned, as a gateway answers. `appender FOLDER careless` is the
//! control: it prints first and appends 32 records later.

use std::{
    error::Error,
    io::{Write as _, stdout},
    sync::Arc,
    thread,
    time::Duration,
};

use journal::{Full, Journal, Settings, Writer};

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(dir), Some(mode)) = (args.next(), args.next()) else {
        return Err("usage: appender FOLDER safe|careless".into());
    };
    let mut settings = Settings::new(dir, Arc::new(|| 0))?;
    settings.segment_bytes = 64 << 10;
    settings.fsync_every = Duration::from_millis(20);
    let journal = Journal::open(settings)?;
    let mut writer = journal.writer(0)?;
    writeln!(stdout(), "{}", writer.producer())?;
    let late = if mode == "careless" { 32 } else { 0 };
    for seq in 0_u64.. {
        if late > 0 {
            writeln!(stdout(), "{seq}")?;
        }
        if let Some(due) = seq.checked_sub(late) {
            append(&mut writer, due)?;
        }
        if late == 0 {
            writeln!(stdout(), "{seq}")?;
        }
    }
    Ok(())
}

fn append(writer: &mut Writer, seq: u64) -> Result<(), Box<dyn Error>> {
    let payload = format!(
        "record {seq} of {} {}",
        writer.producer(),
        "x".repeat(usize::try_from(seq % 200)?)
    );
    loop {
        match writer.reserve(payload.len()) {
            Ok(ticket) => {
                let appended = writer.append(ticket, payload.as_bytes())?;
                return if appended.seq == seq {
                    Ok(())
                } else {
                    Err("wrong number".into())
                };
            }
            Err(Full::Preparing) => thread::sleep(Duration::from_millis(1)),
            Err(full) => return Err(full.into()),
        }
    }
}
