-- +goose Up
-- When somebody's sessions were ended: those that began before are not good any more.
CREATE TABLE ended (
  person TEXT PRIMARY KEY,
  at_ms  BIGINT NOT NULL
);

-- +goose Down
DROP TABLE ended;
