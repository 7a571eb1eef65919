-- What each window that selects syncs was last found to select: used while
-- Polytomic's list cannot be read.
CREATE TABLE selection (
    "window"    TEXT NOT NULL PRIMARY KEY,
    -- Which `select` and `exclude` it answers.
    fingerprint TEXT NOT NULL,
    found_at    INTEGER NOT NULL,
    -- JSON: [{"sync": {"organization", "kind", "id"}, "name", "connections"}, …]
    syncs       TEXT NOT NULL CHECK (json_type(syncs) = 'array')
) STRICT;
