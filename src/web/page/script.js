// Keeps the page fresh and tells times in the reader's own zone. Without it the
// page is whole; it is then loaded anew now and then.
"use strict";

const EVERY_MS = 3000;

function localise(root) {
  for (const time of root.querySelectorAll("time[datetime]")) {
    time.title = new Date(time.dateTime).toLocaleString() + " where you are";
  }
}

// Only what changed is replaced, so that a selection or the focus stays.
function update(fresh) {
  const now = document.querySelectorAll("header.top, main > *");
  const next = fresh.querySelectorAll("header.top, main > *");
  if (now.length !== next.length) {
    document.querySelector("header.top").replaceWith(fresh.querySelector("header.top"));
    document.querySelector("main").replaceChildren(...fresh.querySelector("main").children);
  } else {
    now.forEach((part, index) => {
      const isRead = part.contains(document.activeElement);
      const hasChanged = part.dataset.source !== next[index].outerHTML;
      if (!isRead && hasChanged) {
        const source = next[index].outerHTML;
        part.replaceWith(next[index]);
        next[index].dataset.source = source;
      }
    });
  }
  document.title = fresh.title;
  localise(document);
}

async function refresh() {
  try {
    const answer = await fetch(location.href, { cache: "no-store" });
    if (!answer.ok) throw new Error(answer.status);
    update(new DOMParser().parseFromString(await answer.text(), "text/html"));
    document.documentElement.dataset.refreshed = Number(document.documentElement.dataset.refreshed || 0) + 1;
  } catch {
    document.getElementById("stale").hidden = false;
  }
  setTimeout(refresh, EVERY_MS);
}

localise(document);
setTimeout(refresh, EVERY_MS);
