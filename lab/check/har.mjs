// Does a HAR file open in Chrome's developer tools? It is given to the Network panel of the installed Chromium, as Import HAR file does.
//
//	node lab/check/har.mjs FILE.har [picture.png]
import { readFileSync } from 'node:fs'
import { chromium } from 'playwright-core'

const [file, picture] = process.argv.slice(2)
if (!file) {
  console.error('want a HAR file: pecrawler bundle export --har x.har BUNDLE')
  process.exit(2)
}
const har = readFileSync(file, 'utf8')
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM || '/usr/bin/chromium', args: ['--no-sandbox'] })
const page = await browser.newPage()
await page.goto('devtools://devtools/bundled/devtools_app.html')
await page.waitForTimeout(2000)
const shown = await page.evaluate(async text => {
  const of = name => import('devtools://devtools/bundled/' + name)
  const { ViewManager } = await of('ui/legacy/legacy.js')
  const { NetworkPanel } = await of('panels/network/network.js')
  const { HARFormat, Importer } = await of('models/har/har.js')
  await ViewManager.ViewManager.instance().showView('network')
  await NetworkPanel.NetworkPanel.instance().networkLogView.onLoadFromFile(new File([text], 'x.har'))
  return Importer.Importer.requestsFromHARLog(new HARFormat.HARRoot(JSON.parse(text)).log).length
}, har)
await page.waitForTimeout(1000)
if (picture) await page.screenshot({ path: picture })
await browser.close()
const want = JSON.parse(har).log.entries.length
console.log(`${shown} of ${want} requests are in the Network panel`)
process.exit(shown === want ? 0 : 1)
