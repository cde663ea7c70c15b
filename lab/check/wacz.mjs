// Does a WACZ file open on ReplayWeb.page? The viewer is served from loopback, in the installed Chromium, which reaches nothing else. Every page
// that the archive lists must be in the viewer's list, and must be replayed: a document with its text, a picture with its pixels,
// both of the second that the list names.
//
//	node lab/check/wacz.mjs FILE.wacz [picture.png]
import { existsSync, readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { chromium } from 'playwright-core'

const [file, picture] = process.argv.slice(2)
if (!file) {
  console.error('want a WACZ file: pecrawler bundle export --wacz x.wacz BUNDLE')
  process.exit(2)
}
if (!existsSync(new URL('viewer/node_modules/replaywebpage/ui.js', import.meta.url))) {
  console.error('the viewer is not installed: npm ci --omit=optional --ignore-scripts --prefix lab/check/viewer')
  process.exit(2)
}
const archive = readFileSync(file)
const listed = execFileSync('unzip', ['-p', file, 'pages/pages.jsonl'], { encoding: 'utf8' }).trim().split('\n').slice(1).map(l => JSON.parse(l))
const viewer = name => readFileSync(fileURLToPath(new URL('viewer/node_modules/replaywebpage/' + name, import.meta.url)))
const js = 'text/javascript'
const files = {
  '/': ['text/html', Buffer.from('<!doctype html><script src="/ui.js"></script><replay-app-main></replay-app-main>')],
  '/ui.js': [js, viewer('ui.js')], '/sw.js': [js, viewer('sw.js')], '/x.wacz': ['application/wacz', archive],
}
const server = createServer((q, a) => {
  const found = files[new URL(q.url, 'http://x').pathname]
  if (!found) return a.writeHead(404).end()
  const [type, all] = found
  const [, from, to] = /^bytes=(\d*)-(\d*)$/.exec(q.headers.range ?? '') ?? []
  const head = { 'Content-Type': type, 'Accept-Ranges': 'bytes' }
  if (from === undefined) return a.writeHead(200, { ...head, 'Content-Length': all.length }).end(q.method === 'HEAD' ? undefined : all)
  const first = from === '' ? all.length - Number(to) : Number(from)
  const last = from === '' || to === '' ? all.length - 1 : Math.min(Number(to), all.length - 1)
  a.writeHead(206, { ...head, 'Content-Range': `bytes ${first}-${last}/${all.length}`, 'Content-Length': last - first + 1 }).end(all.subarray(first, last + 1))
})
await new Promise(done => server.listen(0, '127.0.0.1', done))
const base = `http://127.0.0.1:${server.address().port}`

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
  args: ['--no-sandbox', '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1'],
})
const page = await browser.newPage({ viewport: { width: 1400, height: 1000 } })
await page.goto(`${base}/?source=${encodeURIComponent(base + '/x.wacz')}`)
const rows = page.locator('wr-page-entry')
await rows.first().waitFor({ timeout: 30000 }).catch(() => {})
const inList = await rows.count()
if (picture) await page.screenshot({ path: picture })

let replayed = 0
let asked = 0
let answered = 0
for (const p of listed) {
  const ts = p.ts.replace(/\D/g, '').slice(0, 14)
  await page.goto('about:blank')
  await page.goto(`${base}/?source=${encodeURIComponent(base + '/x.wacz')}#view=pages&url=${encodeURIComponent(p.url)}&ts=${ts}`)
  let seen = ''
  for (const end = Date.now() + 10000; !seen && Date.now() < end; await page.waitForTimeout(200)) {
    const frame = page.frames().find(f => f.url().includes('_/' + p.url))
    if (!frame) continue
    seen = await frame.evaluate(() => {
      const img = document.querySelector('body > img')
      if (img?.naturalWidth) return `picture ${img.naturalWidth} × ${img.naturalHeight}`
      const text = document.body?.innerText.trim().replace(/\s+/g, ' ')
      return text && `text “${text.slice(0, 60)}”`
    }).catch(() => '')
    if (!seen) continue
    // The viewer puts scripts of its own into a page; only what comes from the archive counts. An empty body is an answer too.
    const statuses = await frame.evaluate(() => performance.getEntriesByType('resource')
      .filter(r => r.name.includes('/w/')).map(r => r.responseStatus)).catch(() => [])
    asked += statuses.length
    answered += statuses.filter(s => s >= 200 && s < 300).length
    if (!frame.url().includes(`/${ts}`)) seen = ''
  }
  const refused = !seen || /Archived Page Not Found|not found in this archive/i.test(seen)
  if (!refused) replayed++
  console.log(`${refused ? 'NOT' : 'ok '} ${p.url} ${p.ts}: ${seen || 'nothing'}`)
}
if (picture) await page.screenshot({ path: picture.replace(/(\.\w+)?$/, '-last$1') })
await browser.close()
server.close()
console.log(`${inList} of ${listed.length} pages are in the list, ${replayed} are replayed as of their second; ${answered} of ${asked} things that they ask for are answered`)
process.exit(inList === listed.length && replayed === listed.length ? 0 : 1)
