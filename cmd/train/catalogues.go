package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// roleOf says by its key what a text of a catalogue is for; the first that
// matches decides. "-" is a text that no control has.
var roleOf = map[string][]struct{ key, role string }{
	"c15t": {
		{`(?:^|\.)acceptAll$`, "accept"}, {`(?:^|\.)rejectAll$`, "reject"}, {`(?:^|\.)customize$`, "settings"}, {`(?:^|\.)save(?:Settings)?$`, "save"}, {`(?:^|\.)close$`, "close"},
		{`objectButton$`, "-"}, {`(?:privacyPolicy|cookiePolicy|termsOfService|storageDisclosure)$`, "policy"}, {`(?:partnersLink|\.partners|vendors|customVendorsHeading|iabVendorsHeading|partnersUsingPurpose)$`, "vendors"},
		{`consentTypes\..*title$|legitimateInterest$`, "toggle"}, {`frame\.actionButton$`, "-"}, {`description|Notice$|tooltip|consentStorage|rightToObject|policyBlocked|frame\.title`, "-"}, {`.`, "other"},
	},
	"tarteaucitron": {
		{`^(?:acceptAll|allowAll|allow)$`, "accept"}, {`^(?:denyAll|deny)$`, "reject"}, {`^(?:personalize|alertSmall)$`, "settings"}, {`^(?:close|closeBanner)$`, "close"}, {`^save$`, "save"}, {`^(?:privacyUrl|more)$`, "policy"}, {`^ourpartners$`, "vendors"},
		{`\.title$|^mandatoryTitle$|^(?:dis)?allowed$`, "toggle"}, {`^(?:source|credit|toggleInfoBox|cookieDetail|title|icon|reload|adblock_call|info|newWindow|modalWindow)$`, "other"}, {`.`, "-"},
	},
	"68publishers": {
		{`primary_btn$|accept_all_btn$`, "accept"}, {`secondary_btn_accept_necessary$|reject_all_btn$`, "reject"}, {`secondary_btn_settings$|modal_trigger_title$`, "settings"}, {`save_settings_btn$`, "save"}, {`close_btn_label$`, "close"},
		{`storage_title$|ad_user_data_title$|ad_personalization_title$`, "toggle"}, {`_title$`, "other"}, {`.`, "-"},
	},
	"nuxt-cookie-control": {
		{`^accept(?:All)?$`, "accept"}, {`^decline(?:All)?$`, "reject"}, {`^manageCookies$`, "settings"}, {`^save$`, "save"}, {`^close$`, "close"}, {`^cookies(?:Functional|Necessary|Optional)$`, "toggle"}, {`^bannerTitle$|^settingsUnsaved$`, "other"}, {`.`, "-"},
	},
	"pie": {
		{`acceptAll$`, "accept"}, {`necessaryOnly$`, "reject"}, {`cta\.managePreferences$`, "settings"}, {`save\.label$`, "save"}, {`preferencesManagement\.(?:necessary|functional|analytical|personalized)\.title$`, "toggle"}, {`\.title$`, "other"}, {`.`, "-"},
	},
	"klaro": {
		{`^acceptAll$`, "accept"}, {`^decline$`, "reject"}, {`^acceptSelected$`, "save"}, {`^save$`, "save"}, {`^close$`, "close"}, {`^consentNotice\.learnMore$`, "settings"}, {`^ok$`, "accept"}, {`^privacyPolicy\.name$`, "policy"}, {`^purposes\..*title$|optOut\.title$|required\.title$`, "toggle"},
		{`title$|^poweredBy$|^purposeItem|^service\.purposes?$`, "other"}, {`.`, "-"},
	},
	"auth0-lock": {{`.`, "other"}},
	"video.js":   {{`^(?:Close|Close Modal Dialog)$`, "close"}, {`.`, "other"}},
	"payload":    {{`(?:^|\.)(?:close|dismiss)$`, "close"}, {`.`, "other"}},
	"ui5":        {{`CLOSE`, "close"}, {`.`, "other"}},
}

// offBanner are the sources whose texts are on no banner.
func offBanner(source string) bool {
	return slices.Contains([]string{"auth0-lock", "video.js", "payload", "ui5", "grammar-en-off"}, source)
}

// catalogues reads the texts of the packages.
func catalogues(ctx context.Context, cache string) ([]row, error) {
	script, err := filepath.Abs(filepath.Join("cmd", "train", "extract.mjs"))
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, "node", script, cache)
	cmd.Stderr = os.Stderr
	raw, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("read the packages (go run ./cmd/train fetch takes them): %w", err)
	}
	type entry struct{ Source, Lang, Key, Text, Role string }
	var es []entry
	for sc := bufio.NewScanner(bytes.NewReader(raw)); sc.Scan(); {
		var e entry
		if err := json.Unmarshal(sc.Bytes(), &e); err != nil {
			return nil, err
		}
		es = append(es, e)
	}
	files, err := filepath.Glob(filepath.Join(cache, "node_modules", "klaro", "src", "translations", "*.yml"))
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		lang := strings.TrimSuffix(filepath.Base(f), ".yml")
		if strings.Contains(lang, ".") {
			continue // a reference for translators
		}
		raw, err := os.ReadFile(f)
		if err != nil {
			return nil, err
		}
		var tree map[string]any
		if err := yaml.Unmarshal(raw, &tree); err != nil {
			return nil, fmt.Errorf("%s: %w", f, err)
		}
		flat(tree, "", func(key, text string) { es = append(es, entry{Source: "klaro", Lang: lang, Key: key, Text: text}) })
	}
	res := map[string]*regexp.Regexp{}
	var out []row
	for _, e := range es {
		role := e.Role
		for _, r := range roleOf[e.Source] {
			if res[r.key] == nil {
				res[r.key] = regexp.MustCompile(r.key)
			}
			if res[r.key].MatchString(e.Key) {
				role = r.role
				break
			}
		}
		text := plain(e.Text)
		if role == "" || role == "-" || len(text) < 1 || len([]rune(text)) > 120 {
			continue
		}
		out = append(out, row{e.Source, language(e.Lang), role, text})
	}
	return out, nil
}

var (
	tags   = regexp.MustCompile(`<[^>]*>`)
	places = regexp.MustCompile(`\{\{?[^}]*\}?\}|%[sd]|\[[A-Z_]+\]`)
)

// plain is a text of a catalogue as a visitor sees it: a number stands where one would.
func plain(s string) string {
	return strings.Join(strings.Fields(places.ReplaceAllString(tags.ReplaceAllString(s, " "), "12")), " ")
}

// language unifies the codes; some packages use a country's.
func language(code string) string {
	code, _, _ = strings.Cut(strings.ToLower(strings.ReplaceAll(code, "_", "-")), "-")
	if l, ok := map[string]string{"se": "sv", "cn": "zh", "ua": "uk", "gr": "el", "dk": "da", "nb": "no"}[code]; ok {
		return l
	}
	return code
}

func flat(v any, key string, tell func(key, text string)) {
	switch v := v.(type) {
	case string:
		tell(key, v)
	case map[string]any:
		keys := make([]string, 0, len(v))
		for k := range v {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		for _, k := range keys {
			flat(v[k], strings.TrimPrefix(key+"."+k, "."), tell)
		}
	}
}
