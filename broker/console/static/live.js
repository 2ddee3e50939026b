/* Keeps a page true without moving it: sentences change in place, new cases are only announced. */
(function () {
  "use strict";
  var HEARD_WITHIN_MS = 15000;
  var sign = document.getElementById("live");
  if (!sign || !window.EventSource) { return; }
  var heard = 0;
  var asOf = sign.textContent.replace(/^as of /, "");

  function say(text, live) {
    if (sign.textContent !== text) { sign.textContent = text; }
    sign.classList.toggle("is-live", live);
    sign.classList.toggle("is-paused", !live);
  }
  function paused() { say("paused: data as of " + asOf, false); }

  function set(parent, selector, text) {
    var part = parent.querySelector(selector);
    if (part && part.textContent !== text) { part.textContent = text; }
  }

  function show(sync) {
    var card = document.querySelector('[data-sync="' + CSS.escape(sync.name) + '"]');
    if (!card) { return; }
    set(card, ".sentence", sync.sentence);
    set(card, '[data-part="effect"]', sync.effect);
    set(card, '[data-part="next"]', sync.next);
    var state = card.querySelector(".state");
    if (state.dataset.state !== sync.state) {
      state.dataset.state = sync.state;
      state.className = "state tone-" + sync.tone;
      card.className = "card sync edge-" + sync.tone;
      set(state, ".sign", sync.mark);
      set(state, ".word", sync.word);
      set(card, ".since", "for a moment");
    }
  }

  function announce(cases) {
    var button = document.getElementById("new-cases");
    if (!button) { return; }
    var fresh = cases - Number(button.dataset.known);
    button.hidden = fresh <= 0;
    button.textContent = fresh + " new";
  }

  var button = document.getElementById("new-cases");
  if (button) { button.addEventListener("click", function () { window.location.reload(); }); }

  var source = new EventSource("/live");
  source.addEventListener("state", function (event) {
    var found = JSON.parse(event.data);
    heard = Date.now();
    asOf = found.as_of;
    say("live", true);
    found.syncs.forEach(show);
    announce(found.cases);
  });
  source.addEventListener("signed-out", function () { source.close(); paused(); });
  source.addEventListener("error", paused);
  window.setInterval(function () {
    if (Date.now() - heard > HEARD_WITHIN_MS) { paused(); }
  }, 2000);
  window.addEventListener("pagehide", function () { source.close(); });
})();
