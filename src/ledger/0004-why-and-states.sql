-- What the window's author says about it, as it was then.
ALTER TABLE journal ADD COLUMN description TEXT;

-- What the sync's row said before and after, `none` where there was no row.
-- NULL in entries about no sync, and in those of earlier versions. No CHECK on
-- the words: a state that is added later shall not keep a journal from being
-- written.
ALTER TABLE journal ADD COLUMN state_before TEXT;
ALTER TABLE journal ADD COLUMN state_after TEXT;
