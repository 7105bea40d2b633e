// Makes a page live: it hears of news, replaces what has changed, and knows some keys.
// Without it everything works by links and forms.
"use strict";

const RENEW_MS = 1000; // at the least between two renewals
const RETRY_MS = 5000; // until a stream that was refused is asked for again
const BASE = document.documentElement.dataset.base; // the path of a proxy before all addresses
const TYPED = "input:not([type=hidden]), textarea, select";

let stream = null;
let renewing = false;
let wanted = false;
let lastRenewal = 0;

function showLost(lost) {
  const line = document.getElementById("alive");
  if (!line) return;
  line.classList.toggle("lost", lost);
  line.querySelector(".offline").hidden = !lost;
}

// What somebody is typing into, or has opened a form in, stays as it is.
function isBusy(element) {
  if (element.contains(document.activeElement) && document.activeElement.matches(TYPED)) return true;
  return [...element.querySelectorAll(TYPED)].some(
    (field) => field.value !== field.defaultValue && !field.matches("select"),
  );
}

function replace(old, fresh) {
  if (old.outerHTML === fresh.outerHTML || isBusy(old)) return;
  const open = new Set([...old.querySelectorAll("details[open][id]")].map((one) => one.id));
  const focused = old.contains(document.activeElement) ? document.activeElement : null;
  const href = focused && focused.getAttribute("href");
  const cursor = old.querySelector(".cursor a.title");
  for (const one of fresh.querySelectorAll("details[id]")) one.open = one.open || open.has(one.id);
  old.replaceWith(document.adoptNode(fresh));
  const links = [...fresh.querySelectorAll("a")];
  const same = (address) => links.find((link) => link.getAttribute("href") === address);
  if (href) same(href)?.focus({ preventScroll: true });
  if (cursor) same(cursor.getAttribute("href"))?.closest(".row")?.classList.add("cursor");
}

async function renew() {
  wanted = true;
  if (renewing) return;
  renewing = true;
  try {
    while (wanted) {
      const wait = lastRenewal + RENEW_MS - Date.now();
      if (wait > 0) await new Promise((done) => setTimeout(done, wait));
      wanted = false;
      lastRenewal = Date.now();
      const answer = await fetch(pageAddress(), { headers: { Accept: "text/html" } });
      if (new URL(answer.url).pathname === `${BASE}/login`) {
        location.reload();
        return;
      }
      if (!answer.ok) return;
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      for (const old of document.querySelectorAll("[data-live]")) {
        const fresh = page.getElementById(old.id);
        if (fresh) replace(old, fresh);
      }
      document.title = page.title;
    }
    showLost(false);
  } catch {
    showLost(true);
  } finally {
    renewing = false;
  }
}

// After a form was answered the address is the form's; the page itself is the incident's.
function pageAddress() {
  return location.pathname.replace(/\/act\/[^/]+$/, "") + location.search;
}

function listen() {
  stream = new EventSource(`${BASE}/events`);
  stream.addEventListener("hello", () => {
    showLost(false);
    renew();
  });
  stream.addEventListener("changed", renew);
  stream.addEventListener("beat", renew);
  stream.addEventListener("error", async () => {
    // While the browser tries again by itself the connection is lost. A refused stream is another
    // matter: there are too many, or somebody has to log in again. Then the page renews itself.
    if (stream.readyState !== EventSource.CLOSED) return showLost(true);
    await renew();
    setTimeout(listen, RETRY_MS);
  });
}

function move(step) {
  const rows = [...document.querySelectorAll(".row")];
  if (!rows.length) return;
  const now = rows.findIndex((row) => row.classList.contains("cursor"));
  const next = now < 0 ? 0 : Math.min(Math.max(now + step, 0), rows.length - 1);
  rows.forEach((row, number) => row.classList.toggle("cursor", number === next));
  rows[next].querySelector("a.title, button")?.focus();
}

function act(key) {
  const target = [...document.querySelectorAll("[data-key]")].find((one) => one.dataset.key === key);
  if (!target) return false;
  if (target.tagName === "SUMMARY") {
    target.parentElement.open = true;
    target.parentElement.querySelector(TYPED)?.focus();
    target.parentElement.scrollIntoView({ block: "nearest" });
  } else if (target.form) target.form.requestSubmit(target);
  else target.click();
  return true;
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  if (event.target.matches(TYPED)) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  if (event.key === "j" || event.key === "k") move(event.key === "j" ? 1 : -1);
  else if (event.key === "/") document.getElementById("search")?.focus();
  else if (event.key === "h") location.assign(`${BASE}/`);
  else if (!act(event.key)) return;
  event.preventDefault();
});

// The answer to a form is not asked for again when somebody loads the page anew.
if (/\/act\/[^/]+$/.test(location.pathname)) history.replaceState(null, "", pageAddress());
if (document.getElementById("alive")) listen();
