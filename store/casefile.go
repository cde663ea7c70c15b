package store

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	pc "pecrawler"
)

// Where a case stands.
const (
	Undecided     = "undecided"
	SecondReading = "second-reading" // decided once; a second reader has to decide without seeing how
	Disagreement  = "disagreement"   // the two readings differ: for a lead
	Decided       = "decided"
)

// Case is a flagged or review site of a sweep as the queue shows it.
type Case struct {
	Sweep, Site string
	Overall     pc.Overall
	Strength    string // clear, likely, human
	Confidence  float64
	Rules       []string // that failed or are unsure
	Checks      []int    // of the regulator that they belong to
	Rank        int      // 0: not known
	Sector, CMP string
	Seen        time.Time // end of the last visit
	Status      string
	Assignee    string // "": nobody
	Taken       time.Time
	FirstBy     string
	Act         string // the decision that stands; "": none
	Decided     time.Time
}

// Upheld tells whether a decision stands that upholds the case.
func (c Case) Upheld() bool { return c.Status == Decided && c.Act == Uphold }

// unranked is where sites without a rank stand.
const unranked = 1_000_000_000

func strengths() []string { return []string{"", "human", "likely", "clear"} }

// file puts a site into the queue as its word now is, or takes it out; where the
// case stands does not change, and what was decided on stays.
func file(ctx context.Context, tx *sql.Tx, v pc.Verdict) error {
	if v.Overall != pc.Flagged && v.Overall != pc.Review {
		_, err := tx.ExecContext(ctx, `DELETE FROM casefile WHERE sweep = $1 AND site = $2 AND status = 'undecided'`, v.Sweep, v.Site)
		return err
	}
	strength, confidence := 0, 0.0
	var rules, checks []string
	for _, f := range v.Findings {
		if f.Status != "stable" || f.Outcome != pc.Fail && f.Outcome != pc.Unsure {
			continue
		}
		strength = max(strength, slices.Index(strengths(), f.Strength), 1)
		confidence = max(confidence, f.Confidence)
		rules = append(rules, f.Rule)
		if c := strconv.Itoa(f.Check); !slices.Contains(checks, c) {
			checks = append(checks, c)
		}
	}
	reach := v.Rank
	if reach <= 0 {
		reach = unranked
	}
	between := func(s []string) string { return strings.TrimSuffix(" "+strings.Join(s, " "), " ") + " " }
	_, err := tx.ExecContext(ctx, `INSERT INTO casefile (sweep, site, overall, strength, confidence, rules, checks, reach, sector, cmp, seen_ms) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
		ON CONFLICT (sweep, site) DO UPDATE SET overall = excluded.overall, strength = excluded.strength, confidence = excluded.confidence, rules = excluded.rules, checks = excluded.checks, cmp = excluded.cmp, seen_ms = excluded.seen_ms`,
		v.Sweep, v.Site, string(v.Overall), strength, confidence, between(rules), between(checks), reach, clip(text(v.Sector), 200), clip(text(v.Banner.CMP), 200), max(v.Times.Last.Unix(), 0)*1000)
	return err
}

// CaseFilter narrows the queue. Zero fields do not narrow.
type CaseFilter struct {
	Sweep, Rule, Strength, Sector, CMP, Status, Query string
	Overall                                           pc.Overall
	Check                                             int
	Confidence                                        float64 // at least
	Rank                                              int     // at most
	Assignee                                          string  // Nobody: those that nobody has
	Sort                                              string  // "": strength; or reach, confidence, site, oldest
	Limit, Offset                                     int
}

// Nobody is the assignee of cases that nobody has.
const Nobody = "-"

// orders are the orders of the queue; each ends in the key, so that no case is
// listed twice or never.
func orders() map[string]string {
	return map[string]string{
		"":           "overall, strength DESC, confidence DESC, reach, site, sweep",
		"reach":      "reach, site, sweep",
		"confidence": "confidence DESC, site, sweep",
		"site":       "site, sweep",
		"oldest":     "seen_ms, site, sweep",
	}
}

// where gives the conditions of a filter. The columns are hidden from the
// planner where it would gather the cases by one of them and sort them
// afterwards: it is to go along the order's own index.
func (f CaseFilter) where(d dialect) (string, []any) {
	conds, args := []string{"1 = 1"}, []any{}
	add := func(cond string, v any) {
		args = append(args, v)
		conds = append(conds, fmt.Sprintf(cond, len(args)))
	}
	for cond, v := range map[string]string{d.hide("sweep") + " = $%d": f.Sweep, d.hide("sector") + " = $%d": f.Sector, d.hide("cmp") + " = $%d": f.CMP, d.hide("status") + " = $%d": f.Status, d.hide("overall") + " = $%d": string(f.Overall), d.contains("site"): strings.ToLower(f.Query)} {
		if v != "" {
			add(cond, v)
		}
	}
	if f.Rule != "" {
		add(d.contains("rules"), " "+f.Rule+" ")
	}
	if f.Check > 0 {
		add(d.contains("checks"), " "+strconv.Itoa(f.Check)+" ")
	}
	if i := slices.Index(strengths(), f.Strength); i > 0 {
		add(d.hide("strength")+" = $%d", i)
	}
	if f.Confidence > 0 {
		add(d.hide("confidence")+" >= $%d", f.Confidence)
	}
	if f.Rank > 0 {
		add(d.hide("reach")+" <= $%d", f.Rank)
	}
	switch f.Assignee {
	case "":
	case Nobody:
		conds = append(conds, d.hide("assignee")+" = ''")
	default:
		add("assignee = $%d", f.Assignee)
	}
	return strings.Join(conds, " AND "), args
}

