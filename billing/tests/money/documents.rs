//! What may happen to documents, on both databases.

use domain::invoice::InvoiceView;
use serde_json::json;
use store::billing::{BillMode, BillOrder, InvoiceFilter, NewCreditNote, NewPayment};
use store::{Error, Page, Scope, args};

use crate::world::{Customer, World, at, calls, order};

const NOW: &str = "2026-04-02T00:00:00Z";

async fn one_invoice(store: store::Store) -> (World, Customer, InvoiceView) {
    let world = World::on(store).await;
    let price = json!({
        "currency": "EUR", "recurring": { "amount": "10", "every": "month", "in": "arrears" },
        "usage": [{ "meter": "requests", "model": "unit", "unit": "1" }],
    });
    let plan = world.plan(price, json!([])).await;
    let customer = world.subscribe(plan, "EUR", "UTC", "2026-03-01T00:00:00Z").await;
    world.uses(customer, "2026-03-15T12:00:00Z", &[calls(20)]).await;
    world.run("2026-04-01T00:00:00Z").await;
    let invoice = world.invoices(customer).await.remove(0);
    assert_eq!((invoice.total, invoice.number.as_deref()), (3_000, Some("INV-000001")));
    (world, customer, invoice)
}

fn payment(amount: i64) -> NewPayment {
    NewPayment {
        amount,
        method: "bank_transfer".to_owned(),
        reference: Some("ref".to_owned()),
        received_at: None,
    }
}

fn credit(lines: &[(u32, i64)]) -> NewCreditNote {
    NewCreditNote {
        reason: "an outage".to_owned(),
        lines: lines.to_vec(),
    }
}

#[tokio::test]
async fn payments_add_up_and_never_exceed_what_is_due() {
    store::testing::on_both(async |store| {
        let (world, customer, invoice) = one_invoice(store).await;
        let order = order(at(NOW));
        let pay = async |amount| {
            world
                .store
                .record_payment(Scope::All, invoice.id, &payment(amount), &order)
                .await
        };
        assert!(matches!(pay(3_001).await, Err(Error::State(_))));
        assert!(matches!(pay(0).await, Err(Error::State(_))));
        pay(1_000).await.unwrap();
        assert_eq!(world.invoice(invoice.id).await.amount_due, 2_000);
        pay(2_000).await.unwrap();
        assert_eq!(world.invoice(invoice.id).await.status.as_str(), "paid");
        assert!(matches!(pay(1).await, Err(Error::State(_))));
        let void = world.store.void_invoice(Scope::All, invoice.id, "wrong", &order).await;
        assert!(matches!(void, Err(Error::State(_))));
        world.books_balance(customer).await;
    })
    .await;
}

#[tokio::test]
async fn a_credit_note_never_takes_more_than_remains_of_a_line() {
    store::testing::on_both(async |store| {
        let (world, customer, invoice) = one_invoice(store).await;
        let order = order(at(NOW));
        let give = async |lines: &[(u32, i64)]| {
            world
                .store
                .create_credit_note(Scope::All, invoice.id, &credit(lines), &order)
                .await
        };
        for wrong in [
            &[(1, 1_001)][..],
            &[(3, 1)],
            &[(1, 0)],
            &[(1, -5)],
            &[(1, 1), (1, 1)],
            &[],
        ] {
            assert!(matches!(give(wrong).await, Err(Error::State(_))), "{wrong:?}");
        }
        give(&[(1, 400), (2, 100)]).await.unwrap();
        assert!(matches!(give(&[(1, 601)]).await, Err(Error::State(_))));
        world
            .store
            .record_payment(Scope::All, invoice.id, &payment(2_500), &order)
            .await
            .unwrap();
        give(&[(1, 600)]).await.unwrap();
        let view = world.invoice(invoice.id).await;
        assert_eq!(
            (view.credited, view.amount_due, view.status.as_str()),
            (1_100, 0, "paid")
        );
        let balance = world.store.balances(Scope::All, customer.account).await.unwrap();
        assert_eq!((balance[0].receivable, balance[0].credit), (0, 600));
        world.books_balance(customer).await;
    })
    .await;
}

