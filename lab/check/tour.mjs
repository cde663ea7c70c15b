// Makes the pictures of docs/tour.md and the text of its terminal: sweeps a few
// sites of the test web, serves the review pages, signs in as an investigator
// and as a lead by the links that are printed, and decides one case.
//
//   make tour          node tour.mjs [--bin PROGRAM] [--chromium PROGRAM] [--docs FOLDER]
import { spawn } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { existsSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { createServer } from "node:net";
import { once } from "node:events";
import { parseArgs } from "node:util";
import { deflateSync } from "node:zlib";
import { chromium } from "playwright-core";

const here = dirname(fileURLToPath(import.meta.url));
const { values: opt } = parseArgs({ options: { bin: { type: "string", default: join(here, "../../bin/pecrawler") }, chromium: { type: "string", default: "/usr/lib/chromium/chromium" }, docs: { type: "string", default: join(here, "../../docs") } } });
const bin = resolve(opt.bin);
const sweep = "uk-2026-12"; // its name in the pictures
const most = 150_000; // bytes of a picture

const work = await mkdtemp(join(tmpdir(), "pecrawler-tour-"));
let decoder; // a page of nobody's
const ends = []; // what to undo, last first

// start runs the program in the working folder, so that what it prints names no path of this machine.
function start(args) {
  const p = spawn(bin, args, { cwd: work, stdio: ["ignore", "pipe", "pipe"] });
  p.said = "";
  for (const s of [p.stdout, p.stderr]) s.on("data", (d) => { p.said += d; process.stderr.write(d); });
  return p;
}

async function done(args) {
  const p = start(args);
  const [code] = await once(p, "close");
  if (code !== 0) throw new Error(`pecrawler ${args[0]} ended with ${code}`);
  return p.said;
}

async function freePort() {
  const s = createServer().listen(0, "127.0.0.1");
  await once(s, "listening");
  const { port } = s.address();
  s.close();
  await once(s, "close");
  return port;
}

async function until(what, test) {
  for (let i = 0; i < 300; i++) {
    const got = test();
    if (got) return got;
    await new Promise((r) => setTimeout(r, 100));
  }
  throw new Error(`${what} did not come`);
}

// indexed writes a picture as a PNG of at most 256 colours: the commonest of those that share five bits of each
// channel. Pages have few colours, and it takes a third of the room. The browser decodes.
async function indexed(page, png) {
  const { width, height, data } = await page.evaluate(async (b64) => {
    const i = await createImageBitmap(await (await fetch("data:image/png;base64," + b64)).blob());
    const c = new OffscreenCanvas(i.width, i.height).getContext("2d");
    c.drawImage(i, 0, 0);
    const d = c.getImageData(0, 0, i.width, i.height).data;
    let s = "";
    for (let k = 0; k < d.length; k += 8192) s += String.fromCharCode(...d.subarray(k, k + 8192));
    return { width: i.width, height: i.height, data: btoa(s) };
  }, png.toString("base64"));
  const rgba = Buffer.from(data, "base64");
  const colour = (k) => rgba.readUInt32BE(k) >>> 8;
  const box = (c) => c & 0xf8f8f8;
  const channels = (c) => [c >> 16, (c >> 8) & 255, c & 255];
  const counts = new Map();
  for (let k = 0; k < rgba.length; k += 4) counts.set(colour(k), (counts.get(colour(k)) ?? 0) + 1);
  const boxes = new Map(); // the commonest colour first, so it stands for its box
  for (const [c, n] of [...counts].sort((a, b) => b[1] - a[1])) {
    const b = boxes.get(box(c));
    if (b) b.n += n;
    else boxes.set(box(c), { n, of: channels(c) });
  }
  const palette = [...boxes.values()].sort((a, b) => b.n - a.n).slice(0, 256).map((b) => b.of);
  for (const b of boxes.values()) {
    const far = (p) => p.reduce((d, v, c) => d + (v - b.of[c]) ** 2, 0);
    b.index = palette.reduce((best, p, i) => (far(p) < far(palette[best]) ? i : best), 0);
  }
  const rows = Buffer.alloc(height * (width + 1)); // each begins with its filter: none
  for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) rows[y * (width + 1) + 1 + x] = boxes.get(box(colour(4 * (y * width + x)))).index;
  const crc32 = (bytes) => {
    let crc = ~0;
    for (const v of bytes) {
      crc ^= v;
      for (let i = 0; i < 8; i++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
    }
    return ~crc >>> 0;
  };
  const chunk = (type, body) => {
    const b = Buffer.concat([Buffer.alloc(4), Buffer.from(type), body, Buffer.alloc(4)]);
    b.writeUInt32BE(body.length, 0);
    b.writeUInt32BE(crc32(b.subarray(4, -4)), b.length - 4);
    return b;
  };
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width, 0);
  head.writeUInt32BE(height, 4);
  head.set([8, 3], 8); // bits of an index; it is into a palette
  return Buffer.concat([Buffer.from("\x89PNG\r\n\x1a\n", "latin1"), chunk("IHDR", head), chunk("PLTE", Buffer.from(palette.flat())), chunk("IDAT", deflateSync(rows, { level: 9 })), chunk("IEND", Buffer.alloc(0))]);
}

