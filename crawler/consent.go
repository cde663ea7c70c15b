package crawler

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/runtime"

	pc "pecrawler"
)

//go:embed consent.js
var consentJS string

const (
	maxConsent  = 16 << 10 // of one interface
	maxConsents = 200
)

var errNoAnswer = errors.New("the page's answer about consent could not be read")

// consent asks the page's consent interfaces what they hold. It is the page that
// answers, so whatever is wrong with the answer is said and costs nothing else.
func (r *run) consent(ctx context.Context, mark pc.MarkName) {
	said, err := r.t.askConsent(ctx)
	if err != nil {
		r.missing(pc.ArtifactConsent, err.Error())
		return
	}
	for _, api := range slices.Sorted(maps.Keys(said)) {
		data := json.RawMessage(said[api])
		if len(data) > maxConsent || !json.Valid(data) || len(r.capt.Consent) >= maxConsents {
			continue
		}
		same := func(c pc.ConsentState) bool { return c.Mark == mark && c.API == api && bytes.Equal(c.Data, data) }
		if !slices.ContainsFunc(r.capt.Consent, same) {
			r.capt.Consent = append(r.capt.Consent, pc.ConsentState{Mark: mark, At: r.t.at(), API: cut(api, 100), Data: data})
		}
	}
}

// askConsent returns the answers by interface, each as JSON.
func (t *tab) askConsent(ctx context.Context) (map[string]string, error) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	yes := true
	res, err := cdp.Call(ctx, t.page, runtime.Evaluate, runtime.EvaluateParams{Expression: consentJS, ReturnByValue: &yes, AwaitPromise: &yes, Silent: &yes, Timeout: 1000})
	if err != nil {
		return nil, err
	}
	var text string
	said := map[string]string{}
	if res.ExceptionDetails != nil || res.Result == nil || json.Unmarshal(res.Result.Value, &text) != nil || json.Unmarshal([]byte(text), &said) != nil {
		return nil, errNoAnswer
	}
	return said, nil
}
