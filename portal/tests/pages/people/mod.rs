//! People and their ways in: sign-up, log-in, links from mails, team, settings, security.

mod forms;
mod invitations;
mod passwords;
mod sessions;
mod settings;
mod sign_up;
mod team;
mod world;
