//! People of the tests: with a password, in organisations, with mails.

use std::time::Duration;

use argon2::{Algorithm, Argon2, Params, PasswordHasher as _, Version};
use domain::ids::{AccountId, UserId};
use domain::subscription::Origin;
use store::{AccountFields, AccountRole, Actor, NewUser, Scope, StaffRole};

use crate::browser::Browser;
use crate::support::{Reply, Server};

/// The password of everyone.
pub(crate) const PASSWORD: &str = "violet tractor sings at noon";

impl Browser {
    /// A browser in which this person is logged in.
    pub(crate) async fn of(server: &Server, email: &str) -> Self {
        let mut browser = Self::new(server);
        let reply = browser.log_in(email, PASSWORD).await;
        assert_eq!(reply.status, 303, "{}", reply.text);
        browser
    }

    pub(crate) async fn log_in(&mut self, email: &str, password: &str) -> Reply {
        self.post("/login", &[("email", email), ("password", password)]).await
    }
}

/// All `Set-Cookie` of an answer.
pub(crate) fn set_cookies(reply: &Reply) -> Vec<String> {
    let lines = reply.head.lines().filter_map(|line| line.split_once(": "));
    lines
        .filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie"))
        .map(|(_, value)| value.to_owned())
        .collect()
}

impl Reply {
    #[track_caller]
    pub(crate) fn goes_to(&self, path: &str) {
        assert_eq!(
            (self.status, self.header("location").as_deref()),
            (303, Some(path)),
            "{}",
            self.text
        );
    }

    #[track_caller]
    pub(crate) fn shows(&self, status: u16, part: &str) {
        assert_eq!(self.status, status, "{}", self.text);
        assert!(self.text.contains(part), "no {part} in {}", self.text);
    }
}

/// A page without what differs from one answer to the next.
pub(crate) fn bare(reply: &Reply) -> String {
    let mut text = String::new();
    for (index, piece) in reply.text.split("name=\"_csrf\" value=\"").enumerate() {
        text += if index == 0 {
            piece
        } else {
            piece.split_once('"').map_or("", |(_, rest)| rest)
        };
    }
    text
}

/// A hash that costs little, so that tests log in fast.
fn cheap_hash() -> String {
    let params = Params::new(8, 1, 1, None).unwrap();
    let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    argon.hash_password(PASSWORD.as_bytes()).unwrap().to_string()
}

impl Server {
    /// A person with a confirmed address and [`PASSWORD`].
    pub(crate) async fn person(&self, email: &str, staff_roles: Vec<StaffRole>) -> UserId {
        let id = UserId::new(self.clock.now(), domain::random::bytes());
        let new = NewUser {
            id,
            email: email.to_owned(),
            name: email.split('@').next().unwrap().to_owned(),
            password_hash: Some(cheap_hash()),
            staff_roles,
        };
        let mut tx = self
            .store
            .change(Actor::system("test"), self.clock.now())
            .await
            .unwrap();
        tx.create_user(new).await.unwrap();
        tx.verify_email(id).await.unwrap();
        tx.commit().await.unwrap();
        id
    }

    /// An organisation of these members; the people are made with it.
    pub(crate) async fn organisation(&self, name: &str, members: &[(&str, AccountRole)]) -> AccountId {
        let account = AccountId::new(self.clock.now(), domain::random::bytes());
        let fields = AccountFields {
            name: name.to_owned(),
            email: None,
            currency: "EUR".to_owned(),
            timezone: "Europe/Berlin".to_owned(),
            country: None,
            address: None,
            tax_ids: vec![],
            origin: Origin::Portal,
        };
        let mut tx = self
            .store
            .change(Actor::system("test"), self.clock.now())
            .await
            .unwrap();
        tx.create_account(account, &fields).await.unwrap();
        tx.commit().await.unwrap();
        for (email, role) in members {
            let id = match self.store.user_by_email(email).await.unwrap() {
                Some(user) => user.id,
                None => self.person(email, vec![]).await,
            };
            let mut tx = self
                .store
                .change(Actor::system("test"), self.clock.now())
                .await
                .unwrap();
            tx.set_member(account, id, *role).await.unwrap();
            tx.commit().await.unwrap();
        }
        account
    }

    /// The role of a person in an organisation.
    pub(crate) async fn role(&self, account: AccountId, email: &str) -> Option<AccountRole> {
        let members = self
            .store
            .members(Scope::All, account, &store::Page::default())
            .await
            .unwrap();
        members.into_iter().find(|one| one.email == email).map(|one| one.role)
    }

    /// The mails of a kind to an address, oldest first.
    pub(crate) async fn mails(&self, kind: &str, to: &str) -> Vec<String> {
        self.mailer.idle().await;
        let Ok(entries) = std::fs::read_dir(self.data.path().join("outbox")) else {
            return Vec::new();
        };
        let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        files.sort();
        let of_kind = files
            .iter()
            .filter(|path| path.to_str().unwrap().ends_with(&format!("-{kind}.eml")));
        of_kind
            .map(|path| std::fs::read_to_string(path).unwrap())
            .filter(|text| text.contains(&format!("To: {to}\r\n")))
            .collect()
    }

    /// The newest mail of a kind to an address; waits for it.
    pub(crate) async fn mail(&self, kind: &str, to: &str) -> String {
        self.mail_within(kind, to, 5).await
    }

    /// The same; waits for so many seconds.
    pub(crate) async fn mail_within(&self, kind: &str, to: &str, seconds: u32) -> String {
        for _ in 0..seconds * 40 {
            if let Some(mail) = self.mails(kind, to).await.pop() {
                return mail;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("no mail {kind} to {to}")
    }

    /// The path of the link below `start` in the newest mail.
    pub(crate) async fn link(&self, kind: &str, to: &str, start: &str) -> String {
        let mail = self.mail(kind, to).await;
        let (_, rest) = mail.split_once(start).unwrap_or_else(|| panic!("no {start} in {mail}"));
        let secret: String = rest
            .chars()
            .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
            .collect();
        format!("{start}{secret}")
    }

    pub(crate) fn later(&self, millis: i64) {
        let to = self.clock.now().plus_millis(millis);
        self.clock.advance(to, domain::clock::Freeze::Stand).unwrap();
    }
}
