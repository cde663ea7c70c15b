-- +goose Up
-- Of how many visits a word is the last: one that knows of fewer comes too late.
ALTER TABLE word ADD COLUMN visits BIGINT NOT NULL DEFAULT 0;

-- +goose Down
ALTER TABLE word DROP COLUMN visits;
