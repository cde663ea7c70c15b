-- +goose Up
-- The progress of a sweep is counted every few seconds: from this index alone,
-- never from the rows, which hold whole verdicts.
CREATE INDEX word_counts ON word (sweep, overall, outcome);

-- +goose Down
DROP INDEX word_counts;
