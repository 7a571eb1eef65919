-- What came of an occurrence for each sync that runs again, until all do and the
-- window's report is told.
CREATE TABLE sync_report (
    "window"     TEXT NOT NULL,
    opens        INTEGER NOT NULL,
    organization TEXT NOT NULL,
    kind         TEXT NOT NULL CHECK (kind IN ('model', 'bulk')),
    sync         TEXT NOT NULL,
    name         TEXT NOT NULL,
    missed       INTEGER,
    completed    INTEGER,
    next         INTEGER,
    PRIMARY KEY ("window", opens, organization, kind, sync)
) STRICT, WITHOUT ROWID;