// firstOf asks for some cases in an order. Which ones they are is found in the
// order's index alone, and only those are fetched: PostgreSQL would fetch every
// case that it passes.
func firstOf(where, order string, limit, offset int) string {
	return fmt.Sprintf("JOIN (SELECT sweep AS in_sweep, site AS of_site FROM casefile WHERE %s ORDER BY %s LIMIT %d OFFSET %d) AS found ON sweep = in_sweep AND site = of_site ORDER BY %s", where, order, limit, offset, order)
}

// MostCounted is how far the cases of a queue are counted: beyond it nobody
// reads on, and counting 100,000 for each page would take longer than the page.
const MostCounted = 2000

// Cases returns the cases of a filter in its order, and how many there are
// without Limit and Offset, counted up to MostCounted.
func (s *Store) Cases(ctx context.Context, f CaseFilter) ([]Case, int, error) {
	where, args := f.where(s.sql)
	order, ok := orders()[f.Sort]
	if !ok {
		order = orders()[""]
	}
	f.Limit, f.Offset = max(f.Limit, 1), max(f.Offset, 0)
	out, err := cases(ctx, s.db, firstOf(where, order, f.Limit, f.Offset), args...)
	if err != nil || len(out) < f.Limit && (len(out) > 0 || f.Offset == 0) {
		return out, f.Offset + len(out), err // the last page says how many there are
	}
	var total int
	if err := s.db.QueryRowContext(ctx, fmt.Sprintf("SELECT count(*) FROM (SELECT 1 FROM casefile WHERE %s LIMIT %d) AS counted", where, MostCounted), args...).Scan(&total); err != nil {
		return nil, 0, fmt.Errorf("count cases: %w", err)
	}
	return out, max(total, min(f.Offset+len(out), MostCounted)), nil
}

// Case returns one case, or ErrNotFound.
func (s *Store) Case(ctx context.Context, sweep, site string) (Case, error) {
	return oneCase(ctx, s.db, sweep, site)
}

// CasesOf returns the cases of a site over all sweeps, the newest first.
func (s *Store) CasesOf(ctx context.Context, site string) ([]Case, error) {
	return cases(ctx, s.db, `WHERE site = $1 ORDER BY seen_ms DESC, sweep`, site)
}

func oneCase(ctx context.Context, q querier, sweep, site string) (Case, error) {
	cs, err := cases(ctx, q, `WHERE sweep = $1 AND site = $2`, sweep, site)
	if err != nil {
		return Case{}, err
	}
	if len(cs) == 0 {
		return Case{}, ErrNotFound
	}
	return cs[0], nil
}

func cases(ctx context.Context, q querier, where string, args ...any) ([]Case, error) {
	rows, err := q.QueryContext(ctx, `SELECT sweep, site, overall, strength, confidence, rules, checks, reach, sector, cmp, seen_ms, status, assignee, taken_ms, first_by, act, decided_ms FROM casefile `+where, args...)
	if err != nil {
		return nil, fmt.Errorf("read cases: %w", err)
	}
	defer rows.Close()
	var out []Case
	for rows.Next() {
		var c Case
		var strength int
		var rules, checks string
		var seen, taken, decided int64
		if err := rows.Scan(&c.Sweep, &c.Site, (*string)(&c.Overall), &strength, &c.Confidence, &rules, &checks, &c.Rank, &c.Sector, &c.CMP, &seen, &c.Status, &c.Assignee, &taken, &c.FirstBy, &c.Act, &decided); err != nil {
			return nil, fmt.Errorf("read cases: %w", err)
		}
		c.Strength = strengths()[min(max(strength, 0), 3)]
		c.Rules = strings.Fields(rules)
		for _, k := range strings.Fields(checks) {
			if n, _ := strconv.Atoi(k); n > 0 {
				c.Checks = append(c.Checks, n)
			}
		}
		if c.Rank == unranked {
			c.Rank = 0
		}
		c.Seen, c.Taken, c.Decided = fromMilli(seen), fromMilli(taken), fromMilli(decided)
		out = append(out, c)
	}
	return out, rows.Err()
}

