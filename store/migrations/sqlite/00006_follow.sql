-- +goose Up
-- What was done about an upheld case, step by step: drafts, letters, visits that
-- were asked for, replies. It only grows.
CREATE TABLE follow (
  sweep   TEXT NOT NULL,
  site    TEXT NOT NULL,
  n       BIGINT NOT NULL, -- 1, 2, 3 of the case
  kind    TEXT NOT NULL,   -- draft, letter, visit, reply
  by_whom TEXT NOT NULL,
  at_ms   BIGINT NOT NULL,
  due_ms  BIGINT NOT NULL, -- of a letter: from when on the site is visited again; else 0
  doc     TEXT NOT NULL,   -- as JSON; the kind says what is in it
  PRIMARY KEY (sweep, site, n)
);
CREATE INDEX follow_due ON follow (kind, due_ms, sweep, site, n);
-- +goose StatementBegin
CREATE TRIGGER follow_stays BEFORE UPDATE ON follow BEGIN SELECT RAISE(ABORT, 'a step is never changed'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER follow_remains BEFORE DELETE ON follow BEGIN SELECT RAISE(ABORT, 'a step is never removed'); END;
-- +goose StatementEnd

-- +goose Down
DROP TABLE follow;
