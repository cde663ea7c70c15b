// Behaves as Microsoft's Universal Event Tracking does: _uetsid and _uetvid on
// the site's own domain (and in local storage), events to bat.bing.com.
(() => {
  const hex = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) => b.toString(16).padStart(2, "0")).join("");
  const keep = (name, days) => {
    let v = (document.cookie.match(new RegExp("(?:^|; )" + name + "=([^;]*)")) || [])[1];
    if (!v) {
      v = hex();
      document.cookie = `${name}=${v}; domain=${location.hostname.replace(/^www\./, "")}; path=/; max-age=${days * 86400}; SameSite=Lax`;
      localStorage.setItem(name, v);
    }
    return v;
  };
  const sid = keep("_uetsid", 1), vid = keep("_uetvid", 390);
  new Image().src = `https://bat.bing.com/action/0?ti=56340000&Ver=2&mid=${hex()}&sid=${sid}&vid=${vid}&evt=pageLoad&p=${encodeURIComponent(location.href)}`;
})();
