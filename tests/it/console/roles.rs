//! Who may ask for what: every route of the table with every part and with none, by plain requests.

use std::sync::Arc;

use stroll::console::{Access, ConsoleOptions, routes};
use stroll::edge::live::wall_now;
use stroll::edge::office::{Office, Part, Token};

use super::browser::{Answer, Served};
use super::fixture::{busy, definition};

struct Person {
    part: Option<Part>,
    token: Option<Token>,
}

impl Person {
    fn cookie(&self) -> String {
        let token = self.token.as_ref().map(Token::reveal);
        token.map_or(String::new(), |token| format!("Cookie: stroll={token}\r\n"))
    }

    fn form_key(&self) -> String {
        self.token.as_ref().map(Token::form_key).unwrap_or_default()
    }
}

fn people(office: &Office) -> Vec<Person> {
    let log_in = |part: Part| {
        let account = office
            .add_account(part.name(), part, "correct horse", wall_now())
            .expect("an account");
        let token = office.log_in(account.id, wall_now(), 3_600.0);
        Person {
            part: Some(part),
            token: Some(token.expect("a login")),
        }
    };
    let nobody = Person {
        part: None,
        token: None,
    };
    let parts = Part::ALL.into_iter().map(log_in);
    parts.chain([nobody]).collect()
}

fn served(office: &Arc<Office>) -> Served {
    let options = ConsoleOptions::new(office.clone(), Arc::new(definition()));
    Served::with(busy(), options)
}

/// The path with something in each place that is open.
fn filled(path: &str) -> String {
    [
        ("{name}", "console.css"),
        ("{what}", "sing"),
        ("{answer}", "perhaps"),
        ("{id}", "999"),
        ("{sequence}", "1"),
    ]
    .iter()
    .fold(path.to_owned(), |path, (open, with)| {
        path.replace(open, with)
    })
    .replace(['{', '}'], "x")
}

fn ask(served: &Served, method: &str, path: &str, headers: &str) -> Answer {
    if path.ends_with("/events") {
        // A stream does not end: its head is all that is looked at.
        return served.head_of(path, headers);
    }
    let length = if method == "POST" {
        "Content-Length: 0\r\n"
    } else {
        ""
    };
    served.ask(method, path, "localhost", &format!("{length}{headers}"))
}

/// With `--no-capture` it prints the table.
#[test]
fn no_route_is_reached_by_who_may_not() {
    let office = Arc::new(Office::in_memory().expect("an office"));
    let people = people(&office);
    let served = served(&office);
    println!("| route | operator | staff | tester | shopper | nobody |\n|---|---|---|---|---|---|");
    for route in routes() {
        let path = filled(route.path);
        let mut row = format!("| `{} {}` |", route.method, route.path);
        for person in &people {
            let headers = format!("{}Stroll-Form: {}\r\n", person.cookie(), person.form_key());
            // Erasing, logging out and such would change who is who.
            let is_self = route.method == "POST" && ["/me/erase", "/logout"].contains(&route.path);
            if let Access::Program(_) = route.access {
                // Who somebody is does not count there: `programs.rs` tries every key.
                let answer = ask(&served, route.method, &path, &headers);
                assert_eq!(answer.status(), 401, "{path}");
                row += " by key |";
                continue;
            }
            let may = match (route.access, person.part) {
                (Access::Program(_), _) => false,
                (Access::Anyone, _) => true,
                (Access::Only(parts), Some(part)) => parts.contains(&part),
                (Access::Only(_), None) => false,
            };
            if is_self && may {
                row += " yes |";
                continue;
            }
            let answer = ask(&served, route.method, &path, &headers);
            let status = answer.status();
            let shown = format!(
                "{} {path} {:?}: {status} {}",
                route.method,
                person.part,
                answer.body()
            );
            match (may, person.part) {
                (true, _) => assert!(![401, 403].contains(&status), "{shown}"),
                (false, Some(_)) => assert_eq!(status, 403, "{shown}"),
                (false, None) => assert_eq!(status, 401, "{shown}"),
            }
            row += if may { " yes |" } else { " – |" };
        }
        println!("{row}");
    }
}

