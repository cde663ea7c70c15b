-- +goose Up
-- The numbers of a sweep, without reading its verdicts.
CREATE INDEX IF NOT EXISTS word_counts ON word (sweep, overall, outcome);

-- +goose Down
DROP INDEX word_counts;
