-- Up to which entry of the journal each target of notices has been told.
CREATE TABLE notice_told (
    target TEXT NOT NULL PRIMARY KEY,
    entry  INTEGER NOT NULL
) STRICT;
