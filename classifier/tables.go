package classifier

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	pc "pecrawler"
)

// tableName is what the Open Cookie Database says of a name.
type tableName struct {
	kind      string   // marketing, analytics, functional, security, necessary, personalization; ? where platforms differ
	platforms string   // whose it is
	domains   []string // where it lies, as far as it is told
}

// owner is whom a domain belongs to, as third-party-web has it.
type owner struct{ entity, kind string }

// needed are names that many sites choose for what they need, of the site's own
// only; what the value must look like is told beside them. It is constant.
var needed = []struct {
	class pc.Class
	what  string
	name  *regexp.Regexp
	short bool // the value must not tell visitors apart
	shut  bool // scripts must not be able to read it: those of other parties set none such
}{
	{pc.ExemptStrict, "protection of forms", regexp.MustCompile(`(?i)(?:csrf|xsrf|antiforgery|requestverificationtoken)`), false, false},
	{pc.ExemptStrict, "the choice about cookies", regexp.MustCompile(`(?i)^(?:.*[_-])?(?:cookies?|gdpr|privacy|eu|consent|tracking|gpdr|cc|ccm|cb)[_-]?(?:law|banner|bar|notice|message|msg|policy|consents?|accept(?:ed|ance)?|prefs?|preferences?|settings?|choices?|control|allowed|agreed?|seen|shown|hidden?|dismiss(?:ed)?|closed|status|level|enabled|compliance|confirm(?:ed)?|ok|approval|approved|warning|info)(?:[_-]?\w{0,24})?$`), true, false},
	{pc.ExemptStrict, "the choice about cookies", regexp.MustCompile(`(?i)^(?:fccdcf|fcnec|cookieconsent|cookie_?notice_accepted|viewed_cookie_policy|cli_user_preference|cookielawinfo|moove_gdpr|cmplz_|borlabs|didomi|euconsent|eupubconsent|usprivacy|iabgpp|_iub_cs|cmapi_|notice_(?:gdpr|behavior|preferences)|truste\.|civicCookieControl|CookieControl|OptanonConsent|OptanonAlertBoxClosed|hs-cookie-|_evidon_|uc_user_interaction|uc_settings|cookiefirst|osano_consent|termly|axeptio|seen_cookie_message|__hs_(?:opt_out|do_not_track|initial_opt_in|cookie_cat_pref|gpc_banner_dismiss)|cookies_(?:policy|preferences_set)|seers|sncookie|ckies_|cookieyes|addtl_consent|_sp_user_consent_|has_?consent|__cmp(?:consent|cc)|cookie-though)`), false, false},
	{pc.ExemptStrict, "protection against bots and attacks", regexp.MustCompile(`^(?:__cf_bm|__cfruid|_cfuvid|cf_clearance|cf_chl_|cf_ob_info|cf_use_ob|ak_bmsc|bm_s[vzo]|bm_mi|_abck|bm_lso|incap_ses_|visid_incap_|nlbi_|reese84|datadome|_px(?:3|hd|vid|de|cts)|TS[0-9a-f]{6,10}(?:_\d+|\d{2,3}|_?$)|TSPD_|rc::|_GRECAPTCHA|hmt_id|wordfence_|wfwaf-|wfvt_|AWSWAF|aws-waf-token|sucuri_|KP_UID|__ddg\d_?|__wpdm_client|icwp-wpsf|apbct_|ct_(?:timezone|ps_timestamp|checked_emails|checkjs|sfw_|fkp_|pointer_))`), false, false},
	{pc.ExemptTransmission, "load balancer", regexp.MustCompile(`(?i)^(?:awsalb|awselb|bigip|arraffinity|serverid$|srv(?:id)?$|route$|applicationgatewayaffinity|__cflb|lb[_-]?(?:sticky|cookie|session|id)?$|nsc_|haproxy|x-mapping-|dokuwiki_lb|citrix_ns_id|sticky|backend_?id|server_?node|stickounet|glb_|ocs_lb)`), false, false},
	{pc.ExemptStrict, "session of the site", regexp.MustCompile(`(?i)^(?:aspsessionid\w+|asp\.net_sessionid|asp-fixation\w*|phpsessid|jsessionid|cfid|cftoken|ci_session|symfony|sess(?:ion)?(?:[_-]?id|[_-]?token)?|s?sess[0-9a-f]{32}|connect\.sid|laravel_session|frontend(?:_cid)?|adminhtml|zenid|oscsid|osccsid|fe_typo_user|be_typo_user|django_session|rack\.session|play_session|nette[_-]\w+|craftsessionid|exp_(?:sessionid|csrf_token)|umb-\w+|simplesamlsessionid|tomcat\w*|sailssid|koa(?:[:.]sess)(?:\.sig)?|next-auth\.\S+|__(?:host|secure)-\S+|hasura\w*|vsid|websitesession|ssr-caching|crumb|wixlanguage|svsession|hs|_wixcids|bsession|squarespace\w*|ss_cid)$`), false, false},
	{pc.ExemptStrict, "session of the site", regexp.MustCompile(`(?i)^(?:__host-|__secure-)?[a-z0-9.]{2,32}[_.-]?sess(?:ion)?(?:[_-]?id)?$`), false, true},
	{pc.ExemptStrict, "being signed in", regexp.MustCompile(`(?i)^(?:wordpress_|wp-settings-|wp_lang|wordpress_logged_in|auth[_-]?(?:token|session|cookie)?$|(?:access|refresh|id)_token$|jwt$|logged_?in|login_?token|remember_?(?:me|token|web_\w+)|signed_in|\.aspxauth|\.aspnet(?:core)?\.\S+|keycloak_\w+|auth0\S*|saml\w*|sso\w*|idsrv\S*)`), false, false},
	{pc.ExemptStrict, "shopping basket", regexp.MustCompile(`(?i)^(?:woocommerce_(?:cart_hash|items_in_cart)|wp_woocommerce_session_\w+|wc_(?:cart_hash|fragments)\w*|cart(?:[_-]?(?:id|token|sig|currency|ts|ver|hash|count|items))?$|basket(?:[_-]?id)?$|checkout(?:[_-]?token)?$|secure_customer_sig|shopify_pay(?:_redirect)?|keep_alive|localization|magento[_-]?\w+|mage-(?:cache|messages|translation)\S*|form_key|private_content_version|section_data_ids|product_data_storage|prestashop-\w+|quote_?id$|wishlist_?(?:id|token)?$|storefront_digest|x-magento-vary|persistent_shopping_cart)`), false, false},
	{pc.ConditionalStatistics, "statistics of Countly", regexp.MustCompile(`^[\w-]+/cly_\w+$`), false, false},
	{pc.ConditionalAppearance, "language or appearance", regexp.MustCompile(`(?i)^(?:lang(?:uage)?|locale|i18n(?:ext(?:lng)?)?|pll_language|wp-wpml_current_(?:admin_)?language|_icl_(?:current_language|visitor_lang_js)|wpml_\w+|googtrans|currency|country|region|theme|dark_?mode|font_?size|text_?size|contrast|timezone|tz|resolution|screen_?(?:size|width)|nav(?:igation)?_?(?:state|collapsed)|sidebar\w*|has_?js|user_?lang|site_?lang\w*|selected_?lang\w*|preferred_?(?:lang\w*|locale|currency))$`), true, false},
}

