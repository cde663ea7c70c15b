package classifier

import (
	"regexp"
	"strings"
	"sync"
)

// A misleading statement says of consent what is seldom so: that one must give
// it, that the law wants it, that what needs consent is necessary, that a refusal
// breaks the site or harms whoever refuses, that there is no time to think. Each
// kind has readings of its own, which look at one sentence. They are made of the
// same few groups of words, so that a wording which nobody has seen is read where
// its parts are known.
const (
	// accepting is to consent, as a verb.
	accepting = `(?:accept|agree to|agree|consent to|consent|allow|enable|opt in|say yes)`
	acceptsIt = `(?:accept|agree|consent|allow)\pL*`
	// refusing is to say no, with what may be between.
	refusing = `(?:reject|refus|declin|deny|disabl|block|object|disagree|say no|opt out|opting out|turn off|turning off|switch off|switching off|withdraw|withhold)\pL*`
	notGiven = `(?:do not|don't|did not|didn't|fail to|choose not to|decide not to|not) ` + accepting
	// optional is what a site can do without, and its visitor too.
	optional    = `(?:advertising|advertisements?|adverts?|ads?|ad[- ]tech|marketing|(?:re)?targeting|targeted|tracking|trackers?|analytics?|analytical|statistics?|statistical|measurement|profiling|remarketing|social media|third[- ]party|google (?:ads|analytics)|facebook|meta|tiktok|pixels?)`
	paidFor     = `(?:advertising|advertisements?|adverts?|ads|ad[- ]tech|marketing|(?:re)?targeting|targeted|tracking|profiling|remarketing|google ads|facebook|meta|tiktok)`
	things      = `(?:cookies?|technolog\pL*|trackers?|tracking|pixels?|tags|scripts?|tools|identifiers)`
	someOf      = optional + `(?:(?:,| and| or| &|, and) ` + optional + `)*`
	necessaryIs = `(?:(?:all|also|always|both|strictly|absolutely|completely|technically|legally|really|simply|just|vitally) )*(?:necessary|essential|required|needed|mandatory|compulsory|obligatory|indispensable|vital|crucial|critical|a must|a requirement|a necessity|unavoidable)`
	place       = `(?:site|website|web site|page|service|app|shop|store|platform|content|portal)s?`
	visitors    = `(?:you|visitors?|users?|everyone|everybody|customers|readers|members|anyone|all who visit)`
	obliged     = `(?:must|have to|has to|need to|needs to|are required to|is required to|are obliged to|are obligated to|are expected to|are asked by law to|shall|have got to|'ve got to)`
	breaks      = `(?:(?:will|would|is going to|are going to|does|do|can|could)(?: not|n't)|won't|cannot|can't|stops?|will stop|will fail to|fails? to|will no longer|no longer|becomes? un\pL+ to|will be unable to|is unable to|are unable to) (?:\pL+ )?(?:work\pL*|function\pL*|load\pL*|run\pL*|open\pL*|operat\pL*|display\pL*|respond\pL*|show\pL*|be (?:shown|used|displayed|available|accessible|usable|loaded|viewed|opened))|(?:will|would) (?:break|crash|stop|shut down|be (?:broken|unusable|unavailable|blocked|disabled|inaccessible))|(?:becomes?|is|are) (?:unusable|unavailable|inaccessible|broken)`
	shutOut     = `(?:you|visitors?|users?)(?:'ll| will| would| are| may)? ?(?:cannot|can't|can not|won't|will not|not|no longer|un)(?: be)? ?(?:able to |allowed to |permitted to )?(?:use|view|access|enter|continue|proceed|read|visit|browse|see|log in|sign in|check out|shop|buy|order|reach|open)`
)

// misreading is one way to say what misleads.
type misreading struct {
	why   string
	words []string       // one of them is in every sentence that it reads; looking for them costs little
	re    *regexp.Regexp // what it reads
	not   *regexp.Regexp // in the words that were read, and they say something else; nil: nothing
	apart *regexp.Regexp // in the sentence, and it is about something else; nil: nothing
}