// shoot takes a picture of the page from one element to just before another, or to its own end.
async function shoot(page, name, from, { to = "", tall = 1300, wide = 0 } = {}) {
  const box = async (s) => {
    const b = await page.locator(s).first().boundingBox();
    if (!b) throw new Error(`${name}: there is no ${s}`);
    return { ...b, y: b.y + (await page.evaluate(() => scrollY)) };
  };
  const a = await box(from);
  const y = Math.max(0, Math.floor(a.y) - 12);
  const end = to ? (await box(to)).y - 8 : a.y + a.height + 12;
  const path = join(opt.docs, "tour", name + ".png");
  const png = await page.screenshot({ fullPage: true, clip: { x: 0, y, width: wide || page.viewportSize().width, height: Math.min(tall, Math.ceil(end - y)) } });
  const small = await indexed(decoder, png);
  console.error(`${name}.png  ${small.length} bytes`);
  if (small.length > most) throw new Error(`${name}.png has ${small.length} bytes, more than ${most}`);
  await writeFile(path, small);
}

try {
  await mkdir(join(opt.docs, "tour"), { recursive: true });
  const args = ["sweep", "--lab", "--name", sweep, "--out", "pecrawler-data", "--listen", `127.0.0.1:${await freePort()}`, join(here, "tour.csv")];
  const said = (await done(args)).replace(/(\/sign-in\?)\S+/g, "$1…").replace(/127\.0\.0\.1:\d+/g, "127.0.0.1:8080").replace(/ +$/gm, "").trim();
  const page = join(opt.docs, "tour.md");
  const text = `<!-- sweep: written by make tour -->\n\`\`\`\n$ pecrawler sweep --lab --name ${sweep} lab/check/tour.csv\n${said}\n\`\`\`\n<!-- end -->`;
  await writeFile(page, (await readFile(page, "utf8")).replace(/<!-- sweep[^]*?<!-- end -->/, () => text));
  await done(["report", sweep, "--out", "pecrawler-data", "--to", "report.html"]);

  const review = start(["review", "--out", "pecrawler-data", "--listen", "127.0.0.1:0", "--second", "0", "--person", "ann", "--person", "lee:lead"]);
  ends.push(async () => { review.kill("SIGINT"); await once(review, "close"); });
  const link = (who) => until(`the link of ${who}`, () => review.said.match(new RegExp(`Sign in as ${who}, once: (\\S+)\\s`))?.[1]);

  const browser = await chromium.launch({ executablePath: existsSync(opt.chromium) ? opt.chromium : "chromium", chromiumSandbox: process.getuid() !== 0, args: ["--headless=new", "--hide-scrollbars"] });
  ends.push(() => browser.close());
  decoder = await browser.newPage();
  const signedIn = async (who) => {
    const page = await (await browser.newContext({ viewport: { width: 1100, height: 900 }, locale: "en-GB", timezoneId: "Europe/London" })).newPage();
    const url = new URL(await link(who));
    await page.goto(url.href);
    return { page, go: (path) => page.goto(url.origin + path, { waitUntil: "networkidle" }) };
  };

  const ann = await signedIn("ann");
  await ann.go(`/sweeps/${sweep}`);
  await shoot(ann.page, "sweep", "body");
  await ann.go("/queue?status=undecided");
  await shoot(ann.page, "queue", "body");

  const news = `/sweeps/${sweep}/sites/daily-lantern-news.example`;
  await ann.go(news);
  await ann.page.getByRole("button", { name: "Take this case" }).click();
  await ann.go(news);
  await shoot(ann.page, "verdict", "body", { to: "#findings" });
  await shoot(ann.page, "finding", "#finding-pre-ad-storage", { to: "#finding-pre-ad-storage .app-decide" });
  await shoot(ann.page, "timeline", "#timeline", { to: "#timeline ~ h3" });

  const shop = `/sweeps/${sweep}/sites/silkstreet-fashion.example`;
  await ann.go(shop);
  await ann.page.evaluate(async () => { for (const i of document.images) { i.loading = "eager"; await i.decode().catch(() => {}); } });
  await shoot(ann.page, "choice", "#choice", { to: "#pictures" });
  await shoot(ann.page, "boxes", "figure:has(.app-box--finding)", { wide: 570 });

  await ann.go(news);
  await ann.page.locator("#act").check();
  await ann.page.locator("#note").fill("Seen by hand too: in a new private window _fbp is there before anything is pressed.");
  await shoot(ann.page, "decide", "#decisions", { to: "#decisions ~ * .app-small" });
  await ann.page.getByRole("button", { name: "Store the decision" }).click();
  await ann.page.waitForLoadState("networkidle");

  const lee = await signedIn("lee");
  await lee.go("/audit");
  await shoot(lee.page, "audit", "body");

  await lee.page.goto(pathToFileURL(join(work, "report.html")).href);
  await shoot(lee.page, "report", "body", { tall: 900 });
} finally {
  for (const end of ends.reverse()) await end();
  await rm(work, { recursive: true, force: true });
}
