(screen => {
  const flaws = [];
  const brief = e => e.outerHTML.replace(/\s+/g, ' ').slice(0, 120);

  const color = s => { const n = (s.match(/[\d.]+/g) || []).map(Number); return n.length < 3 ? null : {c: n.slice(0, 3), a: n.length > 3 ? n[3] : 1}; };
  const luminance = c => { const f = c.map(v => { v /= 255; return v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4; }); return .2126 * f[0] + .7152 * f[1] + .0722 * f[2]; };
  const ratio = (a, b) => { const x = luminance(a), y = luminance(b); return (Math.max(x, y) + .05) / (Math.min(x, y) + .05); };
  const ground = e => {
    for (; e; e = e.parentElement) {
      const c = color(getComputedStyle(e).backgroundColor);
      if (c && c.a === 1) return c.c;
    }
    return matchMedia('(prefers-color-scheme: dark)').matches ? [0, 0, 0] : [255, 255, 255];
  };
  let texts = 0;
  for (const e of document.querySelectorAll('body *')) {
    if (['SCRIPT', 'STYLE', 'OPTION'].includes(e.tagName) || e.closest('svg, .skip') || !e.checkVisibility()) continue;
    const field = ['INPUT', 'TEXTAREA', 'SELECT'].includes(e.tagName) && e.type !== 'hidden' && e.type !== 'checkbox';
    if (!field && ![...e.childNodes].some(c => c.nodeType === 3 && c.data.trim())) continue;
    texts++;
    const r = ratio(color(getComputedStyle(e).color).c, ground(e));
    if (r < 4.5) flaws.push('contrast ' + r.toFixed(2) + ': ' + brief(e));
    // WCAG 1.4.11: where a field is must be seen too.
    if (field && ratio(color(getComputedStyle(e).borderTopColor).c, ground(e.parentElement)) < 3) flaws.push('a field hardly seen: ' + brief(e));
  }
  if (texts < 8) flaws.push('only ' + texts + ' texts are seen');

  const named = e => (e.textContent.trim() || e.getAttribute('aria-label') || e.title || e.getAttribute('alt') || (e.labels && [...e.labels].some(l => l.textContent.trim())) || e.querySelector('img[alt]:not([alt=""])'));
  for (const e of document.querySelectorAll('button, a[href], input:not([type=hidden]), select, textarea, summary, progress')) {
    const fields = ['INPUT', 'SELECT', 'TEXTAREA'].includes(e.tagName);
    if (fields ? !(e.labels && e.labels.length) && !e.getAttribute('aria-label') : !named(e)) flaws.push('no name: ' + brief(e));
    // WCAG 2.5.8: 24 by 24 pixels, but for links within text.
    const box = e.getBoundingClientRect();
    if (['BUTTON', 'SELECT', 'TEXTAREA', 'SUMMARY'].includes(e.tagName) && e.checkVisibility() && (box.width < 24 || box.height < 23.5)) flaws.push('too small: ' + box.width + 'x' + box.height + ' ' + brief(e));
    if (e.tabIndex > 0) flaws.push('an order of its own: ' + brief(e));
    if (e.parentElement.closest('a[href], button')) flaws.push('a control within a control: ' + brief(e));
  }
  for (const e of document.querySelectorAll('img:not([alt])')) flaws.push('no alt: ' + brief(e));
  for (const e of document.querySelectorAll('[aria-labelledby], [aria-describedby]')) {
    for (const a of ['aria-labelledby', 'aria-describedby']) {
      for (const id of (e.getAttribute(a) || '').split(' ')) if (id && !document.getElementById(id)) flaws.push(a + ' names nothing: ' + brief(e));
    }
  }
  for (const e of document.querySelectorAll('th:not([scope])')) flaws.push('a heading of what? ' + brief(e));

  if (!document.documentElement.lang) flaws.push('no language');
  if (!document.title.trim()) flaws.push('no title');
  if (document.querySelectorAll('main').length !== 1) flaws.push('not one main part');
  if (document.querySelectorAll('h1').length !== 1) flaws.push('not one h1');
  let level = 0;
  for (const h of document.querySelectorAll('h1, h2, h3, h4, h5, h6')) {
    const n = Number(h.tagName[1]);
    if (n > level + 1) flaws.push('a level of headings is left out: ' + brief(h));
    level = n;
  }
  const ids = new Map();
  for (const e of document.querySelectorAll('[id]')) ids.set(e.id, (ids.get(e.id) || 0) + 1);
  for (const [id, n] of ids) if (n > 1) flaws.push('the id ' + id + ' ' + n + ' times');

  for (const e of document.querySelectorAll('body *')) {
    const s = getComputedStyle(e);
    if (e.checkVisibility() && /auto|scroll/.test(s.overflowY + s.overflowX) && (e.scrollHeight > e.clientHeight + 1 || e.scrollWidth > e.clientWidth + 1) && e.tabIndex < 0 && e.tagName !== 'TEXTAREA') flaws.push('scrolls, but not by keys: ' + brief(e));
  }
  const wide = document.documentElement.scrollWidth; // a phone's innerWidth grows with it
  if (wide > screen) {
    let most = null;
    for (const e of document.querySelectorAll('body *')) if (e.checkVisibility() && (!most || e.getBoundingClientRect().right > most.getBoundingClientRect().right)) most = e;
    flaws.push('wide ' + wide + ' on a screen of ' + screen + ': ' + brief(most));
  }
  return flaws;
})
