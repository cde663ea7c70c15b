// The site's own small tag manager: each function does what the vendor's
// snippet does when a site puts it into its pages.
window.tags = (() => {
  const load = (src) => { const s = document.createElement("script"); s.async = true; s.src = src; document.head.append(s); };
  let google = false;
  const gtag = (id, consent) => {
    window.dataLayer = window.dataLayer || [];
    const push = function () { window.dataLayer.push(arguments); };
    if (consent && !google) push("consent", "default", consent);
    push("js", new Date());
    push("config", id);
    if (!google) load("https://www.googletagmanager.com/gtag/js?id=" + id);
    google = true;
  };
  return {
    analytics: (consent) => gtag("G-TESTWEB001", consent),
    googleAds: (consent) => gtag("AW-100200300", consent),
    consent: (state) => { window.dataLayer = window.dataLayer || []; (function () { window.dataLayer.push(arguments); })("consent", "update", state); },
    meta: () => {
      if (window.fbq) return;
      const f = (window.fbq = (...args) => { f.callMethod ? f.callMethod(...args) : f.queue.push(args); });
      f.queue = [];
      f.version = "2.0";
      load("https://connect.facebook.net/en_US/fbevents.js");
      f("init", "1002003004005006");
      f("track", "PageView");
    },
    tiktok: () => load("https://analytics.tiktok.com/i18n/pixel/events.js?sdkid=TESTWEB"),
    bing: () => load("https://bat.bing.com/bat.js"),
  };
})();
