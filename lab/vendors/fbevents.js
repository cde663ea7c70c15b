// Behaves as the Meta pixel does: takes the queue of the fbq snippet, stores
// _fbp on the site's own domain, sends events to facebook.com/tr.
(() => {
  const fbq = window.fbq;
  if (!fbq) return;
  let granted = true;
  let ids = [];
  let held = [];
  const browser = () => {
    let v = (document.cookie.match(/(?:^|; )_fbp=([^;]*)/) || [])[1];
    if (!v) {
      v = `fb.1.${Date.now()}.${Math.floor((0.1 + 0.9 * Math.random()) * 1e18)}`;
      document.cookie = `_fbp=${v}; domain=${location.hostname.replace(/^www\./, "")}; path=/; max-age=${90 * 86400}; SameSite=Lax`;
    }
    return v;
  };
  const track = (ev) => {
    if (!granted) { held.push(ev); return; }
    for (const id of ids) {
      new Image().src = `https://www.facebook.com/tr/?id=${id}&ev=${ev}&dl=${encodeURIComponent(location.href)}&ts=${Date.now()}&fbp=${browser()}&it=${Date.now()}&v=2.9`;
    }
  };
  const call = (cmd, a) => {
    if (cmd === "consent") {
      granted = a === "grant";
      if (granted) { const q = held; held = []; q.forEach(track); }
    } else if (cmd === "init") {
      ids.push(a);
    } else if (cmd === "track") {
      track(a);
    }
  };
  fbq.callMethod = (...args) => call(...args);
  const queue = fbq.queue || [];
  while (queue.length) call(...queue.shift());
})();