// infrastructure are names of what carries a connection, whosever it is. It is constant.
var infrastructure = regexp.MustCompile(`(?i)^(?:ingresscookie|awsalb\w*|awselb\w*|serverid|srv(?:id)?|route|__cf\w+|_cfuvid|cf_\w+|arraffinity\w*|bigip\S*|jsessionid|phpsessid|asp\.net_sessionid|incap_ses\S*|visid_incap\S*|nlbi_\S*|ak_bmsc|bm_\w+|_abck|ts[0-9a-f]{6,10}\w*|datadome)$`)

// doubted are platforms of which the database calls marketing what shops keep
// for their own figures or for a message. It is constant.
var doubted = []string{"Shopify", "Optinmonster", "Magento", "WordPress", "Wix", "Squarespace", "WooCommerce", "Piano", "Active Campaign", "OneTrust", "Adobe Experience", "Adobe Analytics", "Beamer"}

// choices find the record of a choice in a value: a purpose and whether it is on.
// An answer alone counts where the name speaks of a choice. They are constant.
var (
	choiceOf = regexp.MustCompile(`(?i)"?\b(?:necessary|essential|functional(?:ity)?|preferences?|statistics?|stats|analytics?|performance|measurement|marketing|advertis(?:ing|ement)|ads|targeting|social|personali[sz]ation|unclassified|third_?party)"?\s*[:=]\s*"?(?:true|false|[01]|on|off|yes|no|granted|denied|accept(?:ed)?|reject(?:ed)?|allow(?:ed)?|deny)\b"?`)
	answer   = regexp.MustCompile(`(?i)^"?(?:accept(?:ed)?(?:[_-]?all)?|reject(?:ed)?(?:[_-]?all)?|declined?|refused?|den(?:y|ied)|granted|allow(?:ed)?|dismiss(?:ed)?|technically_required|necessary|essential)"?$`)
	asked    = regexp.MustCompile(`(?i)cookie|consent|choice|gdpr|privacy|cmp`)
)

