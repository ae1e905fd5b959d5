// The editor: what the form does without a script, it does with one too, only that nothing typed can be lost.

import * as keep from "./editor-keep.js";
import { Preview } from "./editor-preview.js";
import { Saver } from "./editor-saving.js";
import { equip } from "./editor-tools.js";

const KEEP_MS = 250;
const TEXTS = ["title", "content", "summary", "tags", "slug", "cover", "cover_alt", "note"];
const form = document.getElementById("Post");
const area = form.elements.content;
const post = form.action.split("/").at(-1);
const key = `${post}:${crypto.getRandomValues(new Uint32Array(2)).join("-")}`;

const standing = document.getElementById("Standing");
// kind: "saved", "kept" or "trouble". What is kept by itself every few seconds is not read out.
function say(text, kind) {
  standing.setAttribute("aria-live", kind === "kept" ? "off" : "polite");
  standing.textContent = text;
  standing.className = kind === "trouble" ? "wrong" : "";
  standing.dataset.kind = kind;
}

// --- keeping ------------------------------------------------------------------------------------------------------

const textsOf = () => Object.fromEntries(TEXTS.map((name) => [name, form.elements[name]?.value ?? ""]));
let keeping = null;

function keepSoon() {
  keeping ??= setTimeout(keepNow, KEEP_MS);
}

function keepNow() {
  clearTimeout(keeping);
  keeping = null;
  const { seen, unsaved } = form.elements;
  const kept = { key, post, at: new Date().toISOString(), seen: seen.value, unsaved: unsaved.value, texts: textsOf() };
  return keep.put(kept).catch(() => say("This browser cannot keep a copy of your text. Save often.", "trouble"));
}

async function stored(isBehind) {
  document.querySelector("h1").textContent = form.elements.title.value || "New post";
  if (location.search.includes("new")) history.replaceState(null, "", form.action);
  if (isBehind) return keepSoon();
  clearTimeout(keeping);
  keeping = null;
  await keep.remove(key).catch(() => {});
}

// --- offering what an earlier window left behind -------------------------------------------------------------------

const offers = document.getElementById("Offers");

async function offer(kept) {
  const isHere = TEXTS.every((name) => (kept.texts[name] ?? "") === (form.elements[name]?.value ?? ""));
  if (isHere || (kept.isHandedOver && form.dataset.done)) return keep.remove(kept.key);
  offers.append(offerOf(kept));
  offers.hidden = false;
}

function offerOf(kept) {
  const box = document.createElement("div");
  box.className = "told";
  box.setAttribute("role", "status");
  const words = kept.texts.content.split(/\s+/).filter(Boolean).length;
  const text = document.createElement("p");
  text.textContent = `This browser has a text of this post that the server never got, from ${new Date(kept.at).toLocaleString()}, ${words} words.`;
  const back = button("Take it back", async () => {
    for (const name of TEXTS) if (form.elements[name]) form.elements[name].value = kept.texts[name] ?? "";
    form.elements.seen.value = kept.seen;
    form.elements.unsaved.value = kept.unsaved;
    changed();
    await keepNow();
    await keep.remove(kept.key);
    gone();
    area.focus();
  });
  const away = button("Throw it away", async () => {
    await keep.remove(kept.key);
    gone();
  });
  away.className = "plain";
  const buttons = document.createElement("p");
  buttons.append(back, " ", away);
  box.append(text, buttons);
  const gone = () => {
    box.remove();
    offers.hidden = !offers.childElementCount;
  };
  return box;
}

function button(text, act) {
  const made = document.createElement("button");
  Object.assign(made, { type: "button", textContent: text });
  made.addEventListener("click", act);
  return made;
}

// --- writing --------------------------------------------------------------------------------------------------------

const saver = new Saver(form, say, stored);
const lengthShown = document.getElementById("Length");

async function ask(parts) {
  const headers = { "Content-Type": "application/json", Accept: "application/json", "X-CSRF-Token": form.elements.csrf.value };
  const response = await fetch("/admin/posts/preview", { method: "POST", headers, body: JSON.stringify({ parts }) });
  if (!response.ok) throw new Error(response.status);
  return response.json();
}

const preview = new Preview(area, document.querySelector(".preview"), document.getElementById("Preview"), ask, (words, minutes) => {
  lengthShown.textContent = `${words.toLocaleString()} ${words === 1 ? "word" : "words"}, ${Math.ceil(minutes)} min to read`;
});

function changed() {
  keepSoon();
  saver.changed();
  preview.changed();
}

// Leaves by the form itself, so that the server's page comes: of a conflict, or of what became of the post.
async function leave(submitter) {
  await saver.idle();
  await keepNow();
  const kept = (await keep.list()).find((each) => each.key === key);
  if (kept) await keep.put({ ...kept, isHandedOver: true });
  if (submitter?.name) {
    const chosen = Object.assign(document.createElement("input"), { type: "hidden", name: submitter.name, value: submitter.value });
    form.append(chosen);
  }
  form.submit();
}

async function save() {
  if (saver.isBehind) await keepNow();
  const answer = await saver.save();
  if (answer.kind === "conflict") await leave(null);
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  if (event.submitter?.id === "ShowPreview") return togglePreview();
  return event.submitter?.name === "move" ? leave(event.submitter) : save();
});
form.addEventListener("input", (event) => TEXTS.includes(event.target.name) && changed());
area.addEventListener("click", () => preview.follow());
document.addEventListener("keydown", (event) => {
  if (!(event.ctrlKey || event.metaKey) || event.altKey) return;
  if (event.key.toLowerCase() === "s") {
    event.preventDefault();
    save();
  }
});
addEventListener("pagehide", () => saver.isBehind && keepNow());
document.addEventListener("visibilitychange", () => document.hidden && saver.isBehind && keepNow());

function togglePreview() {
  const pane = document.querySelector(".preview");
  pane.hidden = !pane.hidden;
  form.classList.toggle("with-preview", !pane.hidden);
  document.getElementById("ShowPreview").setAttribute("aria-pressed", String(!pane.hidden));
  preview.render();
}

function showFirst() {
  const pane = document.querySelector(".preview");
  const isWanted = !pane.hidden || matchMedia("(min-width: 62rem)").matches;
  pane.hidden = true;
  if (isWanted) togglePreview();
}

// --- the writer's own time ------------------------------------------------------------------------------------------

function useOwnTime() {
  const { publish_at: date, zone } = form.elements;
  const own = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (!date || zone.value !== "UTC" || !own) return;
  if (date.value) {
    const moment = new Date(`${date.value}Z`);
    date.value = new Date(moment.getTime() - moment.getTimezoneOffset() * 60000).toISOString().slice(0, 16);
  }
  zone.value = own;
  const hint = document.getElementById("publish_at-hint");
  hint.textContent = hint.textContent.replace("In UTC", `In your time zone, ${own}`);
}

keep.stayOpen(key);
if (form.dataset.done) history.replaceState(null, "", form.action);
useOwnTime();
equip(area, document.querySelector(".tools"));
showFirst();
keep.leftBehind((each) => each.post === post && each.key !== key, offer).catch(() => {});
form.dataset.ready = "yes";