#[test]
fn a_form_of_elsewhere_changes_nothing() {
    let office = Arc::new(Office::in_memory().expect("an office"));
    let people = people(&office);
    let served = served(&office);
    let (operator, staff) = (&people[0], &people[1]);
    for route in routes()
        .iter()
        .filter(|r| r.method == "POST" && matches!(r.access, Access::Only(_)))
    {
        let path = filled(route.path);
        if path == "/me/erase" {
            continue; // Not the operator's.
        }
        let key = format!("Stroll-Form: {}\r\n", operator.form_key());
        for (what, headers) in [
            ("no key", String::new()),
            (
                "another's key",
                format!("Stroll-Form: {}\r\n", staff.form_key()),
            ),
            (
                "another site",
                format!("{key}Sec-Fetch-Site: cross-site\r\n"),
            ),
            ("a sibling", format!("{key}Sec-Fetch-Site: same-site\r\n")),
            (
                "another origin",
                format!("{key}Origin: http://evil.example\r\n"),
            ),
        ] {
            let answer = ask(
                &served,
                "POST",
                &path,
                &format!("{}{headers}", operator.cookie()),
            );
            assert_eq!(answer.status(), 403, "{path}: {what}");
        }
    }
    // Logging in from another site is refused, too.
    let answer = ask(&served, "POST", "/login", "Sec-Fetch-Site: cross-site\r\n");
    assert_eq!(answer.status(), 403);
}

#[test]
fn guessing_passwords_is_slowed_down_and_a_login_leads_where_it_should() {
    let office = Arc::new(Office::in_memory().expect("an office"));
    people(&office);
    let served = served(&office);
    let log_in = |name: &str, password: &str| {
        let form = format!("name={name}&password={password}&to=%2Freviews");
        let head = format!(
            "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n",
            form.len()
        );
        served.raw(&format!(
            "POST /login HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{head}\r\n{form}"
        ))
    };
    let right = log_in("operator", "correct+horse");
    assert_eq!(
        (right.status(), right.header("location")),
        (303, Some("/reviews"))
    );
    let cookie = right.header("set-cookie").expect("a cookie");
    assert!(
        cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"),
        "{cookie}"
    );
    for _ in 0..5 {
        assert_eq!(log_in("staff", "wrong+password").status(), 403);
    }
    let slowed = log_in("staff", "correct+horse");
    assert_eq!(slowed.status(), 429);
    assert!(slowed.header("retry-after").is_some());
    assert_eq!(
        log_in("tester", "correct+horse").status(),
        303,
        "others are not"
    );
}

#[test]
fn the_first_account_is_made_once_and_only_by_the_link() {
    let office = Arc::new(Office::in_memory().expect("an office"));
    let mut options = ConsoleOptions::new(office.clone(), Arc::new(definition()));
    let token = Token::random().expect("randomness");
    options.opening = Some(token.clone());
    let served = Served::with(busy(), options);
    let set_up = |key: &str, name: &str| {
        let form = format!("key={key}&name={name}&password=correct+horse");
        let head = format!(
            "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n",
            form.len()
        );
        served.raw(&format!(
            "POST /setup HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{head}\r\n{form}"
        ))
    };
    let other = Token::random().expect("randomness");
    assert_eq!(served.get("/setup").status(), 410);
    assert_eq!(set_up(other.reveal(), "eve").status(), 410);
    let page = served.get(&format!("/setup?key={}", token.reveal()));
    assert!(
        page.body()
            .contains("Make the account of the first operator")
    );
    assert_eq!(set_up(token.reveal(), "%3Cscript%3E").status(), 400);
    assert_eq!(set_up(token.reveal(), "anna").status(), 303);
    assert_eq!(set_up(token.reveal(), "eve").status(), 410);
    assert_eq!(office.accounts().expect("accounts").len(), 1);
}

/// What the browser's own story is told by: who asks for another's things gets nothing.
#[test]
fn a_shoppers_things_are_nobody_elses() {
    let office = Arc::new(Office::in_memory().expect("an office"));
    let people = people(&office);
    let sam = office
        .add_account("sam", Part::Shopper, "correct horse", wall_now())
        .expect("sam");
    office
        .add_phone(sam.id, &"p-sam".into(), wall_now())
        .expect("a phone");
    let held = [("8000500310427", 1)];
    let receipt = super::fixture::receipt(
        &definition(),
        "s-1",
        &held,
        stroll::checkout::receipt::Paid::Captured,
    );
    office
        .keep_receipt(&"p-sam".into(), &receipt)
        .expect("filed");
    let served = served(&office);
    let sams = Person {
        part: Some(Part::Shopper),
        token: office.log_in(sam.id, wall_now(), 60.0).ok(),
    };
    let status = |person: &Person, path: &str| ask(&served, "GET", path, &person.cookie()).status();
    assert_eq!(status(&sams, "/me/visits/s-1"), 200);
    for person in people.iter().filter(|person| person.part.is_some()) {
        assert_eq!(status(person, "/me/visits/s-1"), 404, "{:?}", person.part);
        let headers = format!("{}Stroll-Form: {}\r\n", person.cookie(), person.form_key());
        let removed = ask(&served, "POST", "/me/phones/p-sam/remove", &headers);
        assert_eq!(removed.status(), 404, "{:?}", person.part);
    }
    let export = ask(&served, "GET", "/me/export.csv", &sams.cookie());
    assert!(export.body().contains("s-1,"), "{}", export.body());
}
