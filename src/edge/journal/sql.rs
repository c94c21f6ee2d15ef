//! Every statement of the journal, in one place.

use super::chain::chain_what_is_there;
use crate::edge::sqlite::{Format, Readers, Upgrade};

/// `Strl`.
const APPLICATION_ID: i32 = 0x5374_726c;

/// Version 3 of the journal. A later version adds a step from each earlier one; it never edits what is here.
pub const FORMAT: Format = Format {
    what: "journal",
    application_id: APPLICATION_ID,
    version: 3,
    schema: SCHEMA,
    upgrades: &[
        Upgrade::Statements(STAFF_DEVICES),
        Upgrade::Code(chain_what_is_there),
    ],
    readers: Readers::Anybody,
};

/// From version 1 to 2: staff have phones, too.
const STAFF_DEVICES: &str = "
    ALTER TABLE device ADD COLUMN role TEXT NOT NULL DEFAULT 'shopper' CHECK (role IN ('shopper', 'staff'));
";

/// From version 2 to 3: a hash chain over everything, and the folded state.
pub const CHAIN: &str = "
    -- Every observation and decision in the order in which they were committed: see chain.rs. No row here refers to
    -- its observation by a foreign key, because an observation may be erased and its place in the chain may not.
    CREATE TABLE chain (
        entry       INTEGER PRIMARY KEY,
        observation INTEGER,
        decision    INTEGER,
        content     BLOB NOT NULL CHECK (length(content) = 32),
        hash        BLOB NOT NULL CHECK (length(hash) = 32),
        CHECK ((observation IS NULL) <> (decision IS NULL))
    ) STRICT;

    -- What folding all entries up to this one gives. It can be made again from them at any time.
    CREATE TABLE snapshot (
        entry    INTEGER PRIMARY KEY,
        accepted INTEGER NOT NULL, -- the last observation and the last decision up to there, 0 if there is none
        decided  INTEGER NOT NULL,
        versions INTEGER NOT NULL REFERENCES versions (id),
        form     INTEGER NOT NULL, -- how the state is written
        seal     BLOB NOT NULL CHECK (length(seal) = 32), -- SHA-256 of the entry's hash, both numbers and the state
        state    BLOB NOT NULL
    ) STRICT;
";

/// Times are microseconds since the epoch. A sequence is kept as the signed number of the same bits, which for
/// every real one is the sequence itself.
const SCHEMA: &str = "
    CREATE TABLE meta (
        id       INTEGER PRIMARY KEY CHECK (id = 1),
        store    TEXT NOT NULL,
        currency TEXT NOT NULL
    ) STRICT;

    -- What nodes said, each stamp once, in the order in which it was accepted.
    CREATE TABLE observation (
        accepted INTEGER PRIMARY KEY,
        node     TEXT NOT NULL,
        outbox   TEXT NOT NULL,
        sequence INTEGER NOT NULL,
        start_us INTEGER NOT NULL,
        end_us   INTEGER NOT NULL,
        payload  TEXT NOT NULL,
        UNIQUE (node, outbox, sequence)
    ) STRICT;
    CREATE INDEX observation_end ON observation (end_us);

    -- Stamps whose message could not be decoded: as known as the others.
    CREATE TABLE quarantine (
        node     TEXT NOT NULL,
        outbox   TEXT NOT NULL,
        sequence INTEGER NOT NULL,
        decision INTEGER NOT NULL REFERENCES decision (sequence),
        PRIMARY KEY (node, outbox, sequence)
    ) STRICT, WITHOUT ROWID;

    -- All of 1..committed are known, also when their observations have been erased.
    CREATE TABLE outbox (
        node      TEXT NOT NULL,
        outbox    TEXT NOT NULL,
        committed INTEGER NOT NULL,
        PRIMARY KEY (node, outbox)
    ) STRICT, WITHOUT ROWID;

    -- What the store decided, in order: its state is a fold over this table and nothing else.
    CREATE TABLE decision (
        sequence INTEGER PRIMARY KEY,
        versions INTEGER NOT NULL REFERENCES versions (id),
        event    TEXT NOT NULL
    ) STRICT;

    -- What made a decision.
    CREATE TABLE versions (
        id         INTEGER PRIMARY KEY,
        code       TEXT NOT NULL,
        definition TEXT NOT NULL,
        model      TEXT NOT NULL,
        UNIQUE (code, definition, model)
    ) STRICT;

    -- Shoppers' phones: may be erased, and no decision holds a key.
    CREATE TABLE device (
        id      TEXT PRIMARY KEY,
        key     BLOB NOT NULL,
        revoked INTEGER NOT NULL CHECK (revoked IN (0, 1))
    ) STRICT, WITHOUT ROWID;
";

pub const INSERT_META: &str = "INSERT INTO meta (id, store, currency) VALUES (1, ?1, ?2)";
pub const SELECT_META: &str = "SELECT store, currency FROM meta WHERE id = 1";

pub const INSERT_OBSERVATION: &str = "
    INSERT INTO observation (node, outbox, sequence, start_us, end_us, payload)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
pub const SELECT_OBSERVATIONS: &str = "
    SELECT accepted, node, outbox, sequence, payload FROM observation
    WHERE accepted > ?1 AND accepted <= ?2 AND +end_us > ?3 ORDER BY accepted LIMIT ?4";
pub const SELECT_OBSERVATION: &str = "
    SELECT accepted, payload FROM observation WHERE node = ?1 AND outbox = ?2 AND sequence = ?3";
pub const COUNT_OBSERVATIONS: &str = "SELECT count(*) FROM observation";
/// The order number before that of the first observation that ended after a time. The `+` keeps SQLite from walking
/// the whole table in its order instead of using the index.
pub const SELECT_BEFORE_FIRST_ENDING_AFTER: &str =
    "SELECT coalesce(min(+accepted) - 1, 9223372036854775807) FROM observation WHERE end_us > ?1";

