// Puts the banner of consent.frame-cmp.example into a frame of that origin,
// and tells the page of the visitor's choice.
(() => {
  const key = "frame_cmp_choice";
  const tell = (choice) => window.dispatchEvent(new CustomEvent("frame-cmp", { detail: choice }));
  const stored = localStorage.getItem(key);
  if (stored) { addEventListener("DOMContentLoaded", () => tell(stored)); return; }
  addEventListener("DOMContentLoaded", () => {
    const f = document.createElement("iframe");
    f.src = "https://consent.frame-cmp.example/";
    f.title = "Your privacy choices";
    f.style.cssText = "position:fixed;left:0;right:0;bottom:0;width:100%;height:230px;border:0;z-index:2147483000;box-shadow:0 -2px 12px rgba(0,0,0,.3)";
    document.body.append(f);
    addEventListener("message", (e) => {
      if (e.origin !== "https://consent.frame-cmp.example") return;
      localStorage.setItem(key, e.data);
      f.remove();
      tell(e.data);
    });
  });
})();
