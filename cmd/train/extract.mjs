// Reads the catalogues of texts that are programs, and makes strings of autoconsent's patterns. Writes lines of JSON:
// {source, lang, key, text}, or {source, role, text} for what a pattern says. node extract.mjs FOLDER
import fs from 'node:fs';
import path from 'node:path';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import vm from 'node:vm';

const root = path.resolve(process.argv[2]);
const at = (...p) => path.join(root, 'node_modules', ...p);
const out = (row) => process.stdout.write(JSON.stringify(row) + '\n');

function flat(source, lang, o, key = '') {
  for (const [k, v] of Object.entries(o ?? {}).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))) {
    const full = key ? `${key}.${k}` : k;
    if (typeof v === 'string') out({ source, lang, key: full, text: v });
    else if (v && typeof v === 'object') flat(source, lang, v, full);
  }
}
const files = (dir, re) => fs.readdirSync(dir).filter((f) => re.test(f)).sort();
// A module that a package does not call one: its only statement is read as a value.
const literal = (file, before) => {
  const text = fs.readFileSync(file, 'utf8');
  return vm.runInNewContext('(' + text.slice(text.indexOf('{', text.search(before)), text.lastIndexOf('}') + 1) + ')', {}, { timeout: 1000 });
};

const { baseTranslations } = await import(pathToFileURL(at('@c15t/translations/dist/all.js')));
for (const lang of Object.keys(baseTranslations).sort()) flat('c15t', lang, baseTranslations[lang]);
for (const f of files(at('tarteaucitronjs/lang'), /^tarteaucitron\.[a-z]+\.js$/)) flat('tarteaucitron', f.split('.')[1], literal(at('tarteaucitronjs/lang', f), /tarteaucitron\.lang/));
for (const f of files(at('@68publishers/cookie-consent/src/resources/translations'), /\.json$/)) flat('68publishers', f.slice(0, -5), JSON.parse(fs.readFileSync(at('@68publishers/cookie-consent/src/resources/translations', f), 'utf8')));
for (const f of files(at('@dargmuesli/nuxt-cookie-control/dist/runtime/locale'), /^[a-z]{2}\.js$/)) flat('nuxt-cookie-control', f.slice(0, 2), literal(at('@dargmuesli/nuxt-cookie-control/dist/runtime/locale', f), /export default/));
for (const f of files(at('@justeattakeaway/pie-cookie-banner/locales'), /\.js$/)) flat('pie', f.slice(0, 2), literal(at('@justeattakeaway/pie-cookie-banner/locales', f), /export default/));
for (const f of files(at('auth0-lock/lib/i18n'), /\.js$/)) flat('auth0-lock', f.slice(0, 2), createRequire(import.meta.url)(at('auth0-lock/lib/i18n', f)).default);
for (const f of files(at('video.js/dist/lang'), /\.json$/)) flat('video.js', f.slice(0, 2), JSON.parse(fs.readFileSync(at('video.js/dist/lang', f), 'utf8')));
for (const f of files(at('@payloadcms/translations/dist/languages'), /^[a-z]{2}\.js$/)) flat('payload', f.slice(0, 2), (await import(pathToFileURL(at('@payloadcms/translations/dist/languages', f))))[f.slice(0, 2)]?.translations);
for (const f of files(at('@ui5/webcomponents/dist/generated/assets/i18n'), /^messagebundle_[a-z]{2}\.json$/)) flat('ui5', f.slice(14, 16), JSON.parse(fs.readFileSync(at('@ui5/webcomponents/dist/generated/assets/i18n', f), 'utf8')));

// autoconsent: a pattern stands for many texts. A few are made of each, the same each time, and kept if the pattern itself
// agrees; what a pattern must not be followed by is left out when they are made.
const RandExp = createRequire(pathToFileURL(at('randexp/x.js')))('randexp');
const source = fs.readFileSync(at('@duckduckgo/autoconsent/lib/heuristic-patterns.ts'), 'utf8');
const patterns = vm.runInNewContext(source.replace(/^export /gm, '').replace(/\bas const\b/g, '') + '\n;({REJECT_PATTERNS, SETTINGS_PATTERNS, ACCEPT_PATTERNS, ACKNOWLEDGE_PATTERNS})', {}, { timeout: 1000 });
let state = 1;
const random = (from, to) => {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return from + (state % (to - from + 1));
};
for (const [name, role] of [['REJECT_PATTERNS', 'reject'], ['SETTINGS_PATTERNS', 'settings'], ['ACCEPT_PATTERNS', 'accept'], ['ACKNOWLEDGE_PATTERNS', 'acknowledge']]) {
  const made = new Set();
  for (const p of patterns[name]) {
    if (typeof p === 'string') {
      made.add(p);
      continue;
    }
    // \w and . in a pattern are for what nobody would write out; of spaces one is enough.
    const simple = p.source.replace(/\(\?[!=<][^()]*(\([^()]*\)[^()]*)*\)/g, '').replace(/\\b/g, '').replace(/\\s[*+]/g, ' ').replace(/\\w\*/g, '').replace(/\.(\{[^}]*\}|\*|\+)/g, ' ').replace(/\[\s?-\s?\]\?/g, '-');
    for (let i = 0; i < 24; i++) {
      let text;
      try {
        const r = new RandExp(simple, 'i');
        r.max = 2;
        r.randInt = random;
        text = r.gen();
      } catch {
        break;
      }
      text = text.toLowerCase().replace(/\s+/g, ' ').trim();
      p.lastIndex = 0;
      if (text.length > 1 && text.length < 80 && p.test(text)) made.add(text);
    }
  }
  for (const text of [...made].sort()) out({ source: 'autoconsent', role, text });
}
