//! `/finance/invoices/{id}/payment`: a payment that somebody saw come in, whole or in part.

use askama::Template;
use axum::extract::State;
use domain::clock::Timestamp;
use domain::ids::InvoiceId;
use domain::invoice::{InvoiceStatus, InvoiceView};
use domain::money::{Currency, Decimal, Money, MoneyError};
use jiff::civil::Date;

use super::act::settled;
use super::invoice::path;
use super::shell;
use crate::api::answer::Id;
use crate::api::invoices::seen;
use crate::api::invoices_money::{NewPaymentBody, record_payment};
use crate::app::App;
use crate::http::problem::Problem;
use crate::pages::web::once::{self, once};
use crate::pages::web::{self, Form, Html, Page, Posted, Shell, Staff, show, unprocessable};

#[derive(Template)]
#[template(path = "finance/payment.html")]
struct Payment {
    shell: Shell,
    base: String,
    invoice: String,
    customer: String,
    due: String,
    label: String,
    hint: String,
    form: Form,
    methods: Vec<(String, String)>,
    once: Html,
}

const METHODS: [(&str, &str); 5] = [
    ("bank_transfer", "Bank transfer"),
    ("direct_debit", "Direct debit"),
    ("card", "Card"),
    ("cheque", "Cheque"),
    ("cash", "Cash"),
];

/// An amount as people write it, exactly, in the currency's own decimals.
pub(super) fn amount(text: &str, currency: Currency) -> Result<i64, String> {
    let example = Money::new(123_450, currency).to_major_string();
    let value: Decimal = text
        .parse()
        .map_err(|_| format!("Write the amount with a point and no other sign, as in {example}"))?;
    match Money::from_major(value, currency) {
        Ok(money) if money.minor > 0 => Ok(money.minor),
        Ok(_) => Err("Write an amount above zero".to_owned()),
        Err(MoneyError::TooFine { .. }) => Err(match currency.exponent() {
            0 => format!("{currency} has no decimals: write a whole number"),
            decimals => format!("{currency} has {decimals} decimals: write {example}"),
        }),
        Err(_) => Err("This is more than any invoice".to_owned()),
    }
}

fn open(view: &InvoiceView) -> Result<(), Problem> {
    if matches!(view.status, InvoiceStatus::Open | InvoiceStatus::Uncollectible) {
        return Ok(());
    }
    let word = documents::words::status(view.status).to_lowercase();
    Err(Problem::conflict(format!(
        "the invoice is {word}: nothing is due on it"
    )))
}

/// The day of an instant for the reader, as date fields write it.
fn today(staff: &Staff) -> Date {
    staff
        .visitor
        .now()
        .to_jiff()
        .to_zoned(staff.visitor.zone().clone())
        .date()
}

async fn shown(app: &App, staff: &Staff, view: &InvoiceView, form: Form) -> Result<Payment, Problem> {
    Ok(Payment {
        shell: shell(app, staff).await?,
        base: path(view.id),
        invoice: documents::words::title(view),
        customer: view.customer.name.clone(),
        label: format!("Amount in {}", view.currency.code()),
        hint: format!("{} is due.", show::minor(view.amount_due, view.currency)),
        due: show::minor(view.amount_due, view.currency),
        form,
        methods: METHODS
            .iter()
            .map(|(value, text)| ((*value).to_owned(), (*text).to_owned()))
            .collect(),
        once: once::field(),
    })
}

/// `GET /finance/invoices/{id}/payment`
pub(super) async fn page(State(app): State<App>, staff: Staff, Id(id): Id<InvoiceId>) -> Page {
    let view = seen(&app, &staff.caller, id).await?;
    open(&view)?;
    let due = Money::new(view.amount_due, view.currency).to_major_string();
    let form = Form::with([("amount", due), ("date", today(&staff).to_string())]);
    web::page(&shown(&app, &staff, &view, form).await?)
}

/// What the form says, once it says nothing wrong.
fn read(staff: &Staff, view: &InvoiceView, posted: &Posted, form: &mut Form) -> Option<NewPaymentBody> {
    let minor = match amount(posted.get("amount"), view.currency) {
        Ok(minor) if minor > view.amount_due => {
            let due = show::minor(view.amount_due, view.currency);
            form.fault("amount", format!("{due} is due: write that or less"));
            None
        }
        Ok(minor) => Some(minor),
        Err(fault) => {
            form.fault("amount", fault);
            None
        }
    };
    let day: Option<Date> = posted.get("date").parse().ok();
    match day {
        None => form.fault("date", "Choose the day on which the money came in"),
        Some(day) if day > today(staff) => form.fault("date", "Choose today or a day before"),
        Some(_) => {}
    }
    if !METHODS.iter().any(|(method, _)| *method == posted.get("method")) {
        form.fault("method", "Choose how it came");
    }
    if posted.get("reference").chars().count() > 200 {
        form.fault("reference", "Write at most 200 characters");
    }
    let (minor, day) = (minor?, day?);
    form.is_fine().then(|| NewPaymentBody {
        amount: minor,
        method: posted.get("method").to_owned(),
        reference: posted.given("reference").map(str::to_owned),
        received_at: received(staff, day),
    })
}

/// The start of the day for the reader; now when that is today.
fn received(staff: &Staff, day: Date) -> Option<Timestamp> {
    if day == today(staff) {
        return None;
    }
    let start = day.to_zoned(staff.visitor.zone().clone()).ok()?;
    Some(Timestamp::from_jiff(start.timestamp()))
}

/// `POST /finance/invoices/{id}/payment`
pub(super) async fn record(State(app): State<App>, staff: Staff, Id(id): Id<InvoiceId>, posted: Posted) -> Page {
    let view = seen(&app, &staff.caller, id).await?;
    let mut form = Form::typed(&posted);
    let work = Box::pin(async {
        let wanted = read(&staff, &view, &posted, &mut form).ok_or_else(once::mend)?;
        record_payment(&app, &staff.caller, id, wanted).await?;
        Ok(format!("{}?done=paid", path(id)))
    });
    let done = once(&app, &staff.visitor, &posted, work).await;
    if let Some(response) = settled(done, &mut form)? {
        return Ok(response);
    }
    unprocessable(&shown(&app, &staff, &view, form).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_exactly_or_refused_with_advice() {
        let read = |text: &str, code: &str| amount(text, code.parse().unwrap());
        assert_eq!(read("1234.50", "USD"), Ok(123_450));
        assert_eq!(read("500", "JPY"), Ok(500));
        assert_eq!(read("1.234", "KWD"), Ok(1_234));
        for (text, code) in [
            ("", "USD"),
            ("1,50", "USD"),
            ("0", "USD"),
            ("-1", "USD"),
            ("1.005", "USD"),
            ("0.5", "JPY"),
            ("1e3", "USD"),
        ] {
            assert!(read(text, code).is_err(), "{text} {code}");
        }
    }
}