// choiceIn returns what of a value records a choice about purposes; "" for nothing.
func choiceIn(name, value string) string {
	if len(value) > 4000 { // no record of a choice is so long
		return ""
	}
	plain, err := url.QueryUnescape(value)
	if err != nil {
		plain = value
	}
	if m := choiceOf.FindAllString(plain, 3); len(m) > 1 {
		return strings.Join(m, ", ")
	}
	if asked.MatchString(name) && answer.MatchString(plain) {
		return plain
	}
	return ""
}

func (c *Classifier) readNames(name, text string) error {
	rs, err := rows(name, text, 4)
	if err != nil {
		return err
	}
	for _, f := range rs {
		n := tableName{f[1], f[2], strings.Fields(f[3])}
		if stem, ok := strings.CutSuffix(f[0], "*"); ok {
			if len(stem) >= 3 { // less fits everything
				c.beginnings = append(c.beginnings, beginning{stem, n})
			}
			continue
		}
		c.names[f[0]] = n
	}
	slices.SortStableFunc(c.beginnings, func(a, b beginning) int { return len(b.stem) - len(a.stem) })
	return nil
}

type beginning struct {
	stem string
	tableName
}

func (c *Classifier) readOwners(name, text string) error {
	rs, err := rows(name, text, 3)
	if err != nil {
		return err
	}
	for _, f := range rs {
		for _, d := range strings.Fields(f[2]) {
			c.owners[d] = owner{f[0], f[1]}
		}
	}
	return nil
}

// ownerOf is whom a host belongs to; the longest domain wins.
func (c *Classifier) ownerOf(host string) (owner, bool) {
	for h := strings.ToLower(host); strings.Contains(h, "."); _, h, _ = strings.Cut(h, ".") {
		if o, ok := c.owners[h]; ok {
			return o, true
		}
	}
	return owner{}, false
}

func (c *Classifier) inTable(name string) (tableName, bool) {
	if n, ok := c.names[name]; ok {
		return n, true
	}
	for _, b := range c.beginnings {
		if strings.HasPrefix(name, b.stem) {
			return b.tableName, true
		}
	}
	return tableName{}, false
}

// lies tells whether the database knows a name at a host.
func (n tableName) lies(host string) bool {
	return slices.ContainsFunc(n.domains, func(d string) bool { return host == d || strings.HasSuffix(host, "."+d) })
}

// visitorsNumber are names by which a company says that an item is its number of
// the visitor: uid, uuid2, tuuid, visitor_id. It is constant.
var visitorsNumber = regexp.MustCompile(`(?i)(?:^|[_.-])[a-z]{0,7}id\d?$`)

// advertises tells whether the name of an identifier at an advertiser's host
// bears out that it is for advertising: the Open Cookie Database knows it there
// and calls it marketing, or it says to be the number of the visitor.
func (c *Classifier) advertises(it *pc.StorageItem) bool {
	n, listed := c.inTable(it.Name)
	return listed && n.kind == "marketing" && n.lies(it.Host) || visitorsNumber.MatchString(it.Name)
}

// unnamed is the opinion on an identifier that a company that advertises keeps
// under a name that tells nothing. No site needs the number of another company;
// but such companies also count, keep fraud out and note whom they have asked, so
// the host alone does not tell that this one is for advertising.
func unnamed(p pc.Purpose) pc.Purpose {
	p.Class, p.Sub = pc.NonExemptOther, "cross-service"
	p.Why += "; no list tells whether this item of theirs is for advertising or for something else, and the site needs it for neither"
	return p
}

