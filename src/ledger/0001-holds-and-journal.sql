-- Instants are milliseconds since 1970-01-01T00:00:00Z. Ids are text as people
-- write them, so that this file can be read with `sqlite3` on a bad day.

-- Where an organization's API is and where its key is found, never the key.
-- Holds keep the version they were made with: a changed configuration makes a
-- new row here, and a row that no hold refers to is removed.
CREATE TABLE organization (
    id              INTEGER PRIMARY KEY,
    name            TEXT NOT NULL,
    url             TEXT NOT NULL,
    api_version     TEXT NOT NULL,
    organization_id TEXT,
    key_source      TEXT NOT NULL,
    ca_file         TEXT CHECK (ca_file <> ''),
    proxy           TEXT NOT NULL CHECK (proxy IN ('none', 'environment') OR proxy LIKE 'url:%'),
    UNIQUE (id, name)
) STRICT;

-- NULLs are distinct to UNIQUE, hence the empty text in their place.
CREATE UNIQUE INDEX organization_once ON organization (
    name, url, api_version, ifnull(organization_id, ''), key_source, ifnull(ca_file, ''), proxy
);

CREATE TABLE hold (
    organization         TEXT NOT NULL,
    kind                 TEXT NOT NULL CHECK (kind IN ('model', 'bulk')),
    sync                 TEXT NOT NULL,
    name                 TEXT,
    organization_version INTEGER NOT NULL,
    state                TEXT NOT NULL
        CHECK (state IN ('pausing', 'held', 'resuming', 'settling', 'skipped', 'released')),
    -- JSON: [{"window", "pauses", "opens", "closes", "enforce"}, …]
    holders              TEXT NOT NULL CHECK (json_type(holders) = 'array'),
    left_alone           TEXT NOT NULL CHECK (json_type(left_alone) = 'array'),
    since                INTEGER NOT NULL,
    resume_by            INTEGER NOT NULL,
    unsettled_pause      INTEGER NOT NULL CHECK (unsettled_pause IN (0, 1)),
    unsettled_resume     INTEGER NOT NULL CHECK (unsettled_resume IN (0, 1)),
    attempts             INTEGER NOT NULL CHECK (attempts >= 0),
    last_error           TEXT,
    gone_since           INTEGER,
    gone_times           INTEGER CHECK (gone_times >= 0),
    overdue_told         INTEGER NOT NULL CHECK (overdue_told IN (0, 1)),
    PRIMARY KEY (organization, kind, sync),
    -- By the name too: a row must never lead one organization's key to another's URL.
    FOREIGN KEY (organization_version, organization) REFERENCES organization (id, name),
    CHECK ((gone_since IS NULL) = (gone_times IS NULL))
) STRICT, WITHOUT ROWID;

CREATE INDEX hold_of_organization ON hold (organization_version, organization);

-- AUTOINCREMENT: an id is never used again, so that a reader who follows the
-- journal may ask for what came after the last one it saw.
CREATE TABLE journal (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    at           INTEGER NOT NULL,
    event        TEXT NOT NULL,
    organization TEXT,
    kind         TEXT CHECK (kind IN ('model', 'bulk')),
    sync         TEXT,
    name         TEXT,
    "window"     TEXT,
    occurrence   INTEGER,
    done_by      TEXT NOT NULL,
    attempt      INTEGER CHECK (attempt >= 0),
    error        TEXT,
    detail       TEXT,
    CHECK ((organization IS NULL) = (sync IS NULL) AND (kind IS NULL) = (sync IS NULL))
) STRICT;

CREATE INDEX journal_at ON journal (at);
CREATE INDEX journal_sync ON journal (sync) WHERE sync IS NOT NULL;
CREATE INDEX journal_name ON journal (name) WHERE name IS NOT NULL;
CREATE INDEX journal_window ON journal ("window") WHERE "window" IS NOT NULL;

CREATE TABLE window_watch (
    "window"    TEXT NOT NULL PRIMARY KEY,
    fingerprint TEXT NOT NULL,
    seen_until  INTEGER NOT NULL,
    -- JSON: {"window", "pauses", "opens", "closes"}
    open        TEXT CHECK (json_type(open) = 'object')
) STRICT, WITHOUT ROWID;
