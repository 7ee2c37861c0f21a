//! Clients that take their time, against the deadlines that face the public.

use std::time::{Duration, Instant};

use crate::world::World;

/// How long until the gateway ended a connection on which `drip` is sent every half second.
fn lifetime(world: &World, start: &[u8], drip: &[u8]) -> Duration {
    let mut wire = world.connect();
    let opened = Instant::now();
    wire.say(start);
    while opened.elapsed() < Duration::from_secs(40) {
        if wire.ends(Duration::from_millis(500)) {
            return opened.elapsed();
        }
        wire.say(drip);
    }
    panic!("still open: {}", wire.text());
}

#[test]
fn slow_clients_are_cut_off_while_others_are_served() {
    let world = &World::new();
    let cases: [(&str, &[u8], &[u8]); 4] = [
        ("silence", b"", b""),
        ("a head, byte by byte", b"GET /x HTTP/1.1\r\nHost: h\r\nX: ", b"x"),
        (
            "a body, byte by byte",
            b"POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\n",
            b"x",
        ),
        (
            "chunks, one by one",
            b"POST /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"1\r\nx\r\n",
        ),
    ];
    std::thread::scope(|scope| {
        for (name, start, drip) in cases {
            scope.spawn(move || {
                let lived = lifetime(world, start, drip);
                eprintln!("{name}: {lived:?}");
                assert!(
                    lived > Duration::from_secs(5) && lived < Duration::from_secs(25),
                    "{name}: {lived:?}"
                );
            });
        }
        scope.spawn(|| {
            for _ in 0..40 {
                assert_eq!(world.get("/x", "").statuses(), [200]);
                std::thread::sleep(Duration::from_millis(200));
            }
        });
    });
    // A body that was never completed is no request.
    assert_eq!(world.upstream.new_requests().len(), 40);
}