#[tokio::test]
async fn a_void_invoice_counts_no_more_and_is_billed_again_only_by_a_reissue() {
    store::testing::on_both(async |store| {
        let (world, customer, invoice) = one_invoice(store).await;
        let again = BillOrder {
            mode: BillMode::Reissue(invoice.id),
            ..order(at(NOW))
        };
        let bill = world.store.account_bill(customer.account).await.unwrap().unwrap();
        assert!(matches!(
            world.store.bill_account(&bill, &again).await,
            Err(Error::State(_))
        ));
        world
            .store
            .void_invoice(Scope::All, invoice.id, "wrong address", &order(at(NOW)))
            .await
            .unwrap();
        let view = world.invoice(invoice.id).await;
        assert_eq!((view.status.as_str(), view.amount_due), ("void", 0));
        assert!(view.notes.iter().any(|note| note == "Void: wrong address"));
        world.books_balance(customer).await;
        world.run(NOW).await;
        world.uses(customer, "2026-03-20T00:00:00Z", &[calls(1)]).await;
        world.run("2026-04-03T00:00:00Z").await;
        assert_eq!(world.charged(customer).await, 0, "nothing bills it again by itself");
        let bill = world.store.account_bill(customer.account).await.unwrap().unwrap();
        world.store.bill_account(&bill, &again).await.unwrap();
        assert_eq!(world.charged(customer).await, 3_100, "with what came late");
        assert!(matches!(
            world.store.bill_account(&bill, &again).await,
            Err(Error::State(_))
        ));
        assert_eq!(world.invoices(customer).await[1].number.as_deref(), Some("INV-000002"));
        world.books_balance(customer).await;
    })
    .await;
}

#[tokio::test]
async fn a_draft_has_no_number_until_it_is_issued() {
    store::testing::on_both(async |store| {
        let world = World::on(store).await;
        let price = json!({ "currency": "EUR", "usage": [{ "meter": "requests", "model": "unit", "unit": "1" }] });
        let plan = world.plan(price, json!([])).await;
        let customer = world.subscribe(plan, "EUR", "UTC", "2026-03-01T00:00:00Z").await;
        world.uses(customer, "2026-03-15T12:00:00Z", &[calls(20)]).await;
        let bill = world.store.account_bill(customer.account).await.unwrap().unwrap();
        let draft = BillOrder {
            finalize: false,
            ..order(at("2026-04-01T00:00:00Z"))
        };
        let made = world.store.bill_account(&bill, &draft).await.unwrap().invoices;
        world.run(NOW).await;
        let view = world.invoice(made[0]).await;
        assert_eq!(
            (view.status.as_str(), view.phase.as_deref(), view.number),
            ("draft", Some("rated"), None)
        );
        assert!(
            world
                .store
                .balances(Scope::All, customer.account)
                .await
                .unwrap()
                .is_empty()
        );
        world
            .store
            .finalize_invoice(Scope::All, made[0], &order(at(NOW)))
            .await
            .unwrap();
        let again = world.store.finalize_invoice(Scope::All, made[0], &order(at(NOW))).await;
        assert!(matches!(again, Err(Error::State(_))));
        let view = world.invoice(made[0]).await;
        assert_eq!((view.status.as_str(), view.phase, view.total), ("open", None, 2_000));
        world.books_balance(customer).await;
    })
    .await;
}

