// Behaves as a Google tag does: reads window.dataLayer, keeps to Consent Mode,
// stores _ga and _gcl_au on the site's own domain, sends to Analytics and Ads.
(() => {
  const state = { analytics_storage: "granted", ad_storage: "granted" };
  const targets = [];
  const day = 86400;
  const read = (name) => (document.cookie.match(new RegExp("(?:^|; )" + name + "=([^;]*)")) || [])[1];
  const write = (name, value, days) => {
    document.cookie = `${name}=${value}; domain=${location.hostname.replace(/^www\./, "")}; path=/; max-age=${days * day}; SameSite=Lax`;
  };
  const number = (digits) => Math.floor((0.1 + 0.9 * Math.random()) * 10 ** digits);
  const now = () => Math.floor(Date.now() / 1000);
  const gcs = () => `G1${state.ad_storage === "granted" ? 1 : 0}${state.analytics_storage === "granted" ? 1 : 0}`;
  const send = (url) => { new Image().src = url; };

  const analytics = (id) => {
    let cid = "";
    if (state.analytics_storage === "granted") {
      let ga = read("_ga");
      if (!ga) { ga = `GA1.1.${number(9)}.${now()}`; write("_ga", ga, 400); }
      const own = "_ga_" + id.slice(2);
      if (!read(own)) write(own, `GS2.1.s${now()}$o1$g0$t${now()}$j60$l0$h0`, 400);
      cid = ga.split(".").slice(2).join(".");
    } else {
      cid = `${number(9)}.${now()}`; // lives as long as the page
    }
    fetch(`https://region1.google-analytics.com/g/collect?v=2&tid=${id}&gcs=${gcs()}&cid=${cid}&en=page_view&dl=${encodeURIComponent(location.href)}`, { method: "POST", mode: "no-cors", keepalive: true });
  };
  const ads = (id) => {
    if (state.ad_storage !== "granted") return;
    let au = read("_gcl_au");
    if (!au) { au = `1.1.${number(9)}.${now()}`; write("_gcl_au", au, 90); }
    send(`https://googleads.g.doubleclick.net/pagead/viewthroughconversion/${id.slice(3)}/?random=${Date.now()}&gcs=${gcs()}&auid=${au.split(".").slice(2).join(".")}&url=${encodeURIComponent(location.href)}`);
  };
  const run = (id) => (id.startsWith("AW-") ? ads : analytics)(id);

  const handle = (args) => {
    const [cmd, a, b] = args;
    if (cmd === "consent") {
      const before = gcs();
      Object.assign(state, b);
      if (a === "update" && gcs() !== before) targets.forEach(run);
    } else if (cmd === "config") {
      targets.push(a);
      run(a);
    }
  };
  const layer = (window.dataLayer = window.dataLayer || []);
  layer.forEach(handle);
  layer.push = function (...entries) { entries.forEach((e) => { Array.prototype.push.call(layer, e); handle(e); }); return layer.length; };
})();
