// Follows a release: the server sends pieces of the page and lines of the log.
(function () {
  'use strict';
  var log = document.getElementById('log');
  var lost = document.getElementById('lost');
  var url = log && log.getAttribute('data-events');
  if (!url || !window.EventSource) return;
  var last = Number(log.getAttribute('data-last'));
  var keep = 2000; // lines; all of them are a link away
  var skew = Date.now() - Date.parse(log.getAttribute('data-now')); // of this clock
  var over = false;
  var source = null;

  function span(text, tag) {
    var e = document.createElement(tag || 'span');
    e.textContent = text;
    return e;
  }
  function cut() { document.getElementById('log-cut').hidden = false; }
  function add(lines) {
    var stick = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
    var piece = document.createDocumentFragment();
    lines.forEach(function (l) {
      if (l.n <= last) return;
      last = l.n;
      var row = document.createElement('div');
      row.className = 'line';
      row.append(span(l.at, 'time'), ' ');
      if (l.leg) row.append(span(l.leg, 'b'), ' ');
      row.append(span(l.text));
      piece.append(row);
    });
    log.append(piece);
    while (log.childElementCount > keep) {
      log.firstElementChild.remove();
      cut();
    }
    if (stick) log.scrollTop = log.scrollHeight;
  }

  // As lasted in text.go.
  function lasted(s) {
    if (s < 0) s = 0;
    if (s < 10) return (Math.floor(s * 10) / 10).toFixed(1) + ' s';
    s = Math.floor(s);
    if (s < 60) return s + ' s';
    if (s < 3600) return Math.floor(s / 60) + ' min ' + s % 60 + ' s';
    return Math.floor(s / 3600) + ' h ' + Math.floor(s % 3600 / 60) + ' min';
  }
  setInterval(function () {
    document.querySelectorAll('[data-since]').forEach(function (e) {
      e.textContent = lasted((Date.now() - skew - Date.parse(e.getAttribute('data-since'))) / 1000);
    });
  }, 1000);

  function close() {
    if (source) source.close();
    source = null;
  }
  function open() {
    if (over || source) return;
    source = new EventSource(url + '?after=' + last);
    source.onopen = function () { lost.hidden = true; };
    source.onerror = function () {
      lost.hidden = false;
      // A browser gives up after an answer that is no stream, such as one of a server
      // that has just been started.
      if (source && source.readyState === EventSource.CLOSED) {
        close();
        setTimeout(open, 5000);
      }
    };
    source.addEventListener('log', function (e) { add(JSON.parse(e.data)); });
    source.addEventListener('gap', function (e) {
      log.textContent = '';
      log.append(span(JSON.parse(e.data).lines + ' lines are left out here', 'em'));
      cut();
    });
    source.addEventListener('part', function (e) {
      var p = JSON.parse(e.data);
      var old = document.getElementById(p.id);
      // What somebody has open or is about to press stays as it is until they are done.
      var shown = Array.from(old.querySelectorAll('details'), function (d) { return d.open; });
      old.innerHTML = p.html; // made by html/template
      old.querySelectorAll('details').forEach(function (d, i) { d.open = !!shown[i]; });
    });
    source.addEventListener('end', function (e) {
      var p = JSON.parse(e.data);
      over = true;
      close();
      document.title = p.title + ': ' + p.state;
    });
  }
  // A browser has six connections to a server; pages that nobody sees need none.
  document.addEventListener('visibilitychange', function () {
    if (document.hidden) close(); else open();
  });
  log.scrollTop = log.scrollHeight;
  if (!document.hidden) open();
})();
