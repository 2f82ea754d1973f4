
(function () {
  'use strict';
  var status = document.getElementById('status');
  function copied(button, text) {
    var old = button.textContent;
    button.textContent = 'Copied';
    button.classList.add('done');
    status.textContent = 'Copied to the clipboard';
    setTimeout(function () {
      button.textContent = old;
      button.classList.remove('done');
      status.textContent = '';
    }, 1600);
  }
  function select(node) {
    var range = document.createRange();
    range.selectNodeContents(node);
    var selection = getSelection();
    selection.removeAllRanges();
    selection.addRange(range);
  }
  document.querySelectorAll('[data-copy]').forEach(function (button) {
    var source = document.getElementById(button.getAttribute('data-copy')) || button.parentNode.querySelector('code');
    if (!source) return;
    button.hidden = false;
    button.addEventListener('click', function () {
      var text = source.getAttribute('data-text') || source.textContent;
      if (navigator.clipboard && isSecureContext) {
        navigator.clipboard.writeText(text).then(function () { copied(button); }, function () { select(source); });
        return;
      }
      select(source);
      if (document.execCommand('copy')) copied(button);
    });
  });
  // The reader's own system first, where the browser tells it; an address may name a client: #dnf.
  var agent = navigator.userAgent.toLowerCase().replace('macintosh', 'macos');
  var client = location.hash.slice(1);
  document.querySelectorAll('input[data-client]').forEach(function (input) {
    var known = (input.getAttribute('data-families') || '').split(' ').some(function (word) {
      return word && new RegExp('\\b' + word.replace(/[^a-z0-9]/gi, '.') + '\\b').test(agent);
    });
    if (client ? input.getAttribute('data-client') === client : known) input.checked = true;
  });
})();
