package classifier

import (
	"encoding/json"
	"testing"

	pc "pecrawler"
)

func TestReadings(t *testing.T) {
	for _, tt := range []struct{ name, api, data, ads, stats string }{
		{"the TCF asks, and holds consent", "tcf", `{"gdprApplies":true,"eventStatus":"cmpuishown","purpose":{"consents":{"1":true,"3":true}}}`, "granted", ""},
		{"the TCF asks", "tcf", `{"gdprApplies":true,"eventStatus":"cmpuishown","purpose":{"consents":{}}}`, "denied", "denied"},
		{"the TCF, measured only", "tcf", `{"gdprApplies":true,"purpose":{"consents":{"1":true,"8":true}}}`, "", "granted"},
		{"the TCF does not apply", "tcf", `{"gdprApplies":false,"purpose":{"consents":{"1":true,"3":true}}}`, "", ""},
		{"the TCF, for no vendor", "tcf", `{"gdprApplies":true,"purpose":{"consents":{"1":true,"3":true}},"vendor":{"consents":{"755":false}}}`, "denied", "denied"},
		{"Consent Mode, updated", "google.commands", `[{"command":"default","parameters":{"ad_storage":"denied","analytics_storage":"denied"}},{"command":"update","parameters":{"analytics_storage":"granted"}}]`, "denied", "granted"},
		{"Consent Mode, denied here", "google.commands", `[{"command":"default","parameters":{"region":["GB","FR"],"ad_storage":"denied"}},{"command":"default","parameters":{"ad_storage":"granted"}}]`, "denied", ""},
		{"Consent Mode, denied elsewhere only", "google.commands", `[{"command":"default","parameters":{"region":["DE"],"ad_storage":"denied"}}]`, "", ""},
		{"the United States", "usp", `{"uspString":"1YNN"}`, "", ""},
		{"an objection in the United States", "usp", `{"uspString":"1YYN"}`, "denied", ""},
		{"the GPP of another country", "gpp", `{"parsedSections":{"usnat":{"SaleOptOut":2}}}`, "", ""},
		{"the European section", "gpp", `{"parsedSections":{"tcfeuv2":{"PurposeConsents":[true,true,true,true]}}}`, "granted", ""},
		{"OneTrust by its numbers", "onetrust.active", `",C0001,C0002,"`, "denied", "granted"},
		{"Cookiebot", "cookiebot", `{"consent":{"necessary":true,"statistics":true,"marketing":false},"answered":true}`, "denied", "granted"},
		{"CookieYes", "cookieyes", `{"categories":{"necessary":true,"analytics":false,"advertisement":true}}`, "granted", "denied"},
		{"Civic, as a text", "civic", `"{\"optionalCookies\":{\"analytics\":\"accepted\",\"marketing\":\"revoked\"}}"`, "denied", "granted"},
		{"Osano", "osano", `{"ANALYTICS":"DENY","MARKETING":"ACCEPT"}`, "granted", "denied"},
		{"vanilla-cookieconsent", "vanilla-cookieconsent", `{"acceptedCategories":["necessary","analytics"],"rejectedCategories":["marketing"]}`, "denied", "granted"},
		{"Usercentrics", "usercentrics", `[{"name":"X","category":"marketing","consent":true},{"name":"Y","category":"essential","consent":true}]`, "granted", ""},
		{"Didomi", "didomi", `{"purposes":{"consent":{"enabled":["measure_content_performance"],"disabled":["select_personalized_ads"]}}}`, "denied", "granted"},
	} {
		capt := &pc.Capture{Scenario: pc.Idle, Marks: []pc.Mark{{Name: pc.MarkSettled, At: 9}}, Consent: []pc.ConsentState{{Mark: pc.MarkSettled, At: 5, API: tt.api, Data: json.RawMessage(tt.data)}}}
		got := readings(capt)
		if len(got) != 1 {
			t.Errorf("%s: %d readings", tt.name, len(got))
			continue
		}
		r := got[0]
		if r.Advertising != tt.ads || r.Statistics != tt.stats {
			t.Errorf("%s: advertising %q, statistics %q; want %q, %q (%s)", tt.name, r.Advertising, r.Statistics, tt.ads, tt.stats, r.Why)
		}
		if r.Phase != pc.PhaseBefore || r.Why == "" || r.Confidence == 0 || r.Refs[0] != "idle/consent/0" {
			t.Errorf("%s: %+v", tt.name, r)
		}
	}
	for _, data := range []string{`null`, `"x"`, `[1,{"a":[[[[[[[[true]]]]]]]]}]`, `{"cut":"…"}`, `{`} {
		for _, api := range []string{"tcf", "gpp", "usp", "google.commands", "onetrust.active", "klaro", "didomi"} {
			for _, r := range readings(&pc.Capture{Scenario: pc.Idle, Consent: []pc.ConsentState{{API: api, Data: json.RawMessage(data)}}}) {
				if r.Advertising == granted || r.Statistics == granted {
					t.Errorf("%s %s: granted", api, data)
				}
			}
		}
	}
}