// ofTables gives the opinion on an item that our own list does not know. A word
// of a table that a name is for marketing flags nobody: that takes the host it
// lies at, or the script that set it, as well.
func (c *Classifier) ofTables(p pc.Purpose, it *pc.StorageItem, other, valued bool) pc.Purpose {
	say := func(class pc.Class, confidence float64, basis, format string, a ...any) pc.Purpose {
		p.Class = class
		p.Claim = pc.Claim{Confidence: confidence, Basis: basis, Why: fmt.Sprintf(format, a...)}
		return p
	}
	if !other {
		if valued {
			if m := choiceIn(it.Name, it.Value); m != "" {
				return say(pc.ExemptStrict, .85, "behaviour", "it is the site's own, and its value is the record of a choice: “%s”", m)
			}
		}
		for i := range needed {
			n := &needed[i]
			if n.name.MatchString(it.Name) && !(n.short && identifier(it.Value)) && (it.HTTPOnly || !n.shut) {
				return say(n.class, .85, "name-list", "it is the site's own, and its name is one that sites give to %s", n.what)
			}
		}
	}
	who, known := c.ownerOf(it.Host)
	adHost := false
	if other {
		if e, ok := c.host(it.Host, "/"); ok {
			adHost = e.class == pc.NonExemptAdvertising
		}
		adHost = adHost || known && who.kind == "ad"
		if known && p.Entity == "" {
			p.Entity = who.entity
		}
	}
	setter, setBy := "", ""
	if u, err := url.Parse(it.SetBy); err == nil && u.Hostname() != "" && siteOf(u.Hostname()) != siteOf(it.Host) {
		if o, ok := c.ownerOf(u.Hostname()); ok {
			setter, setBy = o.kind, o.entity
		}
	}
	n, listed := c.inTable(it.Name)
	there := n.lies(it.Host)
	if p.Entity == "" && listed && (!other || there) {
		p.Entity = n.platforms
	}
	plain := len(it.Name) < 5 || !strings.ContainsAny(it.Name, "_-.0123456789") && strings.ToLower(it.Name) == it.Name // anybody may have thought of it
	long := it.Kind != pc.Cookie || it.Lifetime > 24*3600
	telling := valued && identifier(it.Value) && long
	switch {
	case valued && optOut(it.Value) && listed && n.kind == "marketing":
		return say(pc.Unknown, 0, "none", "the Open Cookie Database calls the name marketing (%s), but its value says that it is off", n.platforms)
	case listed && n.kind == "marketing" && other && (there || adHost) && !infrastructure.MatchString(it.Name):
		conf := .75
		if telling {
			conf = .93
		}
		return say(pc.NonExemptAdvertising, conf, "name-list", "the Open Cookie Database calls the name marketing (%s), and it lies at %s, which does advertising", n.platforms, it.Host)
	case adHost && infrastructure.MatchString(it.Name):
		p.Why = fmt.Sprintf("its host %s belongs to %s, whose business is advertising, but its name is that of a load balancer or a protection", it.Host, firstOf(who.entity, p.Entity))
	case adHost && valued && !telling && it.Lifetime == 0 && it.Kind == pc.Cookie:
		p.Why = fmt.Sprintf("its host %s belongs to %s, whose business is advertising, but it is a flag for this visit only", it.Host, firstOf(who.entity, p.Entity))
	case adHost:
		conf := .65
		if telling {
			conf = .85
		}
		p = say(pc.NonExemptAdvertising, conf, "domain-list", "its host %s belongs to %s, whose business is advertising", it.Host, firstOf(who.entity, p.Entity))
		if telling && !c.advertises(it) {
			return unnamed(p)
		}
		return p
	case listed && n.kind == "marketing" && setter == "ad":
		conf := .75
		if telling {
			conf = .9
		}
		return say(pc.NonExemptAdvertising, conf, "name-list", "the Open Cookie Database calls the name marketing (%s), and a script of %s set it, whose business is advertising", n.platforms, setBy)
	case listed && n.kind == "marketing" && !plain && !slices.ContainsFunc(doubted, func(d string) bool { return strings.Contains(n.platforms, d) }):
		return say(pc.NonExemptAdvertising, .7, "name-list", "the Open Cookie Database calls the name marketing (%s); nothing else speaks for that or against it", n.platforms)
	case listed && n.kind == "analytics" && !other:
		return say(pc.ConditionalStatistics, .75, "name-list", "the Open Cookie Database calls the name analytics (%s), and it is the site's own", n.platforms)
	case listed && n.kind == "analytics" && (there || known && who.kind == "analytics"):
		return say(pc.ConditionalStatistics, .75, "name-list", "the Open Cookie Database calls the name analytics, and it lies at %s, which counts visits for sites", it.Host)
	case listed && (n.kind == "security" || n.kind == "necessary") && !other:
		return say(pc.ExemptStrict, .75, "name-list", "the Open Cookie Database calls the name %s (%s), and it is the site's own", n.kind, n.platforms)
	case other && known && who.kind == "social" && telling:
		p.Sub = "social"
		return say(pc.NonExemptOther, .7, "domain-list", "its host belongs to %s, a social network, its value can tell visitors apart and is kept", who.entity)
	case listed:
		p.Why = fmt.Sprintf("the Open Cookie Database calls the name %s (%s), and that does not tell whether the site needs it", n.kind, n.platforms)
	case known && other:
		p.Why = fmt.Sprintf("its host belongs to %s, but nothing tells the purpose of this item", who.entity)
	}
	return p
}
