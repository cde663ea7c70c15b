package lab

import (
	"embed"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

//go:embed texts
var textFiles embed.FS

// Texts is what banners and pages say in one language, texts/<lang>.yaml.
type Texts struct {
	Lang   string      `yaml:"lang"` // of the html element
	Name   string      `yaml:"name"`
	Banner BannerTexts `yaml:"banner"`
	Page   PageTexts   `yaml:"page"`
}

// BannerTexts are the words of banners; of lists a site takes one. {purposes}
// stands for what the site wants to do.
type BannerTexts struct {
	Title              []string `yaml:"title"`
	Intro              []string `yaml:"intro"`
	StatisticsPurpose  string   `yaml:"statistics_purpose"`
	AdvertisingPurpose string   `yaml:"advertising_purpose"`
	And                string   `yaml:"and"`
	Accept             []string `yaml:"accept"`
	Reject             []string `yaml:"reject"`
	Settings           []string `yaml:"settings"`
	Save               []string `yaml:"save"`
	OK                 []string `yaml:"ok"`
	Close              string   `yaml:"close"`
	Sure               string   `yaml:"sure"`
	SureYes            string   `yaml:"sure_yes"`
	SettingsTitle      []string `yaml:"settings_title"`
	Necessary          []string `yaml:"necessary"`
	NecessaryText      string   `yaml:"necessary_text"`
	Statistics         []string `yaml:"statistics"`
	StatisticsText     string   `yaml:"statistics_text"`
	Advertising        []string `yaml:"advertising"`
	AdvertisingText    string   `yaml:"advertising_text"`
	Object             []string `yaml:"object"`
	Policy             string   `yaml:"policy"`
	Privacy            string   `yaml:"privacy"`
	Reopen             []string `yaml:"reopen"`
	Shame              string   `yaml:"shame"`
	Pay                string   `yaml:"pay"`
	Implied            string   `yaml:"implied"`
	Legitimate         string   `yaml:"legitimate"`
	Notice             string   `yaml:"notice"`
	StatNotice         string   `yaml:"stat_notice"`
	StatOn             string   `yaml:"stat_on"`
	StatOff            string   `yaml:"stat_off"`
}

// PageTexts are the words of pages.
type PageTexts struct {
	Nav         []string `yaml:"nav"`
	More        string   `yaml:"more"`
	Hero        []string `yaml:"hero"`
	Lead        []string `yaml:"lead"`
	Cards       []string `yaml:"cards"` // "title | text"
	Paragraphs  []string `yaml:"paragraphs"`
	CookiesLead string   `yaml:"cookies_lead"`
	Keeps       string   `yaml:"keeps"` // of the policy: what for, how long, and who else receives it
	Withdraw    string   `yaml:"withdraw"`
	Footer      []string `yaml:"footer"`
}

// texts reads every language. The error names the file.
func texts() (map[string]*Texts, error) {
	files, err := textFiles.ReadDir("texts")
	if err != nil {
		return nil, err
	}
	out := map[string]*Texts{}
	for _, f := range files {
		raw, err := textFiles.ReadFile("texts/" + f.Name())
		if err != nil {
			return nil, err
		}
		t := &Texts{}
		dec := yaml.NewDecoder(strings.NewReader(string(raw)))
		dec.KnownFields(true)
		if err := dec.Decode(t); err != nil {
			return nil, fmt.Errorf("lab/texts/%s: %w", f.Name(), err)
		}
		for name, list := range map[string][]string{"title": t.Banner.Title, "intro": t.Banner.Intro, "accept": t.Banner.Accept, "reject": t.Banner.Reject, "settings": t.Banner.Settings, "save": t.Banner.Save, "ok": t.Banner.OK,
			"necessary": t.Banner.Necessary, "statistics": t.Banner.Statistics, "advertising": t.Banner.Advertising, "object": t.Banner.Object, "reopen": t.Banner.Reopen, "settings_title": t.Banner.SettingsTitle,
			"nav": t.Page.Nav, "hero": t.Page.Hero, "lead": t.Page.Lead, "cards": t.Page.Cards, "paragraphs": t.Page.Paragraphs, "footer": t.Page.Footer} {
			if len(list) == 0 {
				return nil, fmt.Errorf("lab/texts/%s: %s is empty", f.Name(), name)
			}
		}
		out[strings.TrimSuffix(f.Name(), ".yaml")] = t
	}
	return out, nil
}
