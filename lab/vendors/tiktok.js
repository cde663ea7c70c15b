// Behaves as the TikTok pixel does: _ttp and _tt_enable_cookie on the site's
// own domain, events to analytics.tiktok.com.
(() => {
  const set = (name, value) => { document.cookie = `${name}=${value}; domain=${location.hostname.replace(/^www\./, "")}; path=/; max-age=${390 * 86400}; SameSite=Lax`; };
  let id = (document.cookie.match(/(?:^|; )_ttp=([^;]*)/) || [])[1];
  if (!id) {
    id = "01" + Array.from(crypto.getRandomValues(new Uint8Array(24)), (b) => "0123456789ABCDEFGHJKMNPQRSTVWXYZ"[b % 32]).join("") + "_.tt.1";
    set("_ttp", id);
  }
  set("_tt_enable_cookie", "1");
  fetch("https://analytics.tiktok.com/api/v2/pixel", { method: "POST", mode: "no-cors", credentials: "include", body: JSON.stringify({ event: "Pageview", context: { user: { ttp: id }, page: { url: location.href } } }) });
})();
