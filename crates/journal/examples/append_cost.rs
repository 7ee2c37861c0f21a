//! Measures what an append costs: `cargo run --release -p tollgate-journal --example append_cost [FOLDER]`.

use std::{
    error::Error,
    path::PathBuf,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use journal::{Journal, Settings, Ticket, Writer};

const PAYLOAD: [u8; 160] = [7; 160];
const RECORDS: u32 = 1_000_000;

fn main() -> Result<(), Box<dyn Error>> {
    let dir = std::env::args()
        .nth(1)
        .map_or_else(|| std::env::temp_dir().join("journal-append-cost"), PathBuf::from);
    let journal = Journal::open(Settings::new(&dir, Arc::new(|| 0))?)?;
    let mut writer = journal.writer(0)?;
    let singly = measure(&journal, &mut writer, 1)?;
    let together = measure(&journal, &mut writer, 16)?;
    println!(
        "one by one {singly:?} a record, sixteen together {together:?} a record (160 bytes, {})",
        dir.display()
    );
    writer.close()?;
    journal.close()?;
    std::fs::remove_dir_all(&dir)?;
    Ok(())
}

/// The time of one record, waits for the next segment left out.
fn measure(journal: &Journal, writer: &mut Writer, group: u32) -> Result<Duration, Box<dyn Error>> {
    let mut spent = Duration::ZERO;
    let mut left = RECORDS;
    while left > 0 {
        let start = Instant::now();
        let Some(done) = turn(writer, group)? else {
            thread::sleep(Duration::from_millis(1));
            continue;
        };
        spent += start.elapsed();
        left = left.saturating_sub(done);
        if left % 65_536 < 16 {
            journal.free_below(writer.producer(), writer.next_seq())?;
        }
    }
    Ok(spent / RECORDS)
}

/// Appends one group; `None` when there is no room at the moment.
fn turn(writer: &mut Writer, group: u32) -> Result<Option<u32>, Box<dyn Error>> {
    if group == 1 {
        let Ok(ticket) = writer.reserve(PAYLOAD.len()) else {
            return Ok(None);
        };
        writer.append(ticket, &PAYLOAD)?;
        return Ok(Some(1));
    }
    let tickets: Result<Vec<Ticket>, _> = (0..group).map(|_| writer.reserve(PAYLOAD.len())).collect();
    let Ok(tickets) = tickets else {
        return Ok(None);
    };
    writer.append_many(tickets.into_iter().map(|ticket| (ticket, &PAYLOAD[..])))?;
    Ok(Some(group))
}
