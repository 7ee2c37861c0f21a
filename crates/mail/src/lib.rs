//! Mails: to an SMTP server, or as files of an outbox.
