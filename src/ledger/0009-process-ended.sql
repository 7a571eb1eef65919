-- When a process ended in order, and no row was left in doubt since: nothing of ours was
-- sent after that. Whoever writes a row that is unsettled takes it away.
CREATE TABLE process_ended (
    one        INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    boot       TEXT NOT NULL,
    since_boot INTEGER NOT NULL,
    at         INTEGER NOT NULL
) STRICT;
