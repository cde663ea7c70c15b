-- +goose Up
-- What people do with flagged sites. decision and audit only grow: the triggers
-- refuse to change or remove a line, whoever asks.
CREATE TABLE decision (
  id      INTEGER PRIMARY KEY, -- in the order in which they were made
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
  seq     INTEGER PRIMARY KEY, -- 1, 2, 3 and so on, without a gap
  at_ms   BIGINT NOT NULL,
  who     TEXT NOT NULL,
  act     TEXT NOT NULL,
  subject TEXT NOT NULL,
  detail  TEXT NOT NULL,
  prev    TEXT NOT NULL,       -- hash of the entry before
  hash    TEXT NOT NULL
);
-- +goose StatementBegin
CREATE TRIGGER decision_stays BEFORE UPDATE ON decision BEGIN SELECT RAISE(ABORT, 'a decision is never changed'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER decision_remains BEFORE DELETE ON decision BEGIN SELECT RAISE(ABORT, 'a decision is never removed'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER audit_stays BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'the audit log is never changed'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER audit_remains BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'nothing is removed from the audit log'); END;
-- +goose StatementEnd
-- One row for each flagged or review site: what the queue filters and sorts by,
-- and where the case stands. The lists hold words between blanks.
CREATE TABLE casefile (
  sweep      TEXT NOT NULL,
  site       TEXT NOT NULL,
  overall    TEXT NOT NULL,
  strength   BIGINT NOT NULL,  -- 3 clear, 2 likely, 1 human
  confidence REAL NOT NULL,
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
-- The sites that are there already.
INSERT INTO casefile (sweep, site, overall, strength, confidence, rules, checks, reach, sector, cmp, seen_ms)
SELECT w.sweep, w.site, w.overall, coalesce(max(f.strength), 0), coalesce(max(f.confidence), 0),
  coalesce(' ' || group_concat(f.rule, ' ') || ' ', ' '), coalesce(' ' || group_concat(DISTINCT f.chk) || ' ', ' '),
  CASE WHEN w.rank > 0 THEN w.rank ELSE 1000000000 END, coalesce(json_extract(w.verdict, '$.sector'), ''), w.cmp,
  CAST(coalesce(strftime('%s', json_extract(w.verdict, '$.times.last')), 0) AS INTEGER) * 1000
FROM word w LEFT JOIN (
  SELECT v.sweep, v.site, json_extract(j.value, '$.rule') AS rule, json_extract(j.value, '$.check') AS chk,
    CASE json_extract(j.value, '$.strength') WHEN 'clear' THEN 3 WHEN 'likely' THEN 2 ELSE 1 END AS strength,
    json_extract(j.value, '$.confidence') AS confidence
  FROM word v, json_each(v.verdict, '$.findings') j
  WHERE v.overall IN ('flagged', 'review') AND json_extract(j.value, '$.outcome') IN ('fail', 'unsure') AND json_extract(j.value, '$.status') = 'stable'
) f ON f.sweep = w.sweep AND f.site = w.site
WHERE w.overall IN ('flagged', 'review') GROUP BY w.sweep, w.site;
UPDATE casefile SET checks = replace(checks, ',', ' ');

-- +goose Down
DROP INDEX word_site;
DROP TABLE casefile;
DROP TABLE audit;
DROP TABLE decision;