pub const INSERT_QUARANTINED: &str =
    "INSERT INTO quarantine (node, outbox, sequence, decision) VALUES (?1, ?2, ?3, ?4)";

pub const UPSERT_OUTBOX: &str = "
    INSERT INTO outbox (node, outbox, committed) VALUES (?1, ?2, ?3)
    ON CONFLICT (node, outbox) DO UPDATE SET committed = excluded.committed";
pub const SELECT_OUTBOXES: &str = "SELECT node, outbox, committed FROM outbox";
/// The stamps beyond the first gap of an outbox; four searches, because an `OR` would scan the whole outbox.
pub const SELECT_BEYOND: &str = "
    SELECT sequence FROM observation WHERE node = ?1 AND outbox = ?2 AND sequence > ?3
    UNION ALL
    SELECT sequence FROM observation WHERE node = ?1 AND outbox = ?2 AND sequence < 0
    UNION ALL
    SELECT sequence FROM quarantine WHERE node = ?1 AND outbox = ?2 AND sequence > ?3
    UNION ALL
    SELECT sequence FROM quarantine WHERE node = ?1 AND outbox = ?2 AND sequence < 0";

pub const INSERT_CHAIN: &str =
    "INSERT INTO chain (entry, observation, decision, content, hash) VALUES (?1, ?2, ?3, ?4, ?5)";
pub const SELECT_HEAD: &str = "SELECT entry, hash FROM chain ORDER BY entry DESC LIMIT 1";
pub const SELECT_OBSERVATION_ROWS: &str = "
    SELECT accepted, node, outbox, sequence, start_us, end_us, payload FROM observation ORDER BY accepted";
pub const SELECT_DECISION_ROWS: &str = "
    SELECT decision.sequence, code, definition, model, event
    FROM decision JOIN versions ON versions.id = decision.versions ORDER BY decision.sequence";
/// Every entry after one, with its row; a row that is not there has no payload or no event.
pub const SELECT_ENTRIES: &str = "
    SELECT entry, c.observation, c.decision, c.content, c.hash,
           o.node, o.outbox, o.sequence, o.start_us, o.end_us, o.payload,
           v.code, v.definition, v.model, d.event
    FROM chain c
    LEFT JOIN observation o ON o.accepted = c.observation
    LEFT JOIN decision d ON d.sequence = c.decision
    LEFT JOIN versions v ON v.id = d.versions
    WHERE entry > ?1 ORDER BY entry";
/// The first row that is none of the first ones.
pub const SELECT_OBSERVATION_BEYOND: &str = "
    SELECT accepted FROM observation WHERE accepted > ?1 OR accepted < 1 ORDER BY accepted LIMIT 1";
pub const SELECT_DECISION_BEYOND: &str = "
    SELECT sequence FROM decision WHERE sequence > ?1 OR sequence < 1 ORDER BY sequence LIMIT 1";
pub const SELECT_QUARANTINED: &str = "SELECT node, outbox, sequence, decision FROM quarantine";
pub const SELECT_HASH: &str = "SELECT hash FROM chain WHERE entry = ?1";

pub const DELETE_SNAPSHOTS: &str = "DELETE FROM snapshot";
pub const INSERT_SNAPSHOT: &str = "
    INSERT INTO snapshot (entry, accepted, decided, versions, form, seal, state)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
pub const SELECT_LAST_ROWS: &str = "
    SELECT (SELECT coalesce(max(accepted), 0) FROM observation), (SELECT coalesce(max(sequence), 0) FROM decision)";
pub const SELECT_SNAPSHOT: &str = "
    SELECT s.entry, accepted, decided, seal, coalesce(chain.hash, x''), state
    FROM snapshot s LEFT JOIN chain ON chain.entry = s.entry WHERE versions = ?1 AND form = ?2";
pub const SELECT_SNAPSHOTS: &str = "
    SELECT s.entry, accepted, decided, seal, coalesce(chain.hash, x''), state
    FROM snapshot s LEFT JOIN chain ON chain.entry = s.entry";

pub const INSERT_DECISION: &str = "INSERT INTO decision (versions, event) VALUES (?1, ?2)";
pub const SELECT_DECISIONS: &str =
    "SELECT sequence, versions, event FROM decision WHERE sequence > ?1 ORDER BY sequence";

pub const INSERT_VERSIONS: &str =
    "INSERT INTO versions (code, definition, model) VALUES (?1, ?2, ?3)";
pub const SELECT_VERSIONS: &str =
    "SELECT id FROM versions WHERE code = ?1 AND definition = ?2 AND model = ?3";
pub const SELECT_ALL_VERSIONS: &str = "SELECT id, code, definition, model FROM versions";

/// A new key admits a revoked device again; a revoked key stays revoked, however often and in whatever role it is
/// enrolled. A device that stays what it was is not written at all, which saves the sync.
pub const UPSERT_DEVICE: &str = "
    INSERT INTO device (id, key, role, revoked) VALUES (?1, ?2, ?3, 0)
    ON CONFLICT (id) DO UPDATE
    SET key = excluded.key, role = excluded.role, revoked = revoked AND key IS excluded.key
    WHERE key IS NOT excluded.key OR role IS NOT excluded.role";
pub const SELECT_REVOKED: &str = "SELECT revoked FROM device WHERE id = ?1";
pub const REVOKE_DEVICE: &str = "UPDATE device SET revoked = 1 WHERE id = ?1 AND revoked = 0";
pub const SELECT_DEVICES: &str = "SELECT id, key, role, revoked FROM device ORDER BY id";
