"use strict";
// Keeps relative times true, and adds the rows of the live page as they come. All figures
// are there without it.
(() => {
  const ago = (then) => {
    const s = Math.floor((Date.now() - then) / 1000);
    if (s < 0) return null;
    if (s < 2) return "now";
    if (s < 60) return s + " s ago";
    if (s < 3600) return Math.floor(s / 60) + " min ago";
    if (s < 86400) return Math.floor(s / 3600) + " h ago";
    if (s < 60 * 86400) return Math.floor(s / 86400) + " d ago";
    return null;
  };
  const refresh = () => {
    for (const t of document.querySelectorAll("time[data-ago]")) {
      const text = ago(Date.parse(t.dateTime));
      if (text !== null && t.textContent !== text) t.textContent = text;
    }
  };

  const live = document.getElementById("live");
  const rows = document.getElementById("rows");
  setInterval(refresh, 5000);
  if (!live || !rows || !live.dataset.events) return;

  const most = 200;
  const text = live.querySelector(".text");
  let seen = 0;
  let broken = false;
  const say = (state, words) => {
    live.dataset.state = state;
    text.textContent = words;
  };
  const events = new EventSource(live.dataset.events);
  events.addEventListener("ready", () => {
    // What ended meanwhile is in the ledger.
    if (broken) location.reload();
    say("on", "live");
  });
  events.addEventListener("error", () => {
    broken = true;
    say("off", events.readyState === EventSource.CLOSED ? "ended: reload the page" : "connecting again");
  });
  events.addEventListener("exchange", (e) => {
    const t = document.createElement("template");
    t.innerHTML = e.data; // rendered and escaped as in the pages
    const row = t.content.firstElementChild;
    if (!row) return;
    row.classList.add("new");
    rows.prepend(row);
    while (rows.children.length > most) rows.lastElementChild.remove();
    document.getElementById("waiting")?.remove();
    seen++;
    say("on", "live · " + seen + " new");
  });
  addEventListener("pagehide", () => events.close());
})();
