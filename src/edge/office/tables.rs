//! The tables of the office's file, version by version.

use crate::edge::sqlite::{Format, Readers, Upgrade};

/// The office's file; `Stof`. Times are microseconds since the epoch.
pub(super) const FORMAT: Format = Format {
    what: "file of accounts",
    application_id: 0x5374_6f66,
    version: 2,
    schema: "
        CREATE TABLE account (
            id       INTEGER PRIMARY KEY AUTOINCREMENT,
            name     TEXT NOT NULL UNIQUE COLLATE NOCASE,
            part     TEXT NOT NULL CHECK (part IN ('operator', 'staff', 'tester', 'shopper')),
            password TEXT NOT NULL, -- argon2id, as a PHC string
            made_us  INTEGER NOT NULL
        ) STRICT;

        -- Of a token only the SHA-256 is kept: who reads the file cannot log in with it.
        CREATE TABLE login (
            token    BLOB PRIMARY KEY CHECK (length(token) = 32),
            account  INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE,
            until_us INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX login_account ON login (account);

        CREATE TABLE phone (
            device  TEXT PRIMARY KEY,
            account INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE,
            made_us INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;

        -- Receipts as their shoppers read them again: JSON.
        CREATE TABLE visit (
            session TEXT PRIMARY KEY,
            account INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE,
            exit_us INTEGER NOT NULL,
            receipt TEXT NOT NULL
        ) STRICT, WITHOUT ROWID;

        CREATE TABLE request (
            id        INTEGER PRIMARY KEY AUTOINCREMENT,
            account   INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE,
            session   TEXT NOT NULL,
            product   TEXT NOT NULL,
            minor     INTEGER NOT NULL CHECK (minor > 0),
            why       TEXT NOT NULL,
            made_us   INTEGER NOT NULL,
            state     TEXT NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'taken', 'accepted', 'dismissed')),
            closed_by TEXT,
            UNIQUE (session, product)
        ) STRICT;

        -- Proposed corrections that a person has seen to, by the stamp of their change.
        CREATE TABLE corrected (
            change   TEXT PRIMARY KEY,
            accepted INTEGER NOT NULL,
            by_name  TEXT NOT NULL,
            at_us    INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;

        -- What a person has counted on a shelf.
        CREATE TABLE count (
            shelf   TEXT NOT NULL,
            product TEXT NOT NULL,
            units   INTEGER NOT NULL CHECK (units >= 0),
            by_name TEXT NOT NULL,
            at_us   INTEGER NOT NULL,
            PRIMARY KEY (shelf, product)
        ) STRICT, WITHOUT ROWID;

        CREATE TABLE note (
            id    INTEGER PRIMARY KEY AUTOINCREMENT,
            at_us INTEGER NOT NULL,
            who   TEXT NOT NULL,
            did   TEXT NOT NULL,
            about TEXT NOT NULL
        ) STRICT;
    ",
    upgrades: &[Upgrade::Statements(PROGRAMS_AND_BOOKS)],
    readers: Readers::Nobody,
};

/// From version 1 to 2: keys and webhooks of programs, and the owner's books.
const PROGRAMS_AND_BOOKS: &str = "
    -- Of a key only the SHA-256 is kept.
    CREATE TABLE api_key (
        id      INTEGER PRIMARY KEY AUTOINCREMENT,
        hash    BLOB NOT NULL UNIQUE CHECK (length(hash) = 32),
        name    TEXT NOT NULL,
        scopes  TEXT NOT NULL, -- by spaces
        made_by TEXT NOT NULL,
        made_us INTEGER NOT NULL,
        used_us INTEGER
    ) STRICT;

    CREATE TABLE hook (
        id      INTEGER PRIMARY KEY AUTOINCREMENT,
        url     TEXT NOT NULL,
        secret  BLOB NOT NULL, -- as it is: what is sent is signed by it
        events  TEXT NOT NULL, -- by spaces
        after   INTEGER NOT NULL, -- the decision of the journal after which it wants to know
        made_by TEXT NOT NULL,
        made_us INTEGER NOT NULL,
        off     TEXT -- why nothing is sent any more
    ) STRICT;

    CREATE TABLE delivery (
        id      INTEGER PRIMARY KEY AUTOINCREMENT,
        hook    INTEGER NOT NULL REFERENCES hook (id) ON DELETE CASCADE,
        event   TEXT NOT NULL, -- its id, the same for every hook and every try
        kind    TEXT NOT NULL,
        body    TEXT NOT NULL,
        made_us INTEGER NOT NULL,
        tries   INTEGER NOT NULL DEFAULT 0,
        next_us INTEGER, -- none: it has arrived, or was given up
        done_us INTEGER, -- when it arrived
        said    TEXT NOT NULL DEFAULT '' -- what came of the last try
    ) STRICT;
    CREATE INDEX delivery_due ON delivery (hook, next_us);

    -- Up to which decision of the journal everything below and every delivery is.
    CREATE TABLE cursor (id INTEGER PRIMARY KEY CHECK (id = 1), decision INTEGER NOT NULL) STRICT;
    INSERT INTO cursor (id, decision) VALUES (1, 0);

    CREATE TABLE sale (
        session TEXT PRIMARY KEY,
        exit_us INTEGER NOT NULL,
        receipt TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX sale_exit ON sale (exit_us);

    -- Refunds that were asked for; done once the provider has said so.
    CREATE TABLE refund (
        key     TEXT PRIMARY KEY,
        session TEXT NOT NULL,
        at_us   INTEGER NOT NULL,
        minor   INTEGER NOT NULL,
        by_name TEXT NOT NULL,
        done    INTEGER NOT NULL DEFAULT 0
    ) STRICT, WITHOUT ROWID;

    -- What left the shelves and nobody paid: by the stamp of the change, or whatever else names it.
    CREATE TABLE loss (
        source  TEXT NOT NULL,
        product TEXT NOT NULL,
        at_us   INTEGER NOT NULL,
        units   INTEGER NOT NULL, -- negative: came back
        why     TEXT NOT NULL,
        review  TEXT, -- it waits for this review
        PRIMARY KEY (source, product)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX loss_at ON loss (at_us);

    -- When the store opens and closes by itself, minutes after midnight; ISO weekdays. A day without a row stays as it is.
    CREATE TABLE hours (
        weekday INTEGER PRIMARY KEY CHECK (weekday BETWEEN 1 AND 7),
        opens   INTEGER NOT NULL CHECK (opens BETWEEN 0 AND 1439),
        closes  INTEGER NOT NULL CHECK (closes > opens AND closes <= 1440)
    ) STRICT;
    -- What the hours wanted last: what a person does after that stands until they want something else.
    CREATE TABLE definition_change (
        id      INTEGER PRIMARY KEY AUTOINCREMENT,
        at_us   INTEGER NOT NULL,
        by_name TEXT NOT NULL,
        what    TEXT NOT NULL,
        before  TEXT NOT NULL -- the whole file
    ) STRICT;
    CREATE TABLE hours_wanted (id INTEGER PRIMARY KEY CHECK (id = 1), is_open INTEGER NOT NULL) STRICT;
";
