// A README as elements: what people write in Markdown; HTML in it is left out, pictures become links, and only http(s)
// and mail addresses are followed.
import { h } from "./dom.js";

/** The elements of a Markdown text. */
export function showMarkdown(text) {
  const lines = text.replace(/<!--[\s\S]*?-->/g, "").split(/\r?\n/);
  const blocks = [];
  while (lines.length) {
    const [, read] = BLOCKS.find(([pattern]) => pattern.test(lines[0]));
    blocks.push(read(lines));
  }
  return blocks.filter((block) => block !== null);
}

const LIST = /^(\s*)([-*+]|\d+[.)])\s+/;
const STARTS = /^(#{1,6}\s|\s*(```|~~~)|>|\s*([-*+]|\d+[.)])\s|\s*$)/;

const BLOCKS = [
  [/^\s*$/, blank],
  [/^#{1,6}\s/, heading],
  [/^\s*(```|~~~)/, code],
  [/^\s*([-*_])(\s*\1){2,}\s*$/, rule],
  [/^>/, quote],
  [/^\s*\|.*\|/, table],
  [LIST, list],
  [/^/, paragraph],
];

function blank(lines) {
  lines.shift();
  return null;
}

function rule(lines) {
  lines.shift();
  return h("hr");
}

function heading(lines) {
  const [, marks, text] = /^(#+)\s+(.*?)\s*#*$/.exec(lines.shift()) ?? [null, "#", ""];
  return h(`h${Math.min(marks.length + 1, 6)}`, {}, inline(text));
}

function code(lines) {
  const fence = /^\s*(`{3,}|~{3,})/.exec(lines.shift())[1];
  const inside = [];
  while (lines.length && !lines[0].trim().startsWith(fence)) inside.push(lines.shift());
  lines.shift();
  return h("pre", { tabindex: 0 }, h("code", {}, inside.join("\n")));
}

function quote(lines) {
  const inside = [];
  while (lines.length && lines[0].startsWith(">")) inside.push(lines.shift().replace(/^>\s?/, ""));
  return h("blockquote", {}, showMarkdown(inside.join("\n")));
}

function table(lines) {
  const rows = [];
  while (lines.length && /^\s*\|/.test(lines[0]))
    rows.push(
      lines
        .shift()
        .trim()
        .replace(/^\||\|$/g, "")
        .split("|"),
    );
  const isRule = (row) => row.every((cell) => /^\s*:?-+:?\s*$/.test(cell));
  const draw = (row, tag) =>
    h(
      "tr",
      {},
      row.map((cell) => h(tag, {}, inline(cell.trim()))),
    );
  const [head, ...body] = rows.filter((row) => !isRule(row));
  return h(
    "div",
    { class: "wide", tabindex: 0 },
    h(
      "table",
      {},
      h("thead", {}, draw(head ?? [], "th")),
      h(
        "tbody",
        {},
        body.map((row) => draw(row, "td")),
      ),
    ),
  );
}

function list(lines) {
  const [, indent, mark] = LIST.exec(lines[0]);
  const items = [];
  while (lines.length) {
    const found = LIST.exec(lines[0]);
    if (found && found[1].length <= indent.length) items.push([lines.shift().slice(found[0].length)]);
    else if (/^\s+\S/.test(lines[0]) || (lines[0] === "" && /^\s+\S/.test(lines[1] ?? "")))
      items.at(-1).push(lines.shift().slice(indent.length + 2));
    else break;
  }
  const draw = ([first, ...rest]) => h("li", {}, inline(first), rest.length > 0 && showMarkdown(rest.join("\n")));
  return h(/\d/.test(mark) ? "ol" : "ul", {}, items.map(draw));
}

function paragraph(lines) {
  const inside = [lines.shift()];
  while (lines.length && !STARTS.test(lines[0])) inside.push(lines.shift());
  const content = inline(inside.join("\n"));
  return content.length ? h("p", {}, content) : null;
}

const INLINE =
  /`([^`]+)`|!?\[([^\]]*)\]\(\s*<?((?:[^\s()<>]|\([^\s()]*\))*)>?[^()]*\)|\*\*(.+?)\*\*|(?<![\w*])[*_](?!\s)(.+?)[*_](?!\w)|<(https?:\/\/[^>]+)>|<\/?[a-zA-Z][^>]*>/s;

function inline(text) {
  const parts = [];
  let rest = text;
  for (let found = INLINE.exec(rest); found; found = INLINE.exec(rest)) {
    const [all, literal, label, target, strong, weak, address] = found;
    parts.push(rest.slice(0, found.index));
    if (literal !== undefined) parts.push(h("code", {}, literal));
    else if (label !== undefined) parts.push(link(inline(label), target));
    else if (strong !== undefined) parts.push(h("strong", {}, inline(strong)));
    else if (weak !== undefined) parts.push(h("em", {}, inline(weak)));
    else if (address !== undefined) parts.push(link([address], address));
    rest = rest.slice(found.index + all.length);
  }
  parts.push(rest);
  return parts
    .filter((part) => typeof part !== "string" || part.trim() || parts.length > 1)
    .filter((part) => part !== "");
}

function link(label, target) {
  if (!/^(https?:|mailto:)/i.test(target)) return label;
  return h("a", { href: target, target: "_blank", rel: "noopener noreferrer" }, label.length ? label : target);
}