// fromMilli reads a time; 0 is none.
func fromMilli(ms int64) time.Time {
	if ms <= 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// Choices are the values that a queue can be narrowed to.
type Choices struct{ Rules, Sectors, CMPs []string }

// CaseChoices returns the values that occur, sorted. Each is one step in an
// index, however many cases have it.
func (s *Store) CaseChoices(ctx context.Context) (c Choices, err error) {
	for column, to := range map[string]*[]string{"sector": &c.Sectors, "cmp": &c.CMPs, "rules": &c.Rules} {
		rows, err := s.db.QueryContext(ctx, fmt.Sprintf(`WITH RECURSIVE step (v) AS (
			SELECT min(%[1]s) FROM casefile WHERE %[1]s > ''
			UNION ALL SELECT (SELECT min(%[1]s) FROM casefile WHERE %[1]s > step.v) FROM step WHERE step.v IS NOT NULL)
			SELECT v FROM step WHERE v IS NOT NULL LIMIT 500`, column))
		if err != nil {
			return c, fmt.Errorf("read the choices of the queue: %w", err)
		}
		defer rows.Close()
		for rows.Next() {
			var v string
			if err := rows.Scan(&v); err != nil {
				return c, fmt.Errorf("read the choices of the queue: %w", err)
			}
			*to = append(*to, v)
		}
		if err := rows.Err(); err != nil {
			return c, fmt.Errorf("read the choices of the queue: %w", err)
		}
	}
	rules := strings.Fields(strings.Join(c.Rules, " "))
	slices.Sort(rules)
	c.Rules = slices.Compact(rules)
	return c, nil
}

// Take gives a case to a person who saw that from had it ("": nobody); if that
// is no longer so, it is refused with ErrTaken.
func (s *Store) Take(ctx context.Context, sweep, site, who, from string, at time.Time) error {
	return s.logged(ctx, "take "+site, func(tx *sql.Tx) error { return take(ctx, tx, sweep, site, who, from, at) })
}

func take(ctx context.Context, tx *sql.Tx, sweep, site, who, from string, at time.Time) error {
	n, err := changed(tx.ExecContext(ctx, `UPDATE casefile SET assignee = $1, taken_ms = $2 WHERE sweep = $3 AND site = $4 AND assignee = $5`, who, at.UnixMilli(), sweep, site, from))
	if err != nil {
		return err
	}
	if n == 0 {
		return ErrTaken
	}
	detail := ""
	if from != "" {
		detail = "from " + from
	}
	return note(ctx, tx, Entry{At: at, Who: who, Act: "take", Subject: sweep + "/" + site, Detail: detail})
}

// Release gives a case back that a person has.
func (s *Store) Release(ctx context.Context, sweep, site, who string, at time.Time) error {
	return s.logged(ctx, "give back "+site, func(tx *sql.Tx) error {
		n, err := changed(tx.ExecContext(ctx, `UPDATE casefile SET assignee = '', taken_ms = 0 WHERE sweep = $1 AND site = $2 AND assignee = $3`, sweep, site, who))
		if err != nil {
			return err
		}
		if n == 0 {
			return ErrTaken
		}
		return note(ctx, tx, Entry{At: at, Who: who, Act: "release", Subject: sweep + "/" + site})
	})
}

// TakeNext gives a person the first case of a filter that nobody has and that
// waits for them, or ErrNotFound. Two people never get the same one.
func (s *Store) TakeNext(ctx context.Context, f CaseFilter, who string, lead bool, at time.Time) (Case, error) {
	f.Status, f.Assignee = "", Nobody
	where, args := f.where(s.sql)
	open := func(i int) string {
		cond := fmt.Sprintf("(status = 'undecided' OR status = 'second-reading' AND first_by <> $%d", i)
		if lead {
			cond += " OR status = 'disagreement'"
		}
		return cond + ")"
	}
	order, ok := orders()[f.Sort]
	if !ok {
		order = orders()[""]
	}
	var c Case
	err := s.logged(ctx, "take the next case", func(tx *sql.Tx) error {
		cs, err := cases(ctx, tx, firstOf(where+" AND "+open(len(args)+1), order, 1, 0), append(args, who)...)
		if err != nil {
			return err
		}
		if len(cs) == 0 {
			return ErrNotFound
		}
		c = cs[0]
		return take(ctx, tx, c.Sweep, c.Site, who, "", at)
	})
	return c, err
}

// Revisits returns the addresses of the sites that somebody wants another visit
// of, of one sweep or ("") of all.
func (s *Store) Revisits(ctx context.Context, sweep string) ([]string, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT DISTINCT CASE site.url WHEN '' THEN c.site ELSE coalesce(site.url, c.site) END FROM casefile c LEFT JOIN site ON site.sweep = c.sweep AND site.site = c.site
		WHERE c.status = 'decided' AND c.act = 'revisit' AND ($1 = '' OR c.sweep = $1) ORDER BY 1`, sweep)
	if err != nil {
		return nil, fmt.Errorf("read the wanted visits: %w", err)
	}
	defer rows.Close()
	var out []string
	for rows.Next() {
		var u string
		if err := rows.Scan(&u); err != nil {
			return nil, fmt.Errorf("read the wanted visits: %w", err)
		}
		out = append(out, u)
	}
	return out, rows.Err()
}