// misleading are the readings of a sentence. They are constant, and compiled when
// a sentence is first read, as those of implied.go are.
var misleading = sync.OnceValue(func() []misreading {
	return []misreading{
		{"it says that one must consent", []string{"must", "have to", "has to", "need to", "needs to", "required", "obliged", "obligated", "expected to", "shall", "'ve got to", "have got to"},
			regexp.MustCompile(`(?:^|[^\pL])` + visitors + `(?: first| therefore| also| now| will| all)? ` + obliged + ` (?:first |also |therefore |now |all )?` + accepting + `.{0,60}(?:cookies?|trackers?|tracking|pixels|advertising|profiling)`),
			regexp.MustCompile(`strictly necessary|essential|necessary cookies`), regexp.MustCompile(`^(?:do|does|why|must|when|whether)[^\pL]|whether (?:you|visitors)`)},
		{"it says that the site can only be used by whoever consents", []string{"accept", "agree", "consent", "allow", "enable"},
			regexp.MustCompile(`^(?:please |kindly |simply )?(?:accept|agree to|consent to|allow)(?: (?:all|our|the|these|any|` + optional + `))* (?:cookies|tracking)(?: (?:in order))? to (?:(?:continue|proceed|enter)(?:$|,? (?:to|using|browsing|reading|shopping|with|on|onto|into) )|(?:access|use|enter|browse|visit|see|reach|open) (?:the|this|our|your) ` + place + `)`),
			nil, regexp.MustCompile(` or |free|subscri|£|€|video|map|player|necessary|essential`)},
		{"it says that the law wants consent given", []string{"law", "legal", "gdpr", "pecr", "regulation", "rules", "government", " ico"},
			regexp.MustCompile(`(?:by law|(?:under|because of|due to|according to|in line with|to comply with|as required by|thanks to)[^.,;]{0,40}(?:law|laws|gdpr|pecr|regulations?|rules|legislation)|legally),? (?:all |that )?` + visitors + ` ` + obliged + ` ` + accepting +
				`|(?:law|laws|gdpr|pecr|regulations?|legislation|the ico|government|rules)(?: now| currently)? (?:requires?|obliges?|forces?|says?|states?|demands?|mandates?|means?|dictates?|insists?|wants?|needs?)(?: that)?(?: all| every)? ` + visitors + `(?: must| have to| need to| to| should| are to)? ` + accepting +
				`|` + acceptsIt + `[^.]{0,60}(?:is|are) (?:now )?(?:a legal (?:requirement|obligation|duty)|required by (?:\pL+ )?(?:law|gdpr|pecr|regulations?|legislation)|legally (?:required|binding|necessary|mandatory)|mandatory under|compulsory under|obligatory under|a requirement of (?:the |uk |eu )*(?:law|gdpr|pecr))` +
				`|` + visitors + ` (?:are|is) (?:legally|by law) (?:required|obliged|bound|obligated) to ` + accepting + `|(?:legal requirement|legal obligation|legal duty|required by law|legally required|legally obliged) (?:for you |that you |for visitors )?(?:to )?` + accepting),
			regexp.MustCompile(`(?:ask|obtain|get|seek|request|collect)\pL*|your consent|(?:not|n't|never)[^\pL]`), nil},
		{"it says that the law wants what needs consent", []string{"law", "legal", "gdpr", "pecr", "ico", "regulator", "government"},
			regexp.MustCompile(`(?:` + someOf + ` ` + things + `|` + things + ` for ` + someOf + `)[^.]{0,30}(?:is|are) (?:required by (?:\pL+ )?(?:law|gdpr|pecr|regulations?)|a legal requirement|legally required|mandated by|required under)` +
				`|(?:law|gdpr|pecr|regulations?|legislation) (?:requires?|obliges?|forces?|demands?|mandates?)(?: us| this site| websites| that we)?(?: to)? (?:use|set|place|store|collect|track)[^.]{0,40}(?:` + optional + `|cookies)|(?:we are|we're) (?:legally required|legally obliged|required by law|obliged by law) to (?:use|set|place|track)[^.]{0,40}(?:` + optional + `|cookies)` +
				`|(?:cookies?|tracking|banner)[^.]{0,40}(?:approved|certified|endorsed|authori[sz]ed|recommended) by (?:the )?(?:ico|information commissioner\pL*|government|uk government|eu|regulator)`),
			regexp.MustCompile(`(?:not|n't|never)[^\pL]|necessary|your (?:choice|consent)|record`), nil},
		{"it calls necessary what needs consent", []string{"cookie", "tracker", "tracking", "pixel", "tag", "script", "technolog"},
			regexp.MustCompile(`(?:(?:^|[^\pL-])` + someOf + ` ` + things + `|` + things + ` (?:that (?:we use|are used) )?(?:for|from|by|of) (?:our |the )?` + someOf + `|cookies,? (?:including|also|and)(?: those for)? ` + optional + `)[^.;]{0,50}?,? (?:is|are|remain|remains)(?: considered| regarded as| deemed)? ` + necessaryIs),
			regexp.MustCompile(`consent|permission|agree|opt[- ]|not[^\pL]|n't[^\pL]|never|(?:^|[^\pL])(?:if|only|but|while|whereas|other|others|those|some|unless|whether|which|when|necessary cookies|essential cookies|non)[^\pL]`), regexp.MustCompile(`(?:consent|permission|agreement|opt-in) (?:is|are) `)},
		{"it counts among the necessary what needs consent", []string{"necessary", "essential", "required", "needed"},
			regexp.MustCompile(`(?:^|[^\pL-])(?:necessary|essential|required|mandatory|needed) (?:cookies|technologies|trackers)?,? ?\(?(?:such as|like|including|e\.g|for example|i\.e|namely|which include|that include|are)[:.,]? (?:\pL+ ){0,3}?` + paidFor + `(?:[^\pL]|$)` +
				`|(?:^|[^\pL-])(?:necessary|essential|required|mandatory) (?:cookies|technologies|trackers)(?: only| that we use)? (?:for|to) (?:(?:the|our|show|serve|deliver|do|run|support|enable|provide|you|personali[sz]ed?|relevant|targeted) ){0,4}` + paidFor + `(?:[^\pL]|$)` +
				`|(?:^|[^\pL-])(?:strictly )?(?:necessary|essential|required|mandatory) ` + paidFor + `(?: and ` + optional + `)? (?:cookies|trackers|tracking|technologies|pixels?)`),
			regexp.MustCompile(`(?:not|non)[^\pL]|necessary and|(?:are|is) not`), regexp.MustCompile(`only if you|unless you|if you (?:agree|accept|consent|allow)|(?:not|n't|never) (?:strictly )?(?:necessary|essential|required|needed|mandatory)`)},
		{"it says that the site needs what needs consent", []string{"need", "require", "rel", "depend", "without", "must"},
			regexp.MustCompile(place + `[^.]{0,20} (?:needs?|requires?|relies on|rely on|depends? on|must have|has to have) (?:\pL+ ){0,3}?` + someOf + `(?: ` + things + `)?(?: to be enabled)?,? (?:in order )?(?:to|for) (?:work|function|run|load|operat|open|display|be (?:shown|used|available|accessible))\pL*` +
				`|(?:to|for this (?:site|website) to|in order to) (?:work|function|run|operate)(?: properly| correctly| at all)?,? (?:this|our|the|we)[^.]{0,25}(?:needs?|requires?|must use|have to use|must set) (?:\pL+ ){0,2}?` + someOf),
			regexp.MustCompile(`consent|permission|agree|if you|not[^\pL]|n't[^\pL]|necessary|essential`), nil},
		{"it says that a refusal breaks the site", []string{"accept", "agree", "consent", "allow", "reject", "refus", "declin", "deny", "disabl", "block", "object", "opt", "say no", "off", "without"},
			regexp.MustCompile(`(?:(?:if|when|should|once|where|unless) you (?:\pL+ )?(?:` + refusing + `|` + notGiven + `|` + accepting + `)|^(?:please note that )?(?:` + refusing + `|not ` + acceptsIt + `)|without (?:your (?:consent|agreement|permission)|accept\pL*|agree\pL*|consent\pL*|(?:all |our |these )?` + someOf + ` ` + things + `|all cookies))[^.]{0,70}(?:` + place + `|videos|images|checkout|basket|menus?|everything|nothing|it) (?:` + breaks + `)` +
				`|(?:if|should|when|unless|once) you (?:\pL+ )?(?:` + refusing + `|` + notGiven + `|` + accepting + `)[^.]{0,60}` + shutOut + `|without (?:accepting|agreeing|consenting|your consent)[^.]{0,60}` + shutOut +
				`|` + place + ` (?:` + breaks + `)[^.]{0,50}(?:unless|until|without|if)[^.]{0,25}(?:` + acceptsIt + `|` + refusing + `|all cookies|` + someOf + ` ` + things + `)` +
				`|(?:^|[^\pL])` + refusing + `[^.]{0,50} (?:will|would) (?:break|stop|prevent|block|disable|crash|cripple|end|cancel|lock|close|delete|terminate)\pL* [^.]{0,30}(?:` + place + `|account|access|you from|checkout|basket|order|working|visit)` +
				`|(?:^|[^\pL])` + refusing + `[^.]{0,50}(?:means|so)(?: that)? (?:you (?:cannot|can't|won't|will not|are not able)|(?:the|this|our) ` + place + ` (?:` + breaks + `))`),
			regexp.MustCompile(`(?:not|n't|without) (?:affect|change|break|stop|prevent|lose|matter)`), regexp.MustCompile(`(?:strictly|necessary|essential|these cookies|browser|some |certain|parts? of|features?|aspects|functionality|functions[^\pL]|we will not|we won't|whether or not|even if|just as well|normally|still|new cookies|video|map)`)},
		{"it says that whoever refuses is shut out", []string{"only", "access", "enter", "entry", "welcome", "reserved", "restricted", "available"},
			regexp.MustCompile(`(?:access|entry|admission|use)[^.]{0,40} (?:is|are) (?:only )?(?:restricted|limited|reserved|granted|given|open|available|possible|permitted|allowed|conditional|denied)[^.]{0,40}(?:who|once|after|if|when|on|until|unless|without|upon) (?:you |they |have |you have )?(?:` + acceptsIt + `|your consent|accepting)|(?:only|just) (?:visitors|users|people|those|readers|customers) (?:who|that) (?:accept|agree|consent|allow)[^.]{0,50}(?:can|may|will|are|get)[^.]{0,30}(?:use|view|access|enter|continue|read|see|allowed|let)` +
				`|(?:access|entry) (?:will be|is) (?:denied|refused|blocked|revoked|withdrawn)[^.]{0,40}(?:` + refusing + `|` + notGiven + `|unless)`),
			nil, regexp.MustCompile(`video|map|£|€|subscri|necessary|essential`)},
		{"it threatens whoever refuses", []string{"accept", "agree", "consent", "allow", "reject", "refus", "declin", "deny", "disabl", "block", "opt", "off", "without"},
			regexp.MustCompile(`(?:(?:if|when|should|once|unless) you (?:\pL+ )?(?:` + refusing + `|` + notGiven + `|` + accepting + `)|^(?:by )?(?:` + refusing + `|not ` + acceptsIt + `)|without (?:accepting|agreeing|consenting|` + someOf + ` ` + things + `|all cookies))[^.]{0,90}(?:at risk|unsafe|insecure|unprotected|vulnerable|exposed to|be hacked|hackers|virus\pL*|malware|be stolen|compromised|not (?:be )?(?:safe|secure|protected)|(?:will|may|could|might|you'll|'ll) lose (?:your |all |access|any )|be (?:charged|logged out|locked out|banned|blocked|cancelled|deleted|suspended|removed|terminated|closed)|prices? (?:will |may )?(?:rise|go up|be higher)|pay (?:higher|more)|reported)`),
			regexp.MustCompile(`(?:will not|won't|never|not|n't) (?:be |lose|pay|put)`), regexp.MustCompile(`strictly|essential|necessary|browser|these cookies`)},
		{"it says that consent protects whoever gives it", []string{"safe", "secur", "protect", "privacy", "virus", "fraud"},
			regexp.MustCompile(`for your (?:own )?(?:safety|security|protection|privacy|online safety),? (?:please |you must |you should |we (?:recommend|advise) (?:that )?you |kindly |simply )*(?:accept|allow|agree|enable|consent)|(?:^|[^\pL])(?:accept|allow|agree to|enable|consent to) (?:all |our |the |these |` + optional + ` )*(?:cookies|tracking)(?: now)? (?:in order |so that (?:you|we) (?:can )?)?(?:to )?(?:stay|keep|remain|protect|be|safeguard|secure|defend)[^.]{0,25}(?:safe|secure|protected|yourself|your (?:privacy|data|account|device|identity|security|computer))` +
				`|` + paidFor + `(?: and \pL+)? (?:cookies|tracking|pixels) (?:protect|secure|safeguard|defend|keep|make) (?:you|your)[^.]{0,40}(?:safe|secure|protected|privacy|data|account|device|identity|fraud|virus\pL*|hackers|$)`),
			regexp.MustCompile(`(?:not|n't|never)[^\pL]|necessary|essential`), nil},
		{"it hurries whoever is to choose", []string{"hurry", "chance", "act now", "act fast", "time", "too late", "seconds", "minutes", "hours", "final ", "urgent", "quick", "expire", "ends", "delay", "miss", "countdown", "deadline"},
			regexp.MustCompile(`hurry|last chance|act (?:now|fast|quickly)|don't (?:delay|wait)|without delay|time is running out|running out of time|too late|(?:\d+|only|few|thirty|sixty|ten) (?:more )?(?:seconds|minutes|hours)(?: left| remaining|,? (?:or|before)|$| to (?:accept|agree|choose|decide|respond|consent))|within (?:the next )?(?:\d+|thirty|sixty|ten|five|a few) (?:seconds|minutes|hours)|limited[- ]time|(?:session|access|offer|page|visit|chance|link|time|window|opportunity) (?:to \pL+ )?(?:will )?(?:soon )?(?:expires?|ends?|closes?|runs? out|times? out)|final (?:notice|warning|reminder|chance)|urgent\pL*|countdown|deadline`),
			nil, regexp.MustCompile(`cookies? (?:that )?(?:will )?expires?|expires? (?:after|when)|withdraw|(?:stored|kept|saved|lasts?|session) for|duration|lifetime`)},
		{"it asks with two negations, so that a no is a yes", []string{"not", "n't", "disable", "turn off", "switch off", "reject", "opt out", "untick", "uncheck", "deselect", "never"},
			regexp.MustCompile(`(?:do not|don't|would not|wouldn't|never) (?:want|wish|like|prefer|choose|ask)(?: (?:us|for us|this site))?(?: to)? (?:to )?(?:not|stop|reject|refus\pL*|declin\pL*|opt(?:ing)? out|disabl\pL*|block\pL*|object\pL*|deny|disallow)|(?:^|no,? |yes,? |i )(?:do not|don't) (?:reject|refuse|decline|disagree|disable|opt out|deny|disallow|object|block|stop|not)(?:$|[^\pL])` +
				`|(?:untick|uncheck|deselect|clear|leave)[^.]{0,60}(?:do not|don't|would rather not|prefer not|wouldn't)[^.]{0,40}(?:not|opt(?:ing)? out|refuse|reject|object|without|unsubscribe|stop|disable|decline)(?:[^\pL]|$)` +
				`|(?:disable|turn off|switch off|deactivate|reject|refuse|decline|opt out of) (?:the |our |your |my )?(?:non-consent|opt[- ]?out|rejection|refusal|do[- ]not[- ]track|anti-tracking|blocking|cookie block\pL*|objection)|(?:isn't|is not|not) (?:un|dis)(?:acceptable|agreeable|wanted)`),
			regexp.MustCompile(`(?:if|unless|who) (?:you )?(?:do not|don't)`), regexp.MustCompile(`if you (?:do not|don't) (?:reject|refuse|decline|disagree|disable|opt out|object|block|stop)|withdraw|browser`)},
		{"it takes a refusal for consent", []string{"reject", "declin", "refus", "deny"},
			regexp.MustCompile(`(?:(?:click|press|select|choos|tap|hit|push)\pL* (?:on )?["“'‘]?(?:reject|decline|refuse|deny|no)(?: all)?["”'’]?|^(?:by )?(?:rejecting|declining|refusing|denying))[^.]{0,40}(?:you (?:also |still |will |are |'re )*(?:accept|agree|consent|giv\pL* consent)|(?:counts as|is taken as|means) (?:consent|accept\pL*|agree\pL*))` +
				`|(?:reject|decline|refuse)(?: all)?[^.]{0,25}(?:except|apart from|but (?:keep|allow|accept)|and keep|but not)(?: for)? (?:\pL+ ){0,2}?` + paidFor +
				`|(?:choice|refusal|rejection|objection|opt-out|preferences?|decision) (?:will be|is|are|may be|can be) (?:ignored|disregarded|overridden|overruled)`),
			regexp.MustCompile(`necessary|essential|needed|only|not[^\pL]|n't`), regexp.MustCompile(`never|not be (?:ignored|overrid)`)},
		{"it says that one cannot refuse", []string{"refus", "reject", "declin", "opt", "turn", "switch", "disabl", "object"},
			regexp.MustCompile(`(?:(?:you|visitors|users) (?:cannot|can't|can not|may not|are not able to|are unable to|are not allowed to)|(?:it is|it's) (?:not possible|impossible) to|there(?:'s| is) no (?:way|option|possibility) to|no (?:way|option) to) (?:refuse|reject|decline|opt[- ]out(?: of)?|turn off|switch off|disable|object to)\pL* (?:\pL+ ){0,3}?(?:cookies|tracking|trackers|` + optional + `)` +
				`|(?:^|[^\pL-])(?:` + someOf + ` ` + things + `|` + things + ` for ` + someOf + `)[^.]{0,20} (?:cannot|can't|can not|may not) be (?:refused|rejected|declined|switched off|turned off|disabled|opted out)`),
			regexp.MustCompile(`strictly|necessary|essential`), regexp.MustCompile(`strictly|necessary|essential|these cookies|needed|because they|security|technical|this category|if you `)},
		{"it says that no consent is needed where it is", []string{"consent", "permission", "agreement"},
			regexp.MustCompile(`(?:` + paidFor + `(?: and \pL+)? ` + things + `|` + things + ` for ` + paidFor + `)[^.]{0,25}(?:do not|don't|does not|doesn't|never) (?:need|require) (?:your |any )?(?:consent|permission|agreement)|(?:we )?(?:do not|don't) (?:need|require) (?:your |any )?(?:consent|permission|agreement) (?:for|to (?:use|set|place|store|show|send|serve|track))[^.]{0,30}` + paidFor + `|(?:without needing|no need for) (?:your )?(?:consent|permission)[^.]{0,30}` + paidFor),
			regexp.MustCompile(`if |unless`), nil},
		{"it says that what tracks does no harm", []string{"harmless", "anonymous", "track", "follow", "privacy"},
			regexp.MustCompile(`(?:^|[^\pL-])` + paidFor + `(?: and \pL+)? (?:cookies|pixels|technologies|trackers)[^.]{0,40}(?:harmless|(?:completely|totally|entirely|fully|100%) (?:anonymous|private|safe)|(?:do not|don't|never|cannot|can't|have no)(?: \pL+)? (?:track|follow|invade|affect your privacy|effect on your privacy|impact on your privacy))`),
			regexp.MustCompile(`if |unless|until|without`), nil},
		{"it says that a refusal changes nothing", []string{"even if", "whether or not", "regardless", "whatever you", "despite"},
			regexp.MustCompile(`(?:even if you|even when you|regardless of (?:whether|what|your)|whatever you|despite your)[^.]{0,50}(?:we|our partners|partners|they|` + things + `)[^.]{0,15}(?:still|continue|will|may)[^.]{0,25}(?:use|set|place|store|track|collect|share|be (?:used|set|placed))[^.]{0,40}(?:` + paidFor + `|your data|track)`),
			regexp.MustCompile(`necessary|essential|not[^\pL]|n't|never`), nil},

		{"it says that one must consent", []string{"rhaid", "gorfod", "orfod", "ofynnol", "angen i chi"},
			regexp.MustCompile(`(?:rhaid|gorfod|orfodol|gofynnol|ofynnol|angen)(?: i| ichi| i chi| i bawb| ar ymwelwyr| i ymwelwyr)?[^.]{0,20}(?:d?derbyn|g?cytuno|gytuno|gydsynio|chydsynio|cydsynio|ganiatáu|chaniatáu|caniatáu)[^.]{0,50}(?:[cg]wcis|thracio|tracio|olrhain|hysbysebu)`),
			nil, regexp.MustCompile(`nid oes|does dim|nac oes|nid yw|dydy|hanfodol|angenrheidiol|gofyn am`)},
		{"it says that the law wants consent given", []string{"gyfraith", "gyfreithiol", "cyfreithiol", "gdpr", "rheoliad"},
			regexp.MustCompile(`(?:yn ôl y gyfraith|dan y gyfraith|o dan y gyfraith|mae'r gyfraith|yn gyfreithiol|gofyniad cyfreithiol|gdpr|rheoliadau)[^.]{0,60}(?:(?:i chi|ichi|ymwelwyr|bawb|chi)[^.]{0,15}(?:d?derbyn|g?cytuno|gytuno|gydsynio|chydsynio))|(?:d?derbyn|cytuno|cydsynio)[^.]{0,40}(?:yn ofyniad cyfreithiol|yn ofynnol yn ôl y gyfraith|yn orfodol)`),
			nil, regexp.MustCompile(`ofyn am|gofyn am|nid |ddim`)},
		{"it calls necessary what needs consent", []string{"hanfodol", "angenrheidiol", "ofynnol", "orfodol"},
			regexp.MustCompile(`[cgh]+wcis (?:hysbysebu|marchnata|targedu|olrhain|tracio|dadansoddi|dadansoddol|dadansoddeg|ystadegol|ystadegau|ar gyfer (?:hysbyseb\pL*|marchnata|dadansodd\pL*|ystadegau|olrhain))[^.]{0,40}(?:yn|'n) (?:gwbl |hollol |dechnegol )?(?:hanfodol|angenrheidiol|ofynnol|orfodol)|[cgh]+wcis (?:cwbl |hollol )?(?:hanfodol|angenrheidiol) (?:ar gyfer|fel|gan gynnwys|megis) (?:[cg]wcis )?(?:hysbyseb\pL*|marchnata|targedu|olrhain)`),
			nil, regexp.MustCompile(`nid |ddim|nad |dim |os (?:ydych|byddwch)`)},
		{"it says that a refusal breaks the site", []string{"gwrthod", "derbyn", "cytuno", "caniatâd", "cydsyni"},
			regexp.MustCompile(`(?:os (?:gwrthodwch|gwrthodir|(?:byddwch|ydych|ydych chi|byddwch chi)(?: chi)?(?: yn|'n) gwrthod|na (?:fyddwch|dderbyniwch|wnewch|ydych|chytunwch)[^.,]{0,30})|heb (?:dderbyn|gytuno|gydsynio|eich (?:caniatâd|cydsyniad))|wrth wrthod|oni bai eich bod(?: chi)?(?: yn|'n) (?:derbyn|cytuno|cydsynio))[^.]{0,60}(?:ni (?:fydd|all) [^.]{0,40}(?:gweithio|agor|llwytho)|ni (?:allwch|fyddwch|chewch) [^.]{0,40}(?:defnyddio|gweld|parhau|mynd|darllen|ddefnyddio|weld|barhau))` +
				`|ni (?:fydd|all)(?:'r| y| ein|'n)? (?:\pL+ )?(?:wefan|safle|gwefan|gwasanaeth|tudalen\pL*)[^.]{0,20}(?:gweithio|agor|llwytho)[^.]{0,40}(?:oni bai|heb|nes|os na)[^.]{0,40}(?:d?derbyn|cytuno|gytuno|gydsynio|cydsynio)|ni (?:allwch|fyddwch|chewch) [^.]{0,40}(?:d?defnyddio|gweld|weld|parhau|barhau|mynd|darllen)[^.]{0,40}(?:oni bai|heb|nes|os na)[^.]{0,40}(?:d?derbyn|cytuno|gytuno|gydsynio|cydsynio)`),
			nil, regexp.MustCompile(`hanfodol|angenrheidiol|rhai |porwr`)},
		{"it says that one cannot refuse", []string{"gwrthod", "wrthod", "optio", "ddiffodd"},
			regexp.MustCompile(`(?:ni (?:allwch|ellir|chewch)|does dim modd|nid oes modd|nid yw'n bosibl)(?: chi)?(?: i)? ?(?:wrthod|optio allan|ddiffodd|gwrthod)[^.]{0,30}[cg]wcis`),
			nil, regexp.MustCompile(`hanfodol|angenrheidiol|[cg]wcis hyn`)},
		{"it hurries whoever is to choose", []string{"brysiwch", "cyfle olaf", "amser", "rhy hwyr", "eiliad", "munud"},
			regexp.MustCompile(`brysiwch|cyfle olaf|amser yn (?:brin|dod i ben)|rhy hwyr|o fewn (?:y )?\d+ (?:eiliad|munud|o eiliadau|o funudau)`),
			nil, regexp.MustCompile(`para |storio`)},
	}
})

