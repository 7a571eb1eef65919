// Keeps the page fresh and tells times in the reader's own zone. Without it the
// page is whole; it is then loaded anew now and then.
"use strict";

const EVERY_MS = 3000;

// A time is written as clocks there show it, with their offset from UTC. Where
// the reader's are not the same, theirs is told beside it.
function localise(root) {
  for (const time of root.querySelectorAll("time[datetime]")) {
    const at = new Date(time.dateTime);
    const [, sign, hours, minutes] = /([+-])(\d\d):(\d\d)$/.exec(time.dateTime) || ["", "+", 0, 0];
    const theirs = Number(sign + 1) * (60 * hours + Number(minutes));
    time.title = at.toLocaleString() + " where you are";
    if (theirs !== -at.getTimezoneOffset()) {
      time.dataset.yours = at.toLocaleString([], { weekday: "short", hour: "2-digit", minute: "2-digit" });
    }
  }
}

// How to find an element again in the page that takes this one's place.
function mark(element) {
  const of = (name) => `[${name}="${CSS.escape(element.getAttribute(name))}"]`;
  const name = ["id", "href", "aria-labelledby"].find((name) => element.hasAttribute(name));
  const selector = name && element !== document.body && element.localName + of(name);
  return selector && { selector, index: [...document.querySelectorAll(selector)].indexOf(element) };
}

// Only what changed is replaced, so that a selection stays; so does the focus.
function update(fresh) {
  const focused = mark(document.activeElement ?? document.body);
  const now = document.querySelectorAll("header.top, main > *");
  const next = fresh.querySelectorAll("header.top, main > *");
  if (now.length !== next.length) {
    document.querySelector("header.top").replaceWith(fresh.querySelector("header.top"));
    document.querySelector("main").replaceChildren(...fresh.querySelector("main").children);
  } else {
    now.forEach((part, index) => {
      const source = next[index].outerHTML;
      if (part.dataset.source !== source) {
        part.replaceWith(next[index]);
        next[index].dataset.source = source;
      }
    });
  }
  if (focused && document.activeElement === document.body) {
    document.querySelectorAll(focused.selector)[focused.index]?.focus({ preventScroll: true });
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
