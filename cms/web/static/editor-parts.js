// A long text in parts that can be rendered each by itself: only the part in which somebody types is rendered anew.

const LONG = 6000;
const FENCE = /^ {0,3}(`{3,}|~{3,})/;
const HEADING = /^#{1,6}(\s|$)/;
const PLAIN = /^[^\s>|<*+\-\d=:`~[]/; // a line that can only begin a paragraph
const DEFINITION = /^ {0,3}\[([^\]]+)\]:/;

// Returns the parts and the definitions of links and notes, which stand anywhere and are meant everywhere.
export function split(text) {
  const parts = [];
  const definitions = new Map();
  let begin = 0;
  let fence = null;
  let wasBlank = true;
  let label = null;
  for (let at = 0; at <= text.length; ) {
    const found = text.indexOf("\n", at);
    const end = found < 0 ? text.length : found;
    const line = text.slice(at, end);
    const mark = FENCE.exec(line)?.[1];
    if (!fence && wasBlank && at > begin && (HEADING.test(line) || (at - begin > LONG && PLAIN.test(line)))) {
      parts.push({ begin, text: text.slice(begin, at) });
      begin = at;
    }
    if (fence) {
      if (mark && mark[0] === fence[0] && mark.length >= fence.length && !line.trim().slice(mark.length)) fence = null;
    } else if (mark) {
      fence = mark;
    } else if (DEFINITION.test(line)) {
      label = DEFINITION.exec(line)[1];
      definitions.set(label, line);
    } else if (label && /^\s+\S/.test(line)) {
      definitions.set(label, `${definitions.get(label)}\n${line}`);
    } else if (line.trim()) {
      label = null;
    }
    wasBlank = !line.trim();
    at = end + 1;
  }
  parts.push({ begin, text: text.slice(begin) });
  return { parts, definitions };
}

// Returns a part with the definitions that it uses and does not hold.
export function source(part, definitions) {
  const used = [];
  for (const [label, lines] of definitions) {
    if (part.text.includes(`[${label}]`) && !part.text.includes(lines)) used.push(lines);
  }
  return used.length ? `${part.text}\n\n${used.join("\n\n")}\n` : part.text;
}
