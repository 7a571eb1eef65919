-- What is known of a sync's executions while it is held. Occurrences (the JSON of
-- `holders` and `left_alone`) may have {"runs": {"on_running", "on_running_limit_ms",
-- "catch_up"}} from this version on; without it, what is usual is meant.

-- Whether none runs since the pause; NULL: nobody could see yet.
ALTER TABLE hold ADD COLUMN quiet INTEGER CHECK (quiet IN (0, 1));
ALTER TABLE hold ADD COLUMN still_running_told INTEGER NOT NULL DEFAULT 0
    CHECK (still_running_told IN (0, 1));

-- As Polytomic told them about the time of the pause.
ALTER TABLE hold ADD COLUMN last_completed INTEGER;
ALTER TABLE hold ADD COLUMN next_execution INTEGER;

-- What is owed since the resume was confirmed: a proof, to start the sync once, or
-- a look at what came of a start. Then the row is `settling` or `released`.
ALTER TABLE hold ADD COLUMN resumed_at INTEGER;
ALTER TABLE hold ADD COLUMN after_resume TEXT
    CHECK (after_resume IS NULL OR after_resume IN ('proof', 'start', 'started') AND resumed_at IS NOT NULL);
ALTER TABLE hold ADD COLUMN starts INTEGER NOT NULL DEFAULT 0 CHECK (starts BETWEEN 0 AND 255);
