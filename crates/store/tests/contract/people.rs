use domain::ids::{InvitationId, TokenId, UserId};
use domain::key::KeyHash;
use domain::subscription::Origin;
use store::testing::{START, on_both};
use store::{
    AccountRole, Actor, AttemptLimit, AuditFilter, Error, LinkPurpose, NewInvitation, NewSession, NewToken, NewUser,
    Page, Scope, StaffRole, Store,
};

use crate::fixture::{account, account_fields, at, change, two_accounts};

const ANN: UserId = UserId::from_bits(1);
const BOB: UserId = UserId::from_bits(2);

fn user(id: UserId, email: &str) -> NewUser {
    NewUser {
        id,
        email: email.to_owned(),
        name: "Ann".to_owned(),
        password_hash: Some("$argon2id$secret".to_owned()),
        staff_roles: vec![],
    }
}

async fn two_users(store: &Store) {
    let mut tx = change(store).await;
    tx.create_user(user(ANN, "Ann@Example.com")).await.unwrap();
    tx.create_user(user(BOB, "bob@example.com")).await.unwrap();
    assert_eq!(
        tx.commit().await.unwrap(),
        None,
        "people are no part of what gateways serve from"
    );
}

#[tokio::test]
async fn an_account_is_made_changed_and_deleted() {
    on_both(async |store| {
        let mut tx = change(&store).await;
        let made = tx
            .create_account(account(1), &account_fields("acme", Origin::File))
            .await
            .unwrap();
        assert_eq!(tx.account(account(1)).await.unwrap(), Some(made.clone()));
        assert_eq!(tx.file_account("acme").await.unwrap(), Some(made.clone()));
        tx.create_account(account(2), &account_fields("acme", Origin::Api))
            .await
            .unwrap();
        assert_eq!(tx.account_called("acme").await.unwrap(), Some(made.clone()));
        assert_eq!(tx.account_called("acne").await.unwrap(), None);
        tx.commit().await.unwrap();
        let mut tx = change(&store).await;
        let error = tx
            .create_account(account(3), &account_fields("acme", Origin::File))
            .await
            .unwrap_err();
        assert_eq!(error.conflict(), Some("accounts(name)"));
        tx.rollback().await.unwrap();

        let mut tx = change(&store).await;
        assert_eq!(tx.update_account(account(1), &made.fields).await.unwrap(), made);
        let mut fields = made.fields.clone();
        fields.country = None;
        fields.tax_ids = vec![];
        assert_eq!(tx.update_account(account(1), &fields).await.unwrap().fields, fields);
        tx.commit().await.unwrap();
        assert_eq!(
            store.account(Scope::All, account(1)).await.unwrap().unwrap().fields,
            fields
        );
        assert_eq!(
            store.accounts(Scope::All, &Page::first(1)).await.unwrap()[0].id,
            account(1)
        );
        assert_eq!(
            store
                .accounts(Scope::All, &Page::first(1).continued(account(1)))
                .await
                .unwrap()[0]
                .id,
            account(2)
        );

        let mut tx = change(&store).await;
        tx.delete_account(account(1)).await.unwrap();
        assert!(matches!(
            tx.delete_account(account(1)).await,
            Err(Error::Missing("account"))
        ));
        tx.commit().await.unwrap();
        assert!(
            store
                .account(Scope::All, account(1))
                .await
                .unwrap()
                .unwrap()
                .deleted_at
                .is_some()
        );
        assert_eq!(store.accounts(Scope::All, &Page::default()).await.unwrap().len(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_foreign_account_does_not_exist_for_a_bounded_caller() {
    on_both(async |store| {
        two_accounts(&store).await;
        let one = Scope::Account(account(1));
        assert!(store.account(one, account(1)).await.unwrap().is_some());
        assert_eq!(store.account(one, account(2)).await.unwrap(), None);
        assert_eq!(store.accounts(one, &Page::default()).await.unwrap().len(), 1);
        let mut tx = change(&store).await.within(one);
        let fields = account_fields("x", Origin::Api);
        assert!(matches!(
            tx.update_account(account(2), &fields).await,
            Err(Error::Missing("account"))
        ));
        assert!(matches!(
            tx.delete_account(account(2)).await,
            Err(Error::Missing("account"))
        ));
        assert!(
            matches!(tx.delete_account(account(1)).await, Err(Error::State(_))),
            "it still has a consumer"
        );
        tx.rollback().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn an_address_is_unique_in_upper_and_lower_case() {
    on_both(async |store| {
        two_users(&store).await;
        assert_eq!(
            store.user_by_email(" ANN@example.COM ").await.unwrap().unwrap().email,
            "Ann@Example.com"
        );
        let mut tx = change(&store).await;
        assert_eq!(tx.user_by_email("ann@example.com").await.unwrap().unwrap().id, ANN);
        let error = tx
            .create_user(user(UserId::from_bits(3), "ANN@EXAMPLE.COM"))
            .await
            .unwrap_err();
        assert_eq!(error.conflict(), Some("users(email_key)"));
    })
    .await;
}

#[tokio::test]
async fn a_person_changes_roles_password_and_name() {
    on_both(async |store| {
        two_users(&store).await;
        store.create_session(&session(9, ANN), START).await.unwrap();
        let mut tx = change(&store).await;
        tx.set_staff_roles(ANN, &[StaffRole::Admin, StaffRole::Finance])
            .await
            .unwrap();
        tx.verify_email(ANN).await.unwrap();
        tx.set_user_name(ANN, "Anna").await.unwrap();
        tx.set_password(ANN, "$argon2id$other").await.unwrap();
        assert!(matches!(
            tx.set_password(UserId::from_bits(77), "x").await,
            Err(Error::Missing("user"))
        ));
        tx.commit().await.unwrap();
        store.touch_login(ANN, at(7)).await.unwrap();
        let ann = store.user(ANN).await.unwrap().unwrap();
        assert_eq!(ann.staff_roles, [StaffRole::Admin, StaffRole::Finance]);
        assert_eq!(
            (ann.name.as_str(), ann.password_hash.as_deref()),
            ("Anna", Some("$argon2id$other"))
        );
        assert_eq!((ann.verified_at, ann.last_login_at), (Some(START), Some(at(7))));
        assert_eq!(store.staff(&Page::default()).await.unwrap().len(), 1);
        assert_eq!(
            store.session(KeyHash([9; 32]), at(1)).await.unwrap(),
            None,
            "a new password ends all sessions"
        );
        let events = store
            .audit_events(&AuditFilter::default(), &Page::default())
            .await
            .unwrap();
        assert!(
            !serde_json::to_string(&events).unwrap().contains("argon2id"),
            "a hash stands in the audit log"
        );
    })
    .await;
}

#[tokio::test]
async fn an_account_always_keeps_an_owner() {
    on_both(async |store| {
        two_accounts(&store).await;
        two_users(&store).await;
        let mut tx = change(&store).await;
        tx.set_member(account(1), ANN, AccountRole::Owner).await.unwrap();
        assert!(matches!(
            tx.set_member(account(1), ANN, AccountRole::Viewer).await,
            Err(Error::State(_))
        ));
        assert!(matches!(tx.remove_member(account(1), ANN).await, Err(Error::State(_))));
        tx.set_member(account(1), BOB, AccountRole::Owner).await.unwrap();
        assert_eq!(
            tx.set_member(account(1), ANN, AccountRole::Billing).await.unwrap().role,
            AccountRole::Billing
        );
        tx.set_member(account(2), ANN, AccountRole::Developer).await.unwrap();
        tx.commit().await.unwrap();

        let memberships = store.memberships(ANN).await.unwrap();
        assert_eq!(
            memberships
                .iter()
                .map(|one| (one.account_name.as_str(), one.role))
                .collect::<Vec<_>>(),
            [("acc1", AccountRole::Billing), ("acc2", AccountRole::Developer)]
        );
        assert_eq!(
            store
                .members(Scope::All, account(1), &Page::default())
                .await
                .unwrap()
                .len(),
            2
        );
        assert_eq!(
            store
                .members(Scope::Account(account(2)), account(1), &Page::default())
                .await
                .unwrap()
                .len(),
            0
        );
        let mut tx = change(&store).await.within(Scope::Account(account(2)));
        assert!(matches!(
            tx.set_member(account(1), ANN, AccountRole::Owner).await,
            Err(Error::Missing("account"))
        ));
        assert!(matches!(
            tx.remove_member(account(1), ANN).await,
            Err(Error::Missing("member"))
        ));
        assert_eq!(tx.member(account(1), ANN).await.unwrap(), None);
        tx.remove_member(account(2), ANN).await.unwrap();
        tx.commit().await.unwrap();
    })
    .await;
}

fn invitation(n: u8, to: Option<u128>) -> NewInvitation {
    NewInvitation {
        id: InvitationId::from_bits(u128::from(n)),
        account_id: to.map(account),
        email: "new@example.com".to_owned(),
        roles: vec!["developer".to_owned()],
        secret_hash: KeyHash([n; 32]),
        expires_at: at(100),
    }
}

#[tokio::test]
async fn an_invitation_is_accepted_once_before_it_expires() {
    on_both(async |store| {
        two_accounts(&store).await;
        let mut tx = change(&store).await;
        tx.create_invitation(&invitation(1, Some(1))).await.unwrap();
        tx.create_invitation(&invitation(2, None)).await.unwrap();
        tx.create_invitation(&invitation(3, Some(1))).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(
            store
                .invitations(Scope::All, Some(account(1)), at(1), &Page::default())
                .await
                .unwrap()
                .len(),
            2
        );
        assert_eq!(
            store
                .invitations(Scope::All, None, at(1), &Page::default())
                .await
                .unwrap()
                .len(),
            1
        );
        assert_eq!(
            store
                .invitations(Scope::Account(account(2)), Some(account(1)), at(1), &Page::default())
                .await
                .unwrap()
                .len(),
            0
        );
        assert_eq!(
            store.open_invitation(KeyHash([1; 32]), at(100)).await.unwrap(),
            None,
            "it has expired"
        );
        assert_eq!(
            store
                .open_invitation(KeyHash([1; 32]), at(99))
                .await
                .unwrap()
                .unwrap()
                .roles,
            ["developer"]
        );

        let mut tx = change(&store).await;
        assert_eq!(
            tx.accept_invitation(KeyHash([1; 32])).await.unwrap().account_id,
            Some(account(1))
        );
        assert!(matches!(
            tx.accept_invitation(KeyHash([1; 32])).await,
            Err(Error::Missing("invitation"))
        ));
        assert!(
            !tx.withdraw_invitation(InvitationId::from_bits(1)).await.unwrap(),
            "an accepted one stays"
        );
        assert!(tx.withdraw_invitation(InvitationId::from_bits(3)).await.unwrap());
        tx.commit().await.unwrap();
        let mut tx = change(&store).await.within(Scope::Account(account(2)));
        assert!(tx.create_invitation(&invitation(4, Some(1))).await.is_err());
        assert!(
            tx.create_invitation(&invitation(5, None)).await.is_err(),
            "a bounded caller invites nobody to staff"
        );
        assert!(!tx.withdraw_invitation(InvitationId::from_bits(2)).await.unwrap());
    })
    .await;
}

fn session(n: u8, user_id: UserId) -> NewSession {
    NewSession {
        secret_hash: KeyHash([n; 32]),
        user_id,
        csrf: "c".to_owned(),
        address: None,
        agent: None,
        expires_at: at(100),
    }
}

#[tokio::test]
async fn a_session_lives_until_it_expires_or_is_ended() {
    on_both(async |store| {
        two_users(&store).await;
        for n in 1..=3 {
            store.create_session(&session(n, ANN), START).await.unwrap();
        }
        store.create_session(&session(4, BOB), START).await.unwrap();
        store.touch_session(KeyHash([1; 32]), at(50), at(200)).await.unwrap();
        assert_eq!(
            store.session(KeyHash([1; 32]), at(150)).await.unwrap().unwrap().seen_at,
            at(50)
        );
        assert_eq!(store.session(KeyHash([2; 32]), at(100)).await.unwrap(), None);
        assert_eq!(store.sessions_of(ANN, at(1)).await.unwrap().len(), 3);
        store.end_session(KeyHash([2; 32])).await.unwrap();
        assert_eq!(
            store.prune_sessions(at(100)).await.unwrap(),
            2,
            "sessions 3 and 4 are over"
        );
        assert_eq!(store.end_sessions(ANN).await.unwrap(), 1);
        store.create_session(&session(5, BOB), START).await.unwrap();
        let mut tx = change(&store).await;
        tx.disable_user(BOB).await.unwrap();
        tx.commit().await.unwrap();
        store.create_session(&session(6, BOB), START).await.unwrap();
        assert_eq!(
            store.session(KeyHash([6; 32]), at(1)).await.unwrap(),
            None,
            "a disabled person has no session"
        );
    })
    .await;
}

#[tokio::test]
async fn a_person_ends_their_own_sessions_one_by_one_or_all_others() {
    on_both(async |store| {
        two_users(&store).await;
        for n in 1..=4 {
            store.create_session(&session(n, ANN), START).await.unwrap();
        }
        store.create_session(&session(5, BOB), START).await.unwrap();
        assert!(
            !store.end_session_of(ANN, KeyHash([5; 32])).await.unwrap(),
            "it is Bob's"
        );
        assert!(store.end_session_of(ANN, KeyHash([4; 32])).await.unwrap());
        assert!(!store.end_session_of(ANN, KeyHash([4; 32])).await.unwrap());
        assert_eq!(store.end_other_sessions(ANN, KeyHash([2; 32])).await.unwrap(), 2);
        let left = store.sessions_of(ANN, at(1)).await.unwrap();
        assert_eq!(
            left.iter().map(|one| one.secret_hash).collect::<Vec<_>>(),
            [KeyHash([2; 32])]
        );
        assert_eq!(store.sessions_of(BOB, at(1)).await.unwrap().len(), 1);
    })
    .await;
}

#[tokio::test]
async fn an_expired_link_is_known_for_a_month() {
    on_both(async |store| {
        two_users(&store).await;
        let secret = KeyHash([1; 32]);
        store
            .create_link(secret, ANN, LinkPurpose::VerifyEmail, START..at(100))
            .await
            .unwrap();
        let month = 30 * 86_400;
        for (seconds, is_known) in [(50, true), (101, true), (100 + month - 1, true), (100 + month, false)] {
            store.prune_sessions(at(seconds)).await.unwrap();
            let link = store.link(secret, LinkPurpose::VerifyEmail).await.unwrap();
            assert_eq!(
                link.map(|link| (link.user_id, link.expires_at)),
                is_known.then_some((ANN, at(100)))
            );
            assert_eq!(store.link(secret, LinkPurpose::ResetPassword).await.unwrap(), None);
        }
    })
    .await;
}

fn bound(n: u8, max: u32) -> AttemptLimit {
    AttemptLimit {
        subject: KeyHash([n; 32]),
        max,
        window_ms: 100_000,
    }
}

#[tokio::test]
async fn tries_are_counted_up_to_their_limit_within_a_window() {
    on_both(async |store| {
        let (one, both) = ([bound(1, 3)], [bound(1, 3), bound(2, 4)]);
        for second in [0, 10, 20] {
            assert_eq!(store.attempt("login", &both, at(second)).await.unwrap(), None);
        }
        assert_eq!(store.attempt("login", &both, at(30)).await.unwrap(), Some(at(100)));
        assert_eq!(
            store
                .attempts("login", KeyHash([2; 32]), START.plus_millis(-1))
                .await
                .unwrap(),
            3,
            "a try that was turned away is counted nowhere"
        );
        assert_eq!(
            store.attempt("reset", &one, at(30)).await.unwrap(),
            None,
            "another kind"
        );
        assert_eq!(store.attempt("login", &[bound(2, 4)], at(40)).await.unwrap(), None);
        assert_eq!(
            store.attempt("login", &[bound(2, 4)], at(50)).await.unwrap(),
            Some(at(100))
        );
        assert_eq!(store.attempt("login", &both, at(99)).await.unwrap(), Some(at(100)));
        assert_eq!(
            store.attempt("login", &both, at(100)).await.unwrap(),
            None,
            "the first has left the window"
        );
        assert_eq!(store.attempt("login", &one, at(101)).await.unwrap(), Some(at(110)));
        store.forget_attempts("login", KeyHash([1; 32]), at(100)).await.unwrap();
        assert_eq!(store.attempt("login", &one, at(101)).await.unwrap(), None);
        store.forget_attempts("login", KeyHash([1; 32]), START).await.unwrap();
        assert_eq!(
            store
                .attempts("login", KeyHash([1; 32]), START.plus_millis(-1))
                .await
                .unwrap(),
            0
        );
        assert_eq!(store.prune_attempts(at(1000)).await.unwrap(), 6);
    })
    .await;
}

#[tokio::test]
async fn concurrent_tries_do_not_pass_the_limit() {
    on_both(async |store| {
        let tries = (0..12).map(|_| {
            let store = store.clone();
            tokio::spawn(async move { store.attempt("login", &[bound(1, 5)], START).await.unwrap() })
        });
        let mut counted = 0;
        for tried in tries.collect::<Vec<_>>() {
            counted += u32::from(tried.await.unwrap().is_none());
        }
        assert_eq!(counted, 5);
    })
    .await;
}

#[tokio::test]
async fn a_person_sees_what_they_did_and_what_was_done_to_them() {
    on_both(async |store| {
        two_users(&store).await;
        let mut tx = store.change(Actor::user(ANN), START).await.unwrap();
        tx.set_user_name(BOB, "Robert").await.unwrap();
        tx.commit().await.unwrap();
        let of = async |person| {
            let filter = AuditFilter {
                person: Some(person),
                ..AuditFilter::default()
            };
            let events = store.audit_events(&filter, &Page::default()).await.unwrap();
            events.into_iter().map(|event| event.action).collect::<Vec<_>>()
        };
        assert_eq!(of(ANN).await, ["user.rename", "user.create"]);
        assert_eq!(of(BOB).await, ["user.rename", "user.create"]);
        assert!(of(UserId::from_bits(9)).await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_link_works_once_and_for_its_purpose_only() {
    on_both(async |store| {
        two_users(&store).await;
        let times = START..at(100);
        for n in 1..=2 {
            store
                .create_link(KeyHash([n; 32]), ANN, LinkPurpose::ResetPassword, times.clone())
                .await
                .unwrap();
        }
        let new = KeyHash([2; 32]);
        assert_eq!(
            store
                .use_link(KeyHash([1; 32]), LinkPurpose::ResetPassword, at(1))
                .await
                .unwrap(),
            None,
            "withdrawn by the second"
        );
        assert_eq!(
            store.use_link(new, LinkPurpose::VerifyEmail, at(1)).await.unwrap(),
            None
        );
        assert_eq!(
            store.use_link(new, LinkPurpose::ResetPassword, at(100)).await.unwrap(),
            None
        );
        assert_eq!(
            store.use_link(new, LinkPurpose::ResetPassword, at(99)).await.unwrap(),
            Some(ANN)
        );
        assert_eq!(
            store.use_link(new, LinkPurpose::ResetPassword, at(99)).await.unwrap(),
            None
        );
    })
    .await;
}

#[tokio::test]
async fn a_token_is_valid_until_it_expires_or_is_revoked() {
    on_both(async |store| {
        two_accounts(&store).await;
        let new = |n: u8, to: Option<u128>| NewToken {
            id: TokenId::from_bits(u128::from(n)),
            name: "ci".to_owned(),
            secret_hash: KeyHash([n; 32]),
            scopes: vec!["config:read".to_owned()],
            account_id: to.map(account),
            expires_at: (n == 2).then(|| at(100)),
        };
        let mut tx = change(&store).await;
        tx.create_token(&new(1, None)).await.unwrap();
        tx.create_token(&new(2, Some(1))).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(
            store
                .valid_token(KeyHash([2; 32]), at(99))
                .await
                .unwrap()
                .unwrap()
                .account_id,
            Some(account(1))
        );
        assert_eq!(store.valid_token(KeyHash([2; 32]), at(100)).await.unwrap(), None);
        store.touch_token(TokenId::from_bits(1), at(100)).await.unwrap();
        store.touch_token(TokenId::from_bits(1), at(130)).await.unwrap();
        assert_eq!(
            store
                .valid_token(KeyHash([1; 32]), at(1))
                .await
                .unwrap()
                .unwrap()
                .last_used_at,
            Some(at(100))
        );
        assert_eq!(store.tokens(Scope::All, &Page::default()).await.unwrap().len(), 2);
        assert_eq!(
            store
                .tokens(Scope::Account(account(1)), &Page::default())
                .await
                .unwrap()
                .len(),
            1
        );

        let mut tx = change(&store).await.within(Scope::Account(account(1)));
        assert!(matches!(
            tx.revoke_token(TokenId::from_bits(1)).await,
            Err(Error::Missing("token"))
        ));
        assert!(
            tx.create_token(&new(3, None)).await.is_err(),
            "a bounded caller makes no unbounded token"
        );
        assert!(tx.create_token(&new(3, Some(2))).await.is_err());
        tx.revoke_token(TokenId::from_bits(2)).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(store.valid_token(KeyHash([2; 32]), at(1)).await.unwrap(), None);
    })
    .await;
}
