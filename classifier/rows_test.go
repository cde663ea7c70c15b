package classifier_test

import (
	"strings"
	"testing"

	pc "pecrawler"
	"pecrawler/classifier"
)

// What the DOM and a consent manager's own names tell stands before the text;
// without either, a word of every form is no choice.
func TestAControlThatIsOnNoPage(t *testing.T) {
	c := newClassifier(t)
	for _, x := range []struct {
		row  classifier.ControlRow
		want pc.Action
		why  string
	}{
		{classifier.ControlRow{Text: "Accept all"}, pc.ActAccept, "accept all"},
		{classifier.ControlRow{Text: "Marketing"}, pc.ActToggle, ""},
		{classifier.ControlRow{Text: "Marketing", Tag: "button"}, pc.ActOther, "is none"},
		{classifier.ControlRow{Text: "Marketing", Tag: "input", Attrs: map[string]string{"type": "checkbox"}}, pc.ActToggle, "checkbox"},
		{classifier.ControlRow{Text: "Consent", Tag: "a", Attrs: map[string]string{"role": "tab", "href": "#"}}, pc.ActOther, "tab"},
		{classifier.ControlRow{Text: "Mehr", Tag: "button", Attrs: map[string]string{"id": "onetrust-pc-btn-handler"}}, pc.ActSettings, "onetrust-pc-btn-handler"},
		{classifier.ControlRow{Text: "Reject all", Tag: "button", Attrs: map[string]string{"id": "onetrust-accept-btn-handler"}}, pc.ActReject, "reject"},
		{classifier.ControlRow{Text: "Here", Tag: "a", Attrs: map[string]string{"href": "/cookie-policy"}}, pc.ActPolicy, ""},
		{classifier.ControlRow{Text: "switch this off", Tag: "a", Attrs: map[string]string{"href": "/cookies"}}, pc.ActPolicy, "links to a page"},
		{classifier.ControlRow{Text: "Reject", Tag: "a", Attrs: map[string]string{"href": "/cookies?choice=no"}}, pc.ActReject, "reject"},
		{classifier.ControlRow{Text: "View cookies", Tag: "a", Attrs: map[string]string{"href": "/cookies"}}, pc.ActPolicy, "links to a page"},
		{classifier.ControlRow{Text: "Learn more", Tag: "button", Attrs: map[string]string{"aria-haspopup": "dialog"}}, pc.ActSettings, "opens a dialog"},
		{classifier.ControlRow{Text: "Yes"}, pc.ActOther, "every form"},
		{classifier.ControlRow{Text: "Yes", Context: "We use cookies to see how this site is used and to show advertising that fits you."}, pc.ActAccept, ""},
	} {
		got := c.Control(x.row)
		if got.Action != x.want || !strings.Contains(got.Why, x.why) {
			t.Errorf("%+v is %s (%.2f, %s), want %s", x.row, got.Action, got.Confidence, got.Why, x.want)
		}
	}
}
