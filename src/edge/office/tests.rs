use super::*;
use crate::checkout::receipt::{Paid, Receipt, ReceiptLine};
use crate::checkout::session::SessionId;
use crate::store::ProductId;
use crate::units::{Money, Timestamp};

const NOON: Timestamp = Timestamp(1_795_435_200_000_000);
const GOOD: &str = "correct horse";

fn office() -> Office {
    Office::in_memory().unwrap()
}

fn receipt(session: &str, minor: i64) -> Receipt {
    let money = |minor| Money::new(minor, "EUR".parse().unwrap());
    let line = ReceiptLine {
        product: "peaches".into(),
        name: "Peaches".to_owned(),
        quantity: 1,
        mass_mg: None,
        amount: money(minor),
        tax: money(0),
        tax_basis_points: 0,
    };
    Receipt {
        session: session.into(),
        track: None,
        entered_at: NOON,
        exited_at: NOON,
        lines: vec![line],
        total: money(minor),
        tax: money(0),
        paid: Paid::Captured,
        owed: None,
    }
}

#[test]
fn names_and_passwords_that_will_not_do_are_refused() {
    let office = office();
    let long = "x".repeat(PASSWORD_CHARS_MAX + 1);
    for (name, password, said) in [
        ("", GOOD, "a name is"),
        ("<script>", GOOD, "a name is"),
        ("line\nbreak", GOOD, "a name is"),
        ("anna", "short", "a password has"),
        ("anna", long.as_str(), "a password has"),
        ("anna", GOOD, ""),
        ("ANNA", GOOD, "there is an account `ANNA` already"),
        ("Bérénice M.", GOOD, ""),
    ] {
        let made = office.add_account(name, Part::Staff, password, NOON);
        let told = made.map_or_else(|error| error.to_string(), |_| String::new());
        assert!(
            told.starts_with(said) && told.is_empty() == said.is_empty(),
            "{name:?}: {told}"
        );
    }
    let kept: String = office
        .lock()
        .query_row(
            "SELECT password FROM account WHERE name = 'anna'",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert!(
        kept.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
        "{kept}"
    );
    for (name, password, right) in [
        ("anna", GOOD, true),
        (" Anna ", GOOD, true),
        ("anna", "correct hors", false),
        ("nobody", GOOD, false),
        ("nobody", "nobody's password", false),
    ] {
        let found = office.check_password(name, password).unwrap();
        assert_eq!(found.is_some(), right, "{name} {password}");
    }
}

#[test]
fn a_login_ends_in_time_by_logging_out_and_with_the_password() {
    let office = office();
    let anna = office
        .add_account("anna", Part::Operator, GOOD, NOON)
        .unwrap();
    let later = |s: f64| NOON.plus_seconds(s);
    let token = office.log_in(anna.id, NOON, 60.0).unwrap();
    let who = |token: &Token, s| office.identify(token, later(s)).unwrap().map(|a| a.name);
    assert_eq!(who(&token, 59.0).as_deref(), Some("anna"));
    assert_eq!(who(&token, 60.0), None);
    assert_eq!(who(&Token::random().unwrap(), 0.0), None);
    office.log_out(&token).unwrap();
    assert_eq!(who(&token, 0.0), None);

    let token = office.log_in(anna.id, NOON, 60.0).unwrap();
    office.set_password(anna.id, "another password").unwrap();
    assert_eq!(who(&token, 0.0), None);

    let first = office.log_in(anna.id, NOON, 60.0).unwrap();
    for s in 1..=20 {
        office.log_in(anna.id, later(f64::from(s)), 60.0).unwrap();
    }
    assert_eq!(who(&first, 0.0), None, "the oldest of 21 is forgotten");
    assert!(Token::sent("no token").is_none());
    assert_ne!(first.form_key(), token.form_key());
}

#[test]
fn erasing_leaves_nothing_and_the_last_operator_stays() {
    let office = office();
    let anna = office
        .add_account("anna", Part::Operator, GOOD, NOON)
        .unwrap();
    let refused = office.erase(anna.id).unwrap_err().to_string();
    assert!(
        refused.starts_with("this is the last operator"),
        "{refused}"
    );
    let sam = office
        .add_account("sam", Part::Shopper, GOOD, NOON)
        .unwrap();
    office.add_phone(sam.id, &"phone-1".into(), NOON).unwrap();
    office.log_in(sam.id, NOON, 60.0).unwrap();
    office
        .keep_receipt(&"phone-1".into(), &receipt("s-1", 250))
        .unwrap();
    office
        .ask(sam.id, &"s-1".into(), &"peaches".into(), "bruised", NOON)
        .unwrap();
    office.note("Sam", "log in", "", NOON).unwrap();
    office.erase(sam.id).unwrap();
    assert_eq!(
        office.notes(1).unwrap()[0].who,
        format!("account {}", sam.id.0)
    );
    for table in ["login", "phone", "visit", "request"] {
        let rows: i64 = office
            .lock()
            .query_row(&format!("SELECT count(*) FROM {table}"), [], |row| {
                row.get(0)
            })
            .unwrap();
        assert_eq!(rows, 0, "{table}");
    }
    assert_eq!(office.accounts().unwrap(), [anna]);
}

#[test]
fn a_receipt_is_its_shoppers_and_nobody_elses() {
    let office = office();
    let add = |name| {
        office
            .add_account(name, Part::Shopper, GOOD, NOON)
            .unwrap()
            .id
    };
    let (sam, tom) = (add("sam"), add("tom"));
    office.add_phone(sam, &"phone-1".into(), NOON).unwrap();
    office
        .keep_receipt(&"phone-1".into(), &receipt("s-1", 250))
        .unwrap();
    office
        .keep_receipt(&"phone-of-nobody".into(), &receipt("s-2", 250))
        .unwrap();
    let (session, product) = (SessionId::from("s-1"), ProductId::from("peaches"));
    assert!(office.visit(sam, &session).unwrap().is_some());
    assert!(office.visit(tom, &session).unwrap().is_none());
    assert_eq!(office.visits(tom).unwrap(), []);
    for (who, product, asked) in [
        (tom, "peaches", false),
        (sam, "plums", false),
        (sam, "peaches", true),
        (sam, "peaches", false), // Once is enough.
    ] {
        let ok = office.ask(who, &session, &product.into(), "bruised", NOON);
        assert_eq!(ok.is_ok(), asked, "{who:?} {product}");
    }
    let open = office.requests(None).unwrap();
    assert_eq!(
        (open.len(), open[0].minor, &open[0].product),
        (1, 250, &product)
    );
    assert_eq!(office.requests(Some(tom)).unwrap(), []);
    // Two operators: the first has it.
    let take = |by| {
        let (open, taken) = (RequestState::Open, RequestState::Taken);
        office.move_request(1, open, taken, by).unwrap().is_some()
    };
    assert_eq!((take("anna"), take("ben")), (true, false));
}
