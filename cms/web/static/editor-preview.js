// The preview: the server renders the parts that changed, and only those are replaced.

import { source, split } from "./editor-parts.js";

const PAUSE_MS = 120;
const BATCH = 32000; // characters that are sent at once

export class Preview {
  constructor(area, pane, output, ask, told) {
    Object.assign(this, { area, pane, output, ask, told });
    this.rendered = new Map(); // by source
    this.shown = []; // the sources whose nodes are in the page
    this.parts = [];
    this.isBusy = false;
    this.output.replaceChildren();
  }

  changed() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.render(), PAUSE_MS);
  }

  async render() {
    if (this.isBusy || this.pane.hidden) return;
    this.isBusy = true;
    const text = this.area.value;
    try {
      const { parts, definitions } = split(text);
      const sources = parts.map((part) => source(part, definitions));
      for (const batch of this.missing(sources)) {
        const answers = await this.ask(batch);
        batch.forEach((each, index) => this.rendered.set(each, answers[index]));
      }
      this.parts = parts;
      this.show(sources);
      this.follow();
    } catch {
      // Whoever saves is told of a lost network; the preview stays as it was, and comes with the next change.
    } finally {
      this.isBusy = false;
    }
    if (text !== this.area.value) this.changed();
  }

  missing(sources) {
    const batches = [];
    let size = Infinity;
    for (const each of new Set(sources)) {
      if (this.rendered.has(each)) continue;
      if (size + each.length > BATCH) {
        batches.push([]);
        size = 0;
      }
      batches.at(-1).push(each);
      size += each.length;
    }
    return batches;
  }

  show(sources) {
    const old = this.shown;
    let same = 0;
    while (same < Math.min(old.length, sources.length) && old[same] === sources[same]) same += 1;
    let tail = 0;
    while (tail < Math.min(old.length, sources.length) - same && old.at(-1 - tail) === sources.at(-1 - tail)) tail += 1;
    const nodes = [...this.output.children];
    nodes.slice(same, nodes.length - tail).forEach((node) => node.remove());
    const before = this.output.children[same] ?? null;
    for (const each of sources.slice(same, sources.length - tail)) {
      this.output.insertBefore(this.nodeOf(this.rendered.get(each).html), before);
    }
    this.shown = sources;
    this.rendered = new Map(sources.map((each) => [each, this.rendered.get(each)]));
    const all = [...this.rendered.values()];
    this.told(all.reduce((sum, each) => sum + each.words, 0), all.reduce((sum, each) => sum + each.minutes, 0));
  }

  // The server has cleaned the HTML. Its ids are those of the post's own page, and links would lead away from the text.
  nodeOf(html) {
    const node = document.createElement("div");
    node.className = "part";
    node.innerHTML = html;
    for (const each of node.querySelectorAll("[id]")) each.removeAttribute("id");
    for (const link of node.querySelectorAll("a[href]")) Object.assign(link, { target: "_blank", rel: "noopener" });
    return node;
  }

  // Show the part in which the writer is.
  follow() {
    const at = this.area.selectionStart;
    const index = this.parts.findLastIndex((part) => part.begin <= at);
    const node = this.output.children[index];
    if (!node) return;
    const top = node.offsetTop;
    if (top < this.pane.scrollTop || top > this.pane.scrollTop + this.pane.clientHeight - 80) this.pane.scrollTop = top - 16;
  }
}
