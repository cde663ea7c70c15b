// Reads texts, one JSON string a line, by autoconsent's patterns, in the order in which it tries them. node patterns.mjs FOLDER
import fs from 'node:fs';
import path from 'node:path';
import vm from 'node:vm';

const source = fs.readFileSync(path.join(path.resolve(process.argv[2]), 'node_modules/@duckduckgo/autoconsent/lib/heuristic-patterns.ts'), 'utf8');
const p = vm.runInNewContext(source.replace(/^export /gm, '').replace(/\bas const\b/g, '') + '\n;({REJECT_PATTERNS, SETTINGS_PATTERNS, ACCEPT_PATTERNS, ACKNOWLEDGE_PATTERNS, BUTTON_NEVER_MATCH_PATTERNS})', {}, { timeout: 1000 });
const clean = (s) => s.toLowerCase().trim().replace(/[“”"'/#&[\]→✕×⟩❯><✗‘’›«»]+/g, '').replace(/[^\S\n]+/g, ' ').replace(/\n+/g, ' ').trim();
const any = (list, t) => list.some((x) => (typeof x === 'string' ? x === t : ((x.lastIndex = 0), x.test(t))));
for (const line of fs.readFileSync(0, 'utf8').split('\n').filter(Boolean)) {
  const t = clean(JSON.parse(line));
  const never = any(p.BUTTON_NEVER_MATCH_PATTERNS, t);
  const role = !never && any(p.REJECT_PATTERNS, t) ? 'reject' : any(p.SETTINGS_PATTERNS, t) ? 'settings' : !never && any(p.ACCEPT_PATTERNS, t) ? 'accept' : any(p.ACKNOWLEDGE_PATTERNS, t) ? 'acknowledge' : 'other';
  process.stdout.write(role + '\n');
}
