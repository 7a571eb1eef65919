-- What operators asked for beside the file. Each has an end; what is over is
-- dropped some days later. AUTOINCREMENT: a number is never used twice, because
-- the journal names orders by it.
CREATE TABLE operator_order (
    number   INTEGER PRIMARY KEY AUTOINCREMENT,
    what     TEXT NOT NULL CHECK (what IN ('pause', 'extend', 'exempt')),
    begins   INTEGER NOT NULL,
    ends     INTEGER NOT NULL,
    reason   TEXT NOT NULL,
    done_by  TEXT NOT NULL,
    -- Of an extension: which occurrence.
    "window" TEXT,
    opens    INTEGER,
    -- JSON: [{"organization", "kind", "id"}, …]. An exemption without it is about
    -- all syncs.
    syncs    TEXT CHECK (json_type(syncs) = 'array'),
    CHECK (("window" IS NULL) = (opens IS NULL)),
    CHECK ((what = 'extend') = ("window" IS NOT NULL)),
    CHECK (what <> 'pause' OR syncs IS NOT NULL)
) STRICT;
