// Sending what is written: one request at a time, again and again until the server has it.
// "Saved" is said when the server has answered that it is stored, and never before.

const PAUSE_MS = 2000;
const LONGEST_MS = 10000;
const WAITS_S = [2, 4, 8, 15, 30];
const TIMEOUT_MS = 30000;

export class Saver {
  constructor(form, say, stored) {
    Object.assign(this, { form, say, stored });
    this.typed = 0; // counts changes
    this.sent = 0; // up to which change the server has the text
    this.failures = 0;
    this.isBlocked = false;
    this.busy = null;
    addEventListener("online", () => this.isBehind && this.autosave());
  }

  get isBehind() {
    return this.typed > this.sent;
  }

  changed() {
    this.typed += 1;
    this.behindSince ??= Date.now();
    if (this.failures || this.busy) return;
    const wait = Math.min(PAUSE_MS, Math.max(0, this.behindSince + LONGEST_MS - Date.now()));
    this.later(wait);
  }

  later(wait_ms) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.autosave(), wait_ms);
  }

  async autosave() {
    if (this.busy || this.isBlocked || !this.isBehind) return;
    const answer = await this.send(`${this.form.action}/autosave`);
    if (answer.ok) {
      const { seen, unsaved } = this.form.elements;
      const { number, version, at } = answer.facts;
      if (seen.value === "0") seen.value = version;
      if (number !== version) unsaved.value = number;
      this.say(number === version ? `Stored as version ${number} at ${clock(at)}` : `Kept as draft version ${number} at ${clock(at)}`, "kept");
    }
    if (answer.kind === "another_window") {
      this.isBlocked = true;
      this.say("Another window of yours is writing in this post too. Save to put both together; this text is kept here.", "trouble");
    }
    if (this.isBehind && !this.failures) this.later(PAUSE_MS);
  }

  // Returns whether the server has the text as the post's; otherwise its answer says why not.
  async save() {
    await this.idle();
    const answer = await this.send(this.form.action);
    if (answer.ok) {
      this.isBlocked = false;
      this.form.elements.seen.value = answer.facts.version;
      const shown = document.getElementById("Version");
      if (shown) shown.textContent = `Version ${answer.facts.version}`;
      this.form.elements.unsaved.value = 0;
      this.say(`Saved as version ${answer.facts.number} at ${clock(answer.facts.at)}`, "saved");
    }
    return answer;
  }

  async idle() {
    clearTimeout(this.timer);
    while (this.busy) await this.busy;
  }

  async send(url) {
    let done;
    this.busy = new Promise((resolve) => (done = resolve));
    const upTo = this.typed;
    try {
      const answer = await this.ask(url, new FormData(this.form));
      if (answer.ok) {
        this.sent = upTo;
        this.behindSince = this.isBehind ? Date.now() : null;
        this.failures = 0;
        await this.stored(this.isBehind);
      }
      return answer;
    } finally {
      this.busy = null;
      done();
    }
  }

  async ask(url, body) {
    let response;
    try {
      response = await this.post(url, body);
      if (response.status === 401 || response.status === 403) {
        if (!(await this.renew(body))) return this.failed("You are signed out, or may not do this. Sign in in another tab.");
        response = await this.post(url, body);
      }
    } catch {
      return this.failed("The server cannot be reached.");
    }
    if (response.status >= 500 || response.status === 429) return this.failed("The server cannot store it at this moment.");
    const facts = await response.json().catch(() => ({ text: `The server refuses it (${response.status}).` }));
    if (response.ok) return { ok: true, facts };
    this.failures = 0;
    this.say(facts.text ?? facts.title, "trouble");
    return { ok: false, kind: facts.kind ?? "refused" };
  }

  post(url, body) {
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    return fetch(url, { method: "POST", body, headers: { Accept: "application/json" }, signal, redirect: "error" });
  }

  // Whoever had to sign in again has another token.
  async renew(body) {
    const response = await fetch("/admin/posts/session", { headers: { Accept: "application/json" }, redirect: "error" });
    if (!response.ok) return false;
    this.form.elements.csrf.value = (await response.json()).csrf;
    body.set("csrf", this.form.elements.csrf.value);
    return true;
  }

  failed(why) {
    const wait_s = WAITS_S[Math.min(this.failures, WAITS_S.length - 1)];
    this.failures += 1;
    this.say(`Not saved: ${why} Your text is kept in this browser; next try in ${wait_s} s.`, "trouble");
    this.later(wait_s * 1000);
    return { ok: false, kind: "unreachable" };
  }
}

export function clock(iso) {
  return new Date(iso).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" });
}