#[tokio::test]
async fn nothing_of_an_issued_document_can_be_changed() {
    store::testing::on_both(async |store| {
        let (world, customer, invoice) = one_invoice(store).await;
        let order = order(at(NOW));
        world.store.record_payment(Scope::All, invoice.id, &payment(100), &order).await.unwrap();
        world.store.create_credit_note(Scope::All, invoice.id, &credit(&[(1, 10)]), &order).await.unwrap();
        for statement in [
            "UPDATE invoice SET total = total + 1, subtotal = subtotal + 1",
            "UPDATE invoice SET number = 'X'",
            "DELETE FROM invoice",
            "UPDATE invoice_line SET amount = 0",
            "DELETE FROM invoice_line",
            "INSERT INTO invoice_line (invoice, n, id, charge_line, description, quantity, unit_label, tiers_json, amount, period_start, period_end)
             SELECT invoice, 99, 'il_x', charge_line, '', '', '', '[]', 1, 0, 0 FROM invoice_line WHERE n = 1",
            "UPDATE invoice_event SET status = 'paid'",
            "DELETE FROM invoice_event",
            "UPDATE rating_run SET kind = 'interim'",
            "DELETE FROM rating_run",
            "UPDATE charge_line SET exact_amount = '0'",
            "DELETE FROM charge_line",
            "UPDATE credit_note SET reason = ''",
            "DELETE FROM credit_note",
            "UPDATE credit_note_line SET amount = 1",
            "DELETE FROM credit_note_line",
            "UPDATE payment SET amount = 1",
            "DELETE FROM payment",
            "UPDATE ledger_entry SET amount = 0",
            "DELETE FROM ledger_entry",
            "UPDATE rated_period SET period_end = 0",
            "DELETE FROM rated_period",
        ] {
            let outcome = world.store.ledger.execute(store::AssertSqlSafe(statement), args![]).await;
            assert!(matches!(outcome, Err(Error::Immutable { .. })), "{statement}: {outcome:?}");
        }
        world.books_balance(customer).await;
    })
    .await;
}

#[expect(
    clippy::too_many_lines,
    reason = "one account tries every method on another's invoices"
)]
#[tokio::test]
async fn the_invoices_of_another_account_do_not_exist() {
    store::testing::on_both(async |store| {
        let (world, customer, invoice) = one_invoice(store).await;
        let own = Scope::Account(customer.account);
        let other = Scope::Account(domain::ids::AccountId::from_bits(7));
        let order = order(at(NOW));
        assert!(world.store.invoice(own, invoice.id, at(NOW)).await.unwrap().is_some());
        assert!(world.store.invoice(other, invoice.id, at(NOW)).await.unwrap().is_none());
        let page = Page::default();
        assert_eq!(
            world
                .store
                .invoices(own, InvoiceFilter::default(), &page)
                .await
                .unwrap()
                .len(),
            1
        );
        assert!(
            world
                .store
                .invoices(other, InvoiceFilter::default(), &page)
                .await
                .unwrap()
                .is_empty()
        );
        assert!(world.store.balances(other, customer.account).await.unwrap().is_empty());
        assert!(
            world
                .store
                .ledger_entries(other, customer.account)
                .await
                .unwrap()
                .is_empty()
        );
        assert!(matches!(
            world.store.line_evidence(other, invoice.id, 1).await,
            Err(Error::Missing(_))
        ));
        let evidence = world.store.line_evidence(own, invoice.id, 2).await.unwrap();
        assert_eq!(
            (
                evidence.meter.as_deref(),
                evidence.after_commit,
                evidence.through_commit
            ),
            (Some("requests"), 0, 1)
        );
        let refused = [
            world.store.finalize_invoice(other, invoice.id, &order).await,
            world.store.void_invoice(other, invoice.id, "x", &order).await,
            world.store.mark_uncollectible(other, invoice.id, "x", &order).await,
            world
                .store
                .record_payment(other, invoice.id, &payment(1), &order)
                .await
                .map(drop),
            world
                .store
                .create_credit_note(other, invoice.id, &credit(&[(1, 1)]), &order)
                .await
                .map(drop),
        ];
        assert!(
            refused.iter().all(|outcome| matches!(outcome, Err(Error::Missing(_)))),
            "{refused:?}"
        );
        world
            .store
            .mark_uncollectible(own, invoice.id, "gone", &order)
            .await
            .unwrap();
        let events = world.store.invoice_events(invoice.id).await.unwrap();
        assert_eq!(
            events.iter().map(|(status, ..)| status.as_str()).collect::<Vec<_>>(),
            ["draft", "open", "uncollectible"]
        );
        let revenue = world
            .store
            .revenue(at("2026-04-01T00:00:00Z"), at("2026-05-01T00:00:00Z"))
            .await
            .unwrap();
        assert_eq!((revenue[0].invoiced, revenue[0].outstanding), (3_000, 3_000));
    })
    .await;
}
