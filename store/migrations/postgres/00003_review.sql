-- +goose Up
-- What people do with flagged sites. decision and audit only grow: the triggers
-- refuse to change or remove a line, whoever asks.
CREATE TABLE decision (
  id      BIGINT PRIMARY KEY, -- in the order in which they were made
  sweep   TEXT NOT NULL,
  site    TEXT NOT NULL,
  rule    TEXT NOT NULL,       -- '' for the site as a whole
  act     TEXT NOT NULL,       -- uphold, dismiss, unsure, revisit
  reason  TEXT NOT NULL,
  note    TEXT NOT NULL,
  by_whom TEXT NOT NULL,
  at_ms   BIGINT NOT NULL,
  reading BIGINT NOT NULL,     -- 1 the first, 2 the blind second, 3 the lead's, more: corrections
  verdict TEXT NOT NULL        -- digest of the verdict that it speaks of
);
CREATE INDEX decision_site ON decision (sweep, site, id);
CREATE TABLE audit (
  seq     BIGINT PRIMARY KEY, -- 1, 2, 3 and so on, without a gap
  at_ms   BIGINT NOT NULL,
  who     TEXT NOT NULL,
  act     TEXT NOT NULL,
  subject TEXT NOT NULL,
  detail  TEXT NOT NULL,
  prev    TEXT NOT NULL,       -- hash of the entry before
  hash    TEXT NOT NULL
);
-- +goose StatementBegin
CREATE FUNCTION only_grows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'nothing is changed or removed in %', TG_TABLE_NAME;
END $$;
-- +goose StatementEnd
CREATE TRIGGER decision_stays BEFORE UPDATE ON decision EXECUTE FUNCTION only_grows();
CREATE TRIGGER decision_remains BEFORE DELETE OR TRUNCATE ON decision EXECUTE FUNCTION only_grows();
CREATE TRIGGER audit_stays BEFORE UPDATE ON audit EXECUTE FUNCTION only_grows();
CREATE TRIGGER audit_remains BEFORE DELETE OR TRUNCATE ON audit EXECUTE FUNCTION only_grows();
-- One row for each flagged or review site: what the queue filters and sorts by,
-- and where the case stands. The lists hold words between blanks.
CREATE TABLE casefile (
  sweep      TEXT NOT NULL,
  site       TEXT NOT NULL,
  overall    TEXT NOT NULL,
  strength   BIGINT NOT NULL,  -- 3 clear, 2 likely, 1 human
  confidence DOUBLE PRECISION NOT NULL,
  rules      TEXT NOT NULL,    -- that failed or are unsure
  checks     TEXT NOT NULL,    -- of the regulator that they belong to
  reach      BIGINT NOT NULL,  -- the rank; unranked sites come last
  sector     TEXT NOT NULL,
  cmp        TEXT NOT NULL,
  seen_ms    BIGINT NOT NULL,  -- end of the last visit
  status     TEXT NOT NULL DEFAULT 'undecided',
  assignee   TEXT NOT NULL DEFAULT '',
  taken_ms   BIGINT NOT NULL DEFAULT 0,
  first_by   TEXT NOT NULL DEFAULT '',  -- who made the first reading
  act        TEXT NOT NULL DEFAULT '',  -- the decision that stands
  decided_ms BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (sweep, site)
);
-- Each order of the queue is read along an index that holds all that a filter
-- asks for, so that the longest way is through 100,000 lines that lie side by side.
CREATE INDEX casefile_order ON casefile (overall, strength DESC, confidence DESC, reach, site, sweep, status, sector, cmp, assignee, rules, checks, first_by);
CREATE INDEX casefile_reach ON casefile (reach, site, sweep, status, overall, strength, confidence, sector, cmp, assignee, rules, checks, first_by);
CREATE INDEX casefile_confidence ON casefile (confidence DESC, site, sweep, status, overall, strength, reach, sector, cmp, assignee, rules, checks, first_by);
CREATE INDEX casefile_site ON casefile (site, sweep, status, overall, strength, confidence, reach, sector, cmp, assignee, rules, checks, first_by);
CREATE INDEX casefile_age ON casefile (seen_ms, site, sweep, status, overall, strength, confidence, reach, sector, cmp, assignee, rules, checks, first_by);
CREATE INDEX casefile_sector ON casefile (sector);
CREATE INDEX casefile_cmp ON casefile (cmp);
CREATE INDEX casefile_rules ON casefile (rules);
CREATE INDEX casefile_assignee ON casefile (assignee);
CREATE INDEX word_site ON word (site);

-- +goose Down
DROP INDEX word_site;
DROP TABLE casefile;
DROP TABLE audit;
DROP TABLE decision;
DROP FUNCTION only_grows;
