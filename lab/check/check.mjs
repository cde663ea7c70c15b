// Visits the sites of the test web with Playwright and says where the truth that
// the lab states is not what an untouched, a refusing and an accepting browser
// shows. It shares no code with the crawler.
//
//   node check.mjs --lab http://127.0.0.1:PORT [--set lawful] [--only WORD,WORD] [--jobs 4] [--shots DIR]
import { spawn } from "node:child_process";
import { mkdtemp, mkdir, writeFile, readFile, rm } from "node:fs/promises";
import { existsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { chromium } from "playwright-core";

// Requests of service workers are told only on demand.
process.env.PW_EXPERIMENTAL_SERVICE_WORKER_NETWORK_EVENTS = "1";
const { values: opt } = parseArgs({ options: { lab: { type: "string" }, set: { type: "string", default: "" }, only: { type: "string", default: "" }, jobs: { type: "string", default: "4" }, shots: { type: "string", default: "" }, chromium: { type: "string", default: "/usr/lib/chromium/chromium" } } });
if (!opt.lab) { console.error("usage: node check.mjs --lab http://127.0.0.1:PORT"); process.exit(2); }
const sleep = (ms) => new Promise((r) => setTimeout(r, ms));

// Chromium is started by hand, because Debian's blocks third-party cookies unless
// its profile says otherwise before the start.
const profile = await mkdtemp(join(tmpdir(), "lab-check-"));
await mkdir(join(profile, "Default"));
await writeFile(join(profile, "Default", "Preferences"), JSON.stringify({ profile: { cookie_controls_mode: 0 } }));
const exe = existsSync(opt.chromium) ? opt.chromium : "chromium";
const chrome = spawn(exe, ["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--ignore-certificate-errors", "--disable-blink-features=AutomationControlled", "--disable-features=WebUIOmniboxPopup,WebUIOmniboxAimPopup,Translate,OptimizationHints", "--disable-background-networking", "--lang=en-GB", "--remote-debugging-port=0", `--user-data-dir=${profile}`, "about:blank"], { stdio: "ignore" });
let port = "";
for (let i = 0; i < 100 && !port; i++) { await sleep(100); try { port = (await readFile(join(profile, "DevToolsActivePort"), "utf8")).split("\n")[0]; } catch {} }
const browser = await chromium.connectOverCDP(`http://127.0.0.1:${port}`);

const all = await (await fetch(`${opt.lab}/truth.json${opt.set ? `?set=${opt.set}` : ""}`)).json();
const sites = all.filter((s) => s.truth.outcome === "assessed" && opt.only.split(",").some((word) => JSON.stringify(s).includes(word)));

const glob = (p) => new RegExp("^" + p.replace(/[.+^$(){}|[\]\\]/g, "\\$&").replace(/\*/g, ".*").replace(/\?/g, ".") + "$");
const bare = (h) => h.replace(/^\./, "").replace(/^www\./, "");
const same = (it, got) => it.kind === got.kind && glob(it.name).test(got.name) && bare(it.host) === bare(got.host);

async function stored(context, page) {
  const out = (await context.cookies()).map((c) => ({ kind: "cookie", name: c.name, host: c.domain }));
  for (const f of page.frames()) {
    const found = await f.evaluate(async () => ({ host: location.hostname, local: Object.keys(localStorage), session: Object.keys(sessionStorage), idb: (await indexedDB.databases()).map((d) => d.name), cache: window.caches ? await caches.keys() : [] })).catch(() => null);
    if (!found) continue;
    for (const [kind, names] of [["local", found.local], ["session", found.session], ["indexeddb", found.idb], ["cache", found.cache]]) for (const name of names) out.push({ kind, name, host: found.host });
  }
  return out;
}

// shown tells whether a person would see an element: drawn, not faded out, and
// not moved out of the window.
const shown = (e) => {
  const r = e.getBoundingClientRect();
  if (!e.checkVisibility({ opacityProperty: true, visibilityProperty: true }) || r.width < 1 || r.height < 1) return false;
  for (let n = e; n; n = n.parentElement || n.getRootNode().host) if (getComputedStyle(n).position === "fixed") return r.bottom > 0 && r.right > 0 && r.top < innerHeight && r.left < innerWidth;
  return r.right > 0 && r.bottom + scrollY > 0;
};

// control finds what a visitor would press: by its text, in every frame.
async function control(page, text) {
  const exact = new RegExp("^\\s*" + text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&").replace(/\s+/g, "\\s+") + "\\s*$", "i");
  for (const f of page.frames()) {
    for (const found of [f.getByRole("button", { name: exact }), f.getByRole("link", { name: exact }), f.getByText(exact), f.locator("input[type=button],input[type=submit]").and(f.locator(`[value="${text.replace(/"/g, '\\"')}"]`))]) {
      for (let i = 0; i < Math.min(await found.count(), 6); i++) if (await found.nth(i).evaluate(shown).catch(() => false)) return found.nth(i);
    }
  }
  return null;
}

async function visit(site, scenario) {
  const faults = [];
  const truth = site.truth;
  const context = await browser.newContext({ proxy: { server: opt.lab }, ignoreHTTPSErrors: true, viewport: { width: 1366, height: 900 }, locale: "en-GB" });
  try {
    // Closed shadow roots are opened for the driver: it reads pages, it does not judge them.
    await context.addInitScript(() => { const attach = Element.prototype.attachShadow; Element.prototype.attachShadow = function (o) { return attach.call(this, { ...o, mode: "open" }); }; });
    const page = await context.newPage();
    const hosts = new Set();
    context.on("request", (r) => { try { hosts.add(new URL(r.url()).hostname); } catch {} });
    await page.goto(`https://${site.host}/`, { waitUntil: "load", timeout: 30000 });
    const spec = site.spec || {};
    await sleep(1500 + (spec.delay_ms || (site.spec ? 0 : 2500)));
    const before = scenario === "idle" ? await stored(context, page) : null; // untouched
    if (spec.place === "scroll") await page.mouse.wheel(0, 200);
    if (spec.place === "mouse") { await page.mouse.move(200, 200); await page.mouse.move(240, 260); }
    await sleep(spec.place === "scroll" || spec.place === "mouse" ? 900 : 0);
    const controls = truth.controls || [];
    if (opt.shots && scenario === "idle") await page.screenshot({ path: join(opt.shots, `${site.host}.png`) });
    if (scenario === "idle") for (const c of controls) {
      let el = null;
      for (let i = 0; i < 5 && !el; i++) { el = await control(page, c.text); if (!el) await sleep(400); }
      if (!el && !(c.action === "close")) faults.push(`the control “${c.text}” (${c.action}) is not to be seen`);
    }
    let acted = scenario === "idle";
    if (scenario !== "idle") {
      const c = controls.find((c) => c.action === scenario || scenario === "accept" && c.action === "acknowledge");
      if (!c) return { faults, skipped: true };
      let el = null;
      for (let i = 0; i < 8 && !el; i++) { el = await control(page, c.text); if (!el) await sleep(400); }
      if (!el) faults.push(`${scenario}: “${c.text}” is not to be seen`);
      else { acted = true; await el.click({ timeout: 5000 }).catch((e) => { acted = false; faults.push(`${scenario}: “${c.text}” cannot be pressed: ${String(e).split("\n")[0]}`); }); }
      if (scenario === "reject" && (spec.knobs || []).includes("reject-confirm")) { const again = page.locator("[data-layer='3'] [data-do=reject]"); await again.click({ timeout: 3000 }).catch(() => faults.push("reject: nothing to confirm")); }
      await sleep(1500);
      if (acted && controls.length && await control(page, c.text)) { const still = await control(page, c.text); if (still) faults.push(`${scenario}: the banner still stands`); }
      await page.reload({ waitUntil: "load", timeout: 30000 });
      await sleep(1800);
      if (acted && await control(page, c.text)) faults.push(`${scenario}: the banner is back after a reload`);
    }
    if (!acted) return { faults };
    const got = before || await stored(context, page);
    for (const it of truth.items || []) {
      const due = it.when.includes(scenario);
      if (!it.kind) {
        if (due && !hosts.has(it.host)) faults.push(`${scenario}: ${it.host} is not told`);
        if (!due && it.only !== "maybe" && !it.class.startsWith("exempt") && hosts.has(it.host) && !(truth.pings || []).includes(it.host)) faults.push(`${scenario}: ${it.host} is told`);
        continue;
      }
      const there = got.some((g) => same(it, g));
      if (due && !there) faults.push(`${scenario}: ${it.kind} ${it.name} of ${it.host} is not there`);
      if (!due && there && it.only !== "maybe" && !it.class.startsWith("exempt") && !(truth.items.some((o) => o !== it && o.when.includes(scenario) && got.filter((g) => same(it, g)).every((g) => same(o, g))))) faults.push(`${scenario}: ${it.kind} ${it.name} of ${it.host} is there`);
    }
    for (const g of got) if (site.spec && !(truth.items || []).some((it) => same(it, g)) && !["site-choice", "site-once"].includes(g.name)) faults.push(`${scenario}: ${g.kind} ${g.name} of ${g.host} is there, and nobody said so`);
    return { faults };
  } catch (e) {
    faults.push(`${scenario}: ${String(e).split("\n")[0]}`);
    return { faults };
  } finally {
    await context.close().catch(() => {});
  }
}

let wrong = 0, done = 0, scenarios = 0;
const queue = [...sites];
await Promise.all(Array.from({ length: Number(opt.jobs) }, async () => {
  for (let site; (site = queue.shift()); ) {
    const faults = [];
    for (const s of site.truth.banner && site.truth.controls?.length ? ["idle", "reject", "accept"] : ["idle"]) {
      const r = await visit(site, s);
      if (!r.skipped) scenarios++;
      faults.push(...r.faults);
    }
    done++;
    if (faults.length) { wrong++; console.log(`${site.host} (${site.about})`); for (const f of faults) console.log(`  ${f}`); }
    if (process.stderr.isTTY || done % 50 === 0) process.stderr.write(`${done} of ${sites.length} sites, ${wrong} not as stated\n`);
  }
}));
console.log(`${sites.length} sites in ${scenarios} scenarios: ${sites.length - wrong} as stated, ${wrong} not.`);
await browser.close().catch(() => {});
chrome.kill();
await rm(profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 }).catch(() => {});
process.exit(wrong ? 1 : 0);
