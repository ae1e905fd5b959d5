// The buttons and keys that write Markdown. What they write can be undone as what was typed.

const KEYS = { b: "bold", i: "italic", k: "link" };

export function equip(area, tools) {
  const use = (name) => {
    area.focus();
    TOOLS[name](area);
  };
  tools.hidden = false;
  tools.addEventListener("click", (event) => {
    const name = event.target.closest("[data-tool]")?.dataset.tool;
    if (name) use(name);
  });
  area.addEventListener("keydown", (event) => {
    const name = (event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey && KEYS[event.key.toLowerCase()];
    if (!name) return;
    event.preventDefault();
    use(name);
  });
}

const TOOLS = {
  bold: (area) => surround(area, "**", "**", "bold"),
  italic: (area) => surround(area, "*", "*", "stressed"),
  code: (area) => (chosen(area).includes("\n") ? surround(area, "```\n", "\n```", "code") : surround(area, "`", "`", "code")),
  link: (area) => refer(area, "["),
  picture: (area) => refer(area, "!["),
  heading: (area) => begin(area, "## "),
  list: (area) => begin(area, "- "),
  quote: (area) => begin(area, "> "),
};

const chosen = (area) => area.value.slice(area.selectionStart, area.selectionEnd);

// execCommand is the one way that keeps the browser's own undo; where it is gone, the text is still written.
export function write(area, text) {
  if (!document.execCommand("insertText", false, text)) area.setRangeText(text, area.selectionStart, area.selectionEnd, "end");
}

function surround(area, before, after, example) {
  const at = area.selectionStart;
  const text = chosen(area) || example;
  write(area, before + text + after);
  area.setSelectionRange(at + before.length, at + before.length + text.length);
}

function refer(area, mark) {
  const at = area.selectionStart;
  const text = chosen(area);
  const isAddress = /^(https?:\/\/|\/)\S+$/.test(text);
  const words = isAddress ? "" : text;
  const address = isAddress ? text : "https://";
  write(area, `${mark}${words}](${address})`);
  const begin = at + mark.length + (words ? words.length + 2 : 0);
  area.setSelectionRange(begin, begin + (words ? address.length : 0));
}

function begin(area, mark) {
  const from = area.value.lastIndexOf("\n", area.selectionStart - 1) + 1;
  const found = area.value.indexOf("\n", area.selectionEnd);
  area.setSelectionRange(from, found < 0 ? area.value.length : found);
  const lines = chosen(area).split("\n");
  const has = lines.every((line) => line.startsWith(mark));
  write(area, lines.map((line) => (has ? line.slice(mark.length) : mark + line)).join("\n"));
}