// theyAre begins a sentence about what the one before named. It is constant.
var theyAre = regexp.MustCompile(`^(?:they|these|all (?:of )?(?:these|them|our cookies|cookies)|these cookies|both|all)(?: cookies)? (?:are|is) ` + necessaryIs + ` (?:for|to|in order|so that)`)

// ofOptional is what such a sentence misleads about. It is constant.
var ofOptional = regexp.MustCompile(`(?:^|[^\pL-])` + paidFor + `(?:[^\pL]|$)`)

// chooses is in sentences that have to do with the choice. It is constant.
var chooses = regexp.MustCompile(acceptsIt + `|choose|decide|respond|cookie|tracking|d?derbyn|[cg]ytuno|[cg]wcis|` + refusing)

// misleads returns what misleads in a sentence, and why; "" for nothing. Both
// sentences are normalised; before is the one that stands before it.
func misleads(said, before string) (words, why string) {
	if m := theyAre.FindString(said); m != "" && aboutStorage.MatchString(before+" "+said) && ofOptional.MatchString(before) && !says(before, "necessary", "essential", "functional", "if you", "optional", "not ") {
		return m, "it calls necessary what needs consent"
	}
	if !chooses.MatchString(said) {
		return "", ""
	}
	for _, c := range misleading() {
		if !says(said, c.words...) || c.apart != nil && c.apart.MatchString(said) {
			continue
		}
		at := c.re.FindStringIndex(said)
		if at == nil || notNeeded.MatchString(said[:at[0]]) || c.not != nil && c.not.MatchString(said[at[0]:at[1]]) {
			continue
		}
		return strings.TrimSpace(said[at[0]:at[1]]), c.why
	}
	return "", ""
}
