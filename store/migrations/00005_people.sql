-- +goose Up
-- Who signed in by single sign-on: the provider's name for the account, and ours
-- for the person, which stays what it was at first, because decisions have it.
CREATE TABLE account (
  subject  TEXT PRIMARY KEY,
  name     TEXT NOT NULL UNIQUE,
  roles    TEXT NOT NULL,      -- at the last sign-in, with + between them
  first_ms BIGINT NOT NULL,
  last_ms  BIGINT NOT NULL
);
-- Access of programs. The secret itself is not kept.
CREATE TABLE token (
  id         TEXT PRIMARY KEY, -- the part of it that may be known
  hash       TEXT NOT NULL,    -- SHA-256 of the secret part
  name       TEXT NOT NULL,    -- what it is for
  role       TEXT NOT NULL,
  made_by    TEXT NOT NULL,
  made_ms    BIGINT NOT NULL,
  expires_ms BIGINT NOT NULL,
  revoked_ms BIGINT NOT NULL DEFAULT 0,
  used_ms    BIGINT NOT NULL DEFAULT 0
);
-- Filters of the queue that somebody keeps by a name.
CREATE TABLE saved_view (
  person TEXT NOT NULL,
  name   TEXT NOT NULL,
  filter TEXT NOT NULL,        -- as in the address of the page
  PRIMARY KEY (person, name)
);

-- +goose Down
DROP TABLE saved_view;
DROP TABLE token;
DROP TABLE account;
