// Asks the page's consent programming interfaces what they hold, in the main
// world, where they are. A page can lie, throw or not answer: each answer is
// bounded in time and size, and is recorded as what the page says.
(async () => {
  const limit = 16000, patience = 400;
  const out = {};
  const put = (api, v) => {
    try {
      const s = JSON.stringify(v);
      if (s !== undefined) out[api] = s.length > limit ? JSON.stringify({ cut: s.slice(0, limit / 2) }) : s;
    } catch (e) { out[api] = JSON.stringify({ error: `${e}`.slice(0, 200) }); }
  };
  const tell = async (api, get) => {
    try { const v = await get(); if (v !== undefined && v !== null) put(api, v); } catch (e) { put(api, { error: `${e}`.slice(0, 200) }); }
  };
  const ask = (call) => Promise.race([new Promise((done) => call((v, ok) => done(ok === false ? undefined : v))), new Promise((done) => setTimeout(done, patience, { error: 'no answer' }))]);
  const has = (name) => typeof window[name] === 'function';
  const jobs = [];

  if (has('__tcfapi')) {
    jobs.push(tell('tcf.ping', () => ask((done) => __tcfapi('ping', 2, done))));
    jobs.push(tell('tcf', async () => {
      const data = await ask((done) => __tcfapi('getTCData', 2, done));
      if (data && !data.error) return data;
      return ask((done) => __tcfapi('addEventListener', 2, (d, ok) => { // later versions have only this way
        done(d, ok);
        if (ok && d) __tcfapi('removeEventListener', 2, () => {}, d.listenerId);
      }));
    }));
  }
  if (has('__gpp')) jobs.push(tell('gpp', () => ask((done) => __gpp('ping', done))));
  if (has('__uspapi')) jobs.push(tell('usp', () => ask((done) => __uspapi('getUSPData', 1, done))));

  // The commands of Google's consent mode, in order, and what came of them.
  jobs.push(tell('google.commands', () => {
    if (!Array.isArray(window.dataLayer)) return undefined;
    const list = [];
    for (let i = 0; i < Math.min(dataLayer.length, 1000) && list.length < 50; i++) {
      const c = dataLayer[i];
      if (c && c[0] === 'consent') list.push({ index: i, command: c[1], parameters: c[2] });
    }
    return list.length ? list : undefined;
  }));
  jobs.push(tell('google.entries', () => window.google_tag_data?.ics?.entries));

  // What consent managers declare about themselves by public interfaces.
  const managers = {
    'onetrust.active': () => window.OnetrustActiveGroups ?? window.OptanonActiveGroups,
    'onetrust.groups': () => window.OneTrust?.GetDomainData?.()?.Groups?.map((g) => ({ id: g.OptanonGroupId ?? g.CustomGroupId, name: g.GroupName, status: g.Status, cookies: g.FirstPartyCookies?.length, hosts: g.Hosts?.length })),
    cookiebot: () => window.Cookiebot?.consent && { consent: { ...Cookiebot.consent }, consented: Cookiebot.consented, declined: Cookiebot.declined, answered: Cookiebot.hasResponse },
    didomi: () => window.Didomi?.getCurrentUserStatus?.() ?? window.Didomi?.getUserStatus?.(),
    usercentrics: () => window.UC_UI?.getServicesBaseInfo?.()?.map((s) => ({ name: s.name, category: s.categorySlug, consent: s.consent?.status })),
    cookiefirst: () => window.CookieFirst?.consent,
    cookieyes: () => has('getCkyConsent') ? getCkyConsent() : undefined,
    civic: () => window.CookieControl?.getCookie?.('CookieControl'),
    klaro: () => window.klaro?.getManager?.()?.consents,
    osano: () => window.Osano?.cm?.getConsent?.(),
    iubenda: () => window._iub?.cs?.consent,
    tarteaucitron: () => window.tarteaucitron?.state,
    'vanilla-cookieconsent': () => window.CookieConsent?.getUserPreferences?.(),
  };
  for (const name of Object.keys(managers)) jobs.push(tell(name, managers[name]));
  await Promise.all(jobs);
  return JSON.stringify(out);
})()
