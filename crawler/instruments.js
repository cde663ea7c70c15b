// The instruments: run in the main world of every document and worker before
// its first script. They report what is written to storage and what is read of
// the device, and change nothing else. See docs/adr/0009.
//
// A report is a call of the browser's own console.debug, taken before any page
// could replace it: DevTools adds the native stack to it, which no page can
// forge or take away. The token tells our reports from the page's.
//
// Whatever is used after the start is kept in constants, and what is handed to
// natives has no prototype: a page can poison every shared object.
((token) => {
  'use strict';
  const { apply, defineProperty, getOwnPropertyDescriptor, ownKeys } = Reflect;
  const { create, setPrototypeOf } = Object;
  const { stringify } = JSON;
  const { isArray } = Array;
  const { slice, indexOf } = String.prototype;
  const { get: weakGet, set: weakSet } = WeakMap.prototype;
  const { then } = Promise.prototype;
  const { debug } = console;
  const later = globalThis.setTimeout;
  const nativeToString = Function.prototype.toString;

  // A window can outlive its empty first document, and a worker gets half of its
  // interfaces only when its script is about to run. When this runs again it
  // finds itself, and adds what is new.
  try { if (apply(nativeToString, token, []) === token) return; } catch { /* the native one: not there yet */ }

  const maxWrites = 200, maxReads = 300, maxStacks = 3, maxValue = 4096, maxName = 2000;
  let writes, reads, counts, keys, more, pending;
  const report = (what) => apply(debug, undefined, [token, stringify(what)]);
  const start = () => {
    writes = create(null); counts = create(null); more = create(null);
    reads = keys = 0; pending = false;
    // A worker has no address yet, and asking for it crashes Chromium 156.
    report({ __proto__: null, k: 'live', u: globalThis.document ? globalThis.location.href : '' });
  };

  const cut = (s, max) => s.length > max ? apply(slice, s, [0, max]) : s;
  // text never calls into the page: an object that would turn itself into a string is left out.
  const text = (v, max) => typeof v === 'string' ? cut(v, max) : v === undefined ? '' : v === null || typeof v !== 'object' && typeof v !== 'function' && typeof v !== 'symbol' ? `${v}` : '';
  const own = (o, name) => { const d = getOwnPropertyDescriptor(o, name); return d && d.value; };
  // plain copies the own data properties of a value, so that no getter and no toJSON runs.
  const plain = (v, depth, budget) => {
    if (typeof v === 'string') { budget.n -= v.length; return cut(v, maxValue); }
    if (v === null || typeof v === 'number' || typeof v === 'boolean') return v;
    if (typeof v !== 'object') return text(v, 100);
    if (depth > 3) return '…';
    const out = isArray(v) ? setPrototypeOf([], null) : create(null);
    const names = ownKeys(v);
    for (let i = 0; i < names.length && budget.n > 0; i++) {
      if (typeof names[i] !== 'string' || names[i] === 'length') continue;
      budget.n -= names[i].length + 4;
      defineProperty(out, names[i], { __proto__: null, value: plain(own(v, names[i]), depth + 1, budget), enumerable: true, configurable: true, writable: true });
    }
    return out;
  };
  const json = (v) => typeof v === 'string' ? cut(v, maxValue) : cut(stringify(plain(v, 0, { n: maxValue })), maxValue);

  const count = (key) => {
    more[key] = (more[key] || 0) + 1;
    if (pending || !later) return;
    pending = true;
    apply(later, globalThis, [() => { const c = more; more = create(null); pending = false; report({ __proto__: null, k: 'more', c }); }, 250]);
  };
  const write = (k, op, n, v, e) => {
    if ((writes[k] = (writes[k] || 0) + 1) > maxWrites) return count(k);
    report({ __proto__: null, k, op, n: text(n, maxName), v: text(v, maxValue), e: text(e, maxName) });
  };
  const read = (n, detail) => {
    let key = `${n}\n${text(detail, 100)}`;
    if (!counts[key] && ++keys > maxReads) key = `${n}\n`;
    if ((counts[key] = (counts[key] || 0) + 1) > maxStacks || ++reads > maxReads) return count(key);
    report({ __proto__: null, k: 'read', n: key });
  };

  // swap puts a proxy over a native: name, length and text of the function stay.
  const natives = new WeakMap();
  const swap = (owner, name, slot, after) => {
    const d = owner && getOwnPropertyDescriptor(owner, name);
    if (!d || !d.configurable || typeof d[slot] !== 'function') return;
    const native = d[slot];
    if (apply(weakGet, natives, [native])) return; // done before
    d[slot] = new Proxy(native, { __proto__: null, apply(fn, self, args) {
      let result;
      try { result = apply(fn, self, args); } catch (e) { throw unseen(e); }
      try { after(self, args, result); } catch { /* an odd argument must not harm the page */ }
      return result;
    } });
    apply(weakSet, natives, [d[slot], native]);
    defineProperty(owner, name, d);
  };
  // unseen takes our own line out of the stack of an error that a native threw.
  const unseen = (e) => {
    try {
      const s = typeof Error.prepareStackTrace === 'function' ? '' : e.stack;
      const from = typeof s === 'string' ? apply(indexOf, s, ['\n    at Object.apply (<anonymous>']) : -1;
      if (from >= 0) {
        const to = apply(indexOf, s, ['\n', from + 1]);
        e.stack = apply(slice, s, [0, from]) + (to < 0 ? '' : apply(slice, s, [to]));
      }
    } catch { /* not an Error */ }
    return e;
  };
  const proto = (name) => { const c = globalThis[name]; return c && c.prototype; };
  const method = (type, name, after) => swap(proto(type), name, 'value', after);
  const getter = (owner, name) => { const d = owner && getOwnPropertyDescriptor(owner, name); return d && d.get || (() => undefined); };

  const maskToString = () => {
    const d = getOwnPropertyDescriptor(Function.prototype, 'toString');
    d.value = new Proxy(nativeToString, { __proto__: null, apply(fn, self, args) {
      if (self === token) { install(); start(); return token; }
      try { return apply(fn, apply(weakGet, natives, [self]) || self, args); } catch (e) { throw unseen(e); }
    } });
    apply(weakSet, natives, [d.value, nativeToString]);
    defineProperty(Function.prototype, 'toString', d);
  };

  const caches = new WeakMap();
  const install = () => {
    // Writes.
    swap(proto('Document'), 'cookie', 'set', (_, a) => write('cookie', 'set', '', a[0]));
    method('CookieStore', 'set', (_, a) => {
      const o = a.length === 1 && a[0] !== null && typeof a[0] === 'object' ? a[0] : undefined;
      write('cookie', 'set', '', `${text(o ? own(o, 'name') : a[0], maxName)}=${text(o ? own(o, 'value') : a[1], maxValue)}`);
    });
    method('CookieStore', 'delete', (_, a) => write('cookie', 'delete', typeof a[0] === 'object' && a[0] ? own(a[0], 'name') : a[0], ''));
    const local = getter(globalThis, 'localStorage');
    const area = (self) => { try { return self === apply(local, globalThis, []) ? 'local' : 'session'; } catch { return 'session'; } };
    method('Storage', 'setItem', (self, a) => write(area(self), 'set', a[0], a[1]));
    method('Storage', 'removeItem', (self, a) => write(area(self), 'delete', a[0], ''));
    method('Storage', 'clear', (self) => write(area(self), 'clear', '', ''));
    const storeName = getter(proto('IDBObjectStore'), 'name'), storeTx = getter(proto('IDBObjectStore'), 'transaction');
    const txDB = getter(proto('IDBTransaction'), 'db'), dbName = getter(proto('IDBDatabase'), 'name');
    for (const op of ['put', 'add']) {
      method('IDBObjectStore', op, (self, a) =>
        write('indexeddb', op, apply(dbName, apply(txDB, apply(storeTx, self, []), []), []), json(a[0]), `${apply(storeName, self, [])}${a.length > 1 ? '/' + text(a[1], maxName) : ''}`));
    }
    method('IDBFactory', 'open', (_, a) => write('indexeddb', 'open', a[0], ''));
    method('IDBFactory', 'deleteDatabase', (_, a) => write('indexeddb', 'delete', a[0], ''));
    const requestURL = getter(proto('Request'), 'url'), nothing = () => {};
    const address = (r) => { try { return apply(requestURL, r, []) || text(r, maxName); } catch { return text(r, maxName); } };
    method('CacheStorage', 'open', (_, a, opened) => {
      const name = text(a[0], maxName);
      apply(then, opened, [(c) => { apply(weakSet, caches, [c, name]); }, nothing]);
      write('cache', 'open', name, '');
    });
    method('CacheStorage', 'delete', (_, a) => write('cache', 'delete', a[0], ''));
    for (const op of ['put', 'add']) method('Cache', op, (self, a) => write('cache', op, apply(weakGet, caches, [self]), '', address(a[0])));
    method('Cache', 'addAll', (self, a) => { for (let i = 0; i < a[0].length && i < 50; i++) write('cache', 'add', apply(weakGet, caches, [self]), '', address(a[0][i])); });

    // Reads of what tells one device from another.
    swap(proto('Document'), 'cookie', 'get', () => read('Document.cookie'));
    const fields = {
      Navigator: ['plugins', 'mimeTypes', 'languages', 'hardwareConcurrency', 'deviceMemory', 'platform', 'maxTouchPoints'],
      WorkerNavigator: ['languages', 'hardwareConcurrency', 'deviceMemory', 'platform'],
      Screen: ['width', 'height', 'availWidth', 'availHeight', 'colorDepth', 'pixelDepth'],
    };
    const calls = {
      HTMLCanvasElement: ['toDataURL', 'toBlob'], OffscreenCanvas: ['convertToBlob'],
      CanvasRenderingContext2D: ['getImageData'], OffscreenCanvasRenderingContext2D: ['getImageData'],
      OfflineAudioContext: ['startRendering'], BaseAudioContext: ['createOscillator', 'createAnalyser', 'createDynamicsCompressor'],
      AnalyserNode: ['getFloatFrequencyData'], SpeechSynthesis: ['getVoices'],
      Navigator: ['getBattery'], MediaDevices: ['enumerateDevices'], RTCPeerConnection: ['createDataChannel', 'createOffer'],
    };
    for (const type of ownKeys(fields)) for (const name of fields[type]) swap(proto(type), name, 'get', () => read(`${type}.${name}`));
    for (const type of ownKeys(calls)) for (const name of calls[type]) method(type, name, () => read(`${type}.${name}`));
    for (const type of ['WebGLRenderingContext', 'WebGL2RenderingContext']) {
      method(type, 'getParameter', (_, a) => read(`${type}.getParameter`, a[0]));
      method(type, 'getExtension', (_, a) => { if (a[0] === 'WEBGL_debug_renderer_info') read(`${type}.getExtension`, a[0]); });
      for (const name of ['getSupportedExtensions', 'getShaderPrecisionFormat', 'readPixels']) method(type, name, () => read(`${type}.${name}`));
    }
    for (const type of ['CanvasRenderingContext2D', 'OffscreenCanvasRenderingContext2D']) {
      const font = getter(proto(type), 'font');
      method(type, 'measureText', (self) => read(`${type}.measureText`, apply(font, self, [])));
    }
    method('FontFaceSet', 'check', (_, a) => read('FontFaceSet.check', a[0]));
    method('NavigatorUAData', 'getHighEntropyValues', (_, a) => read('NavigatorUAData.getHighEntropyValues', json(a[0])));
    swap(Intl.DateTimeFormat.prototype, 'resolvedOptions', 'value', () => read('Intl.DateTimeFormat.resolvedOptions'));
  };

  maskToString();
  install();
  start();
})('{{token}}');
