//! What mails about people say. No mail holds a password, and none tells more than its reader knows already.

use super::invitations::Target;
use crate::letters::Letter;

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

/// The link that shows that an address is theirs.
pub(crate) fn verify(url: String) -> Letter {
    Letter {
        kind: "verify",
        subject: "Confirm your mail address".to_owned(),
        preview: "One click, then you can create apps and keys.".to_owned(),
        text: texts(&["Confirm that this address is yours. Then you can create apps and keys and subscribe to plans."]),
        action: Some(("Confirm this address".to_owned(), url)),
        after: texts(&[
            "The link works for two days. If you did not sign up, do nothing: without a confirmation the account can do nothing in your name.",
        ]),
        why: "You get this because someone signed up with this address.".to_owned(),
        ..Letter::default()
    }
}

/// Someone signed up with an address that has an account.
pub(crate) fn already_registered(log_in: &str, url: String) -> Letter {
    Letter {
        kind: "already-registered",
        subject: "You already have an account".to_owned(),
        preview: "Log in with this address, or set a new password.".to_owned(),
        text: vec![
            "Someone, probably you, signed up with this address. It has an account already, so nothing was changed."
                .to_owned(),
            format!("Log in at {log_in}. If you no longer know the password, set a new one:"),
        ],
        action: Some(("Set a new password".to_owned(), url)),
        after: texts(&["The link works for one hour. If it was not you, do nothing."]),
        why: "You get this because you have an account with this address.".to_owned(),
        ..Letter::default()
    }
}

/// The link that sets a new password.
pub(crate) fn reset(url: String) -> Letter {
    Letter {
        kind: "reset",
        subject: "Set a new password".to_owned(),
        preview: "The link works for one hour.".to_owned(),
        text: texts(&["Someone, probably you, wants to set a new password for this account."]),
        action: Some(("Set a new password".to_owned(), url)),
        after: texts(&[
            "The link works for one hour and once. If it was not you, do nothing: the old password goes on working.",
        ]),
        why: "You get this because you have an account with this address.".to_owned(),
        ..Letter::default()
    }
}

/// The password was changed.
pub(crate) fn password_changed(at: String, from: Option<&str>, forgot: &str) -> Letter {
    let mut facts = vec![("When".to_owned(), at)];
    facts.extend(from.map(|from| ("From".to_owned(), from.to_owned())));
    Letter {
        kind: "password-changed",
        subject: "Your password was changed".to_owned(),
        preview: "All other sessions were ended.".to_owned(),
        text: texts(&["The password of your account was changed and every other session was ended."]),
        facts,
        after: vec![format!("If it was not you, set a new password at once: {forgot}")],
        why: "You get this because you have an account with this address.".to_owned(),
        ..Letter::default()
    }
}

/// An invitation.
pub(crate) fn invitation(target: &Target, inviter: Option<&str>, url: String) -> Letter {
    let place = target.organisation.as_deref().unwrap_or("the staff of this portal");
    let who = inviter.filter(|name| !name.trim().is_empty());
    let text = match who {
        Some(name) => format!("{name} invites you to join {place} as {}.", target.roles),
        None => format!("You are invited to join {place} as {}.", target.roles),
    };
    Letter {
        kind: "invitation",
        subject: format!("You are invited to join {place}"),
        preview: text.clone(),
        text: vec![text],
        action: Some(("See the invitation".to_owned(), url)),
        after: texts(&["The link works for seven days and once. If you know nothing of it, do nothing."]),
        why: "You get this because someone wrote your address into an invitation.".to_owned(),
        ..Letter::default()
    }
}

/// Someone joined an organisation: for its owners.
pub(crate) fn member_joined(organisation: &str, (name, email): (&str, &str), role: &str, team: String) -> Letter {
    Letter {
        kind: "member-joined",
        subject: format!("{name} joined {organisation}"),
        preview: format!("As {role}."),
        text: vec![format!(
            "{name} accepted the invitation and is now a member of {organisation}."
        )],
        facts: vec![
            ("Address".to_owned(), email.to_owned()),
            ("Role".to_owned(), role.to_owned()),
        ],
        action: Some(("See the team".to_owned(), team)),
        why: format!("You get this because you are an owner of {organisation}."),
        ..Letter::default()
    }
}
