// Behaves as Matomo on the site's own host does.
(() => {
  let id = (document.cookie.match(/(?:^|; )_pk_id\.1\.1fff=([^;]*)/) || [])[1];
  if (!id) {
    id = Array.from(crypto.getRandomValues(new Uint8Array(8)), (b) => b.toString(16).padStart(2, "0")).join("") + "." + Math.floor(Date.now() / 1000) + ".";
    document.cookie = `_pk_id.1.1fff=${id}; path=/; max-age=${393 * 86400}; SameSite=Lax`;
  }
  document.cookie = "_pk_ses.1.1fff=1; path=/; max-age=1800; SameSite=Lax";
  navigator.sendBeacon(`/matomo.php?action_name=page&idsite=1&rec=1&_id=${id.slice(0, 16)}`);
})();
