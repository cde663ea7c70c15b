-- +goose Up
CREATE TABLE sweep (
  id          TEXT PRIMARY KEY,
  list_digest TEXT NOT NULL,
  settings    TEXT NOT NULL,
  agree       BIGINT NOT NULL,
  created_ms  BIGINT NOT NULL,
  finished_ms BIGINT NOT NULL DEFAULT 0
);
CREATE TABLE site (
  sweep  TEXT NOT NULL,
  site   TEXT NOT NULL,
  line   BIGINT NOT NULL,
  url    TEXT NOT NULL,
  rank   BIGINT NOT NULL,
  sector TEXT NOT NULL,
  PRIMARY KEY (sweep, site)
);
-- One row a visit; the natural key makes a second write harmless.
CREATE TABLE result (
  sweep   TEXT NOT NULL,
  site    TEXT NOT NULL,
  visit   BIGINT NOT NULL,
  verdict TEXT NOT NULL,
  PRIMARY KEY (sweep, site, visit)
);
-- The last word on a site; a later one replaces an earlier one.
CREATE TABLE word (
  sweep   TEXT NOT NULL,
  site    TEXT NOT NULL,
  overall TEXT NOT NULL,
  outcome TEXT NOT NULL,
  reason  TEXT NOT NULL,
  cmp     TEXT NOT NULL,
  rank    BIGINT NOT NULL,
  verdict TEXT NOT NULL,
  PRIMARY KEY (sweep, site)
);
CREATE INDEX word_overall ON word (sweep, overall, site);
CREATE TABLE finding (
  sweep   TEXT NOT NULL,
  site    TEXT NOT NULL,
  rule    TEXT NOT NULL,
  outcome TEXT NOT NULL,
  PRIMARY KEY (sweep, site, rule)
);
CREATE INDEX finding_rule ON finding (sweep, rule, outcome, site);

-- +goose Down
DROP TABLE finding;
DROP TABLE word;
DROP TABLE result;
DROP TABLE site;
DROP TABLE sweep;
