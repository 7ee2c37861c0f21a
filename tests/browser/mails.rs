//! Mails of the tests themselves: a client that writes as SMTP clients do, and a server that must understand it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;

use crate::support::mime::Mail;
use crate::support::smtp::Catcher;

#[test]
fn the_catcher_keeps_a_mail_refuses_one_when_told_and_reads_what_people_read() {
    let catcher = Catcher::start();
    catcher.refuse(1);
    let stream = TcpStream::connect(catcher.url().trim_start_matches("smtp://")).unwrap();
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    let mut say = |text: &str| {
        if !text.is_empty() {
            (&stream).write_all(format!("{text}\r\n").as_bytes()).unwrap();
        }
        loop {
            let line = lines.next().unwrap().unwrap();
            if line.as_bytes()[3] == b' ' {
                return line[..3].to_owned();
            }
        }
    };
    let message = "Subject: =?utf-8?B?R3LDvMOfZQ==?= from\r\n =?utf-8?q?T=C3=B6ll_gate?=\r\nTo: Ann <ann@example.com>\r\n\
        Content-Type: multipart/alternative; boundary=\"b1\"\r\n\r\n--b1\r\nContent-Type: text/plain; charset=utf-8\r\n\
        Content-Transfer-Encoding: quoted-printable\r\n\r\n..a line =3D http://127.0.0.1:1/verify/abc=\r\ndef\r\n\
        --b1\r\nContent-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n\r\nPGI+\r\naGk8L2I+\r\n--b1--\r\n.";
    let envelope = ["MAIL FROM:<a@example.com>", "RCPT TO:<ann@example.com>", "DATA"];
    assert_eq!(["", "EHLO test"].map(&mut say), ["220", "250"]);
    assert_eq!(envelope.map(&mut say), ["250", "250", "354"]);
    assert_eq!(say(message), "451");
    assert_eq!(envelope.map(&mut say), ["250", "250", "354"]);
    assert_eq!(say(message), "250");
    assert_eq!(say("QUIT"), "221");
    assert_eq!((catcher.refused(), catcher.mails().len()), (1, 1));
    let caught = catcher.wait_for("ann@example.com", "Grüße");
    assert_eq!(caught.mail.subject, "Grüße from Töll gate");
    assert_eq!(caught.mail.text.trim(), ".a line = http://127.0.0.1:1/verify/abcdef");
    assert_eq!(caught.mail.html.trim(), "<b>hi</b>");
    assert_eq!(
        caught.mail.link("/verify/").unwrap(),
        "http://127.0.0.1:1/verify/abcdef"
    );
    assert!(caught.mail.is_to("ann@example.com") && Mail::parse("").subject.is_empty());
}
