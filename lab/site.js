// The site's own script: it starts what the visitor allowed, remembers what has
// to be remembered beside the consent manager, and puts the banner where the
// recipe wants it. sitePlan is the recipe, siteTrackers are the snippets.
window.site = (() => {
  const plan = Object.assign({ statistics: [], advertising: [], early: [], knobs: [], items: {} }, window.sitePlan);
  const trackers = window.siteTrackers || {};
  const has = (knob) => plan.knobs.includes(knob);
  const started = new Set();
  const framed = plan.frame && window.parent !== window;

  const load = (src, attrs) => {
    const s = document.createElement("script");
    s.async = true;
    s.src = src;
    Object.assign(s, attrs);
    document.head.append(s);
    return s;
  };
  const cookie = (name) => (document.cookie.match(new RegExp("(?:^|; )" + name.replace(/[.$()*+?[\]\\^{|}]/g, "\\$&") + "=([^;]*)")) || [])[1];
  const setCookie = (name, value, days) => {
    document.cookie = `${name}=${value}; path=/; SameSite=Lax; Secure` + (days ? `; max-age=${Math.round(days * 86400)}` : "");
  };
  const domain = () => location.hostname.replace(/^www\./, "");

  const start = (name) => {
    if (started.has(name)) return;
    started.add(name);
    try { trackers[name](); } catch (e) { console.error(name, e); }
  };

  // Google's Consent Mode: what the tags are told.
  const gtag = function () { (window.dataLayer = window.dataLayer || []).push(arguments); };
  const signal = (c) => ({ ad_storage: c.advertising ? "granted" : "denied", ad_user_data: c.advertising ? "granted" : "denied", ad_personalization: c.advertising ? "granted" : "denied", analytics_storage: c.statistics ? "granted" : "denied" });

  // Removes what trackers left behind, as a site must when consent is withdrawn.
  const clean = (names) => {
    for (const name of names) for (const it of plan.items[name] || []) {
      const re = new RegExp("^" + it.name.replace(/[.$()+?[\]\\^{|}]/g, "\\$&").replace(/\*/g, ".*") + "$");
      if (it.kind === "cookie") for (const c of document.cookie.split("; ")) {
        const n = c.split("=")[0];
        if (re.test(n)) for (const d of ["", `; domain=${domain()}`, `; domain=.${domain()}`]) document.cookie = `${n}=; path=/; max-age=0${d}`;
      }
      if (it.kind === "local") for (const k of Object.keys(localStorage)) if (re.test(k)) localStorage.removeItem(k);
    }
  };

  let last = null;
  // consent takes the visitor's choice, once or again.
  const consent = (c) => {
    c = { statistics: !!c.statistics, advertising: !!c.advertising };
    if (framed) { parent.postMessage({ consent: c }, "*"); return; }
    if (localStorage.getItem("site-choice") === "withdrawn") c = { statistics: false, advertising: false };
    if (has("withdrawal-ignored")) { // what was allowed once goes on for ever
      if (c.statistics || c.advertising) localStorage.setItem("site-once", JSON.stringify(c));
      c = JSON.parse(localStorage.getItem("site-once")) || c;
    }
    const lost = last && (last.statistics && !c.statistics || last.advertising && !c.advertising);
    last = c;
    if (plan.remember && localStorage.getItem("site-choice") !== "withdrawn") localStorage.setItem("site-choice", c.statistics || c.advertising ? "yes" : "no");
    if (plan.consentMode === "advanced") gtag("consent", "update", signal(c));
    // A refusal is ignored; that who accepted is heard when they withdraw keeps it one fault.
    const ignores = (knob) => {
      if (has(knob) && (c.statistics || c.advertising)) localStorage.setItem("site-once", "yes");
      return has(knob) && !localStorage.getItem("site-once");
    };
    if (ignores("objection-ignored") || c.statistics) plan.statistics.forEach((n) => start(n));
    if (ignores("refusal-ignored") || c.advertising) plan.advertising.forEach((n) => start(n));
    if (lost && !has("withdrawal-ignored")) {
      if (!c.statistics) clean(plan.statistics);
      if (!c.advertising) clean(plan.advertising);
      location.reload();
    }
  };

  const onReopen = (f) => { site.reopen = f; };
  const withdraw = () => {
    if (plan.written) { // such a site forgets the choice and what it allowed, and asks again
      localStorage.clear();
      for (const c of document.cookie.split("; ")) for (const d of ["", `; domain=${domain()}`]) document.cookie = `${c.split("=")[0]}=; path=/; max-age=0${d}`;
      location.reload();
      return;
    }
    localStorage.setItem("site-choice", "withdrawn");
    if (!has("withdrawal-ignored")) { clean(plan.statistics); clean(plan.advertising); }
    location.reload();
  };

  // wire makes markup a banner: data-do says what a control does, data-layer
  // which layer a part belongs to, data-purpose what a toggle is for.
  const wire = (root, { keep, kept, gone }) => {
    const layer = (n) => root.querySelectorAll("[data-layer]").forEach((e) => { e.hidden = e.dataset.layer !== String(n); });
    const hide = () => { (gone || (() => root.querySelectorAll("[data-layer], [data-veil]").forEach((e) => { e.hidden = true; })))(); if (root.host) root.host.style.display = "none"; if (root.close) root.close(); };
    const show = (n) => { if (root.host) root.host.style.display = ""; const d = root.closest && root.closest("dialog"); if (d && !d.open) d.showModal(); root.querySelectorAll("[data-veil]").forEach((e) => { e.hidden = false; }); layer(n); };
    const choose = (c) => { hide(); keep(c); consent(c); };
    const toggles = () => [...root.querySelectorAll("[data-purpose]")];
    const on = (t) => (t.getAttribute("role") === "switch" ? t.getAttribute("aria-checked") === "true" : t.checked) !== (t.dataset.inverted === "");
    root.addEventListener("click", (e) => {
      const t = e.target.closest("[data-purpose][role=switch]");
      if (t && !t.hasAttribute("aria-disabled")) t.setAttribute("aria-checked", t.getAttribute("aria-checked") === "true" ? "false" : "true");
      const b = e.target.closest("[data-do]");
      if (!b) return;
      e.preventDefault();
      switch (b.dataset.do) {
        case "accept": choose({ statistics: true, advertising: true }); break;
        case "reject": choose({ statistics: false, advertising: false }); break;
        case "settings": show(2); break;
        case "ask": show(3); break;
        case "back": show(1); break;
        case "close": if (has("close-accepts")) choose({ statistics: true, advertising: true }); else hide(); break;
        case "save": { const c = {}; for (const t of toggles()) c[t.dataset.purpose] = c[t.dataset.purpose] || on(t); choose(c); break; }
      }
    });
    onReopen(() => show(root.querySelector('[data-layer="2"]') ? 2 : 1));
    const k = kept();
    if (k) { hide(); consent(k); return; }
    show(1);
    if (has("going-on-accepts")) { // whoever sees a second page went on; the window's name is kept from page to page, and is no storage
      if (window.name === "went-on") consent({ statistics: true, advertising: true });
      window.name = "went-on";
    }
  };
  // record is the commonest way to remember: one cookie of the site.
  const record = (name, days = 182) => ({
    keep: (c) => setCookie(name, encodeURIComponent(JSON.stringify(c)), days),
    kept: () => { try { return JSON.parse(decodeURIComponent(cookie(name))); } catch { return null; } },
  });

  const root = () => {
    const tmpl = document.querySelector("template[data-banner]");
    const markup = () => (tmpl ? tmpl.content.cloneNode(true) : document.createDocumentFragment());
    const host = (tag) => document.body.appendChild(document.createElement(tag));
    switch (plan.place) {
      case "shadow": case "closed": { const r = host("div").attachShadow({ mode: plan.place === "closed" ? "closed" : "open" }); r.append(markup()); return r; }
      case "element": {
        let r;
        customElements.define("privacy-choice", class extends HTMLElement { connectedCallback() { r = this.attachShadow({ mode: "open" }); r.append(markup()); } });
        host("privacy-choice");
        return r;
      }
      case "dialog": { const d = host("dialog"); d.style.cssText = "padding:0;border:0;max-width:100vw"; d.append(markup()); setTimeout(() => d.querySelector("[data-layer]:not([hidden])") && d.showModal()); return d; }
    }
    const d = document.createElement("div");
    d.append(markup());
    if (plan.layout === "inline") document.body.prepend(d); else document.body.append(d);
    if (plan.place === "animated") d.animate([{ opacity: 0, transform: "translateY(60px)" }, { opacity: 1, transform: "none" }], { duration: 1500, easing: "ease-out" });
    return d;
  };

  // banner runs a consent manager where and when the recipe wants it.
  const banner = (run) => {
    const go = () => {
      if (plan.place === "frame" || plan.place === "foreign") { if (!framed) return frame(); }
      run(root());
    };
    const once = (...types) => { const f = () => { types.forEach((t) => removeEventListener(t, f)); go(); }; types.forEach((t) => addEventListener(t, f, { passive: true })); };
    switch (plan.place) {
      case "late": setTimeout(go, plan.delay || 3000); break;
      case "scroll": seen() ? go() : once("scroll", "wheel", "touchmove"); break;
      case "mouse": seen() ? go() : once("mousemove"); break;
      default: document.readyState === "loading" ? addEventListener("DOMContentLoaded", go) : go();
    }
  };
  const seen = () => localStorage.getItem("site-choice");
  const frame = () => {
    const said = seen();
    if (said) { consent({ statistics: said === "yes", advertising: said === "yes" }); return; }
    const f = document.createElement("iframe");
    f.src = plan.frameURL;
    f.title = "Privacy";
    f.style.cssText = "position:fixed;inset:0;width:100%;height:100%;border:0;z-index:2147483000;background:transparent";
    document.body.append(f);
    addEventListener("message", (e) => { if (e.source === f.contentWindow && e.data && e.data.consent) { f.remove(); consent(e.data.consent); } });
  };

  if (!framed) {
    if (plan.consentMode === "advanced") gtag("consent", "default", Object.assign({ wait_for_update: 500 }, signal({})));
    const go = () => {
      if (plan.consentMode === "advanced") for (const n of ["google-analytics", "google-ads"]) if (plan.statistics.includes(n) || plan.advertising.includes(n)) start(n);
      if (!["no", "withdrawn"].includes(localStorage.getItem("site-choice"))) plan.early.forEach((n) => start(n));
      if (has("scroll-accepts") && !seen()) addEventListener("scroll", () => { localStorage.setItem("site-choice", "yes"); consent({ statistics: true, advertising: true }); document.querySelectorAll("[data-layer]").forEach((e) => { e.hidden = true; }); }, { once: true, passive: true });
    };
    document.readyState === "loading" ? addEventListener("DOMContentLoaded", go) : go();
    document.addEventListener("click", (e) => {
      if (e.target.closest("[data-reopen]") && site.reopen) { e.preventDefault(); site.reopen(); }
      if (e.target.closest("[data-withdraw]")) withdraw();
    });
  }
  return { plan, has, load, cookie, setCookie, domain, start, consent, banner, wire, record, onReopen, withdraw, gtag, reopen: null };
})();
