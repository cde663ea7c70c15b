-- +goose Up
-- A sweep judged again: its own words stay as they were.
CREATE TABLE judgement (
  sweep   TEXT NOT NULL,
  made_by TEXT NOT NULL, -- versions of classifier, lists and rules
  made_ms BIGINT NOT NULL,
  sites   BIGINT NOT NULL,
  changed BIGINT NOT NULL,
  PRIMARY KEY (sweep, made_by)
);
-- Only the sites whose word would change.
CREATE TABLE change (
  sweep   TEXT NOT NULL,
  made_by TEXT NOT NULL,
  site    TEXT NOT NULL,
  was     TEXT NOT NULL,
  becomes TEXT NOT NULL,
  differs TEXT NOT NULL,
  verdict TEXT NOT NULL,
  PRIMARY KEY (sweep, made_by, site)
);

-- +goose Down
DROP TABLE change;
DROP TABLE judgement;
