-- What was told of each window's coming occurrence, so that it is told once.
CREATE TABLE preflight (
    "window" TEXT NOT NULL PRIMARY KEY,
    opens    INTEGER NOT NULL,
    told_at  INTEGER NOT NULL,
    -- What will trouble it; NULL: nothing was found.
    error    TEXT,
    detail   TEXT NOT NULL
) STRICT;
