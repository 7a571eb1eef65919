-- What came of an occurrence for each sync, until all that it paused run again and
-- its report is told.
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
    ending       TEXT NOT NULL CHECK (ending IN ('runs_again', 'left_on', 'was_off')),
    PRIMARY KEY ("window", opens, organization, kind, sync)
) STRICT, WITHOUT ROWID;

-- Occurrences, as in `holders`, that the pause served before, and does no more.
ALTER TABLE hold ADD COLUMN served TEXT NOT NULL DEFAULT '[]' CHECK (json_type(served) = 'array');
