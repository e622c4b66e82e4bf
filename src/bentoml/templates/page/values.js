// Values as text: JSON and Python written exactly, JSON shown with colours without changing a digit of it.
import { h } from "./dom.js";

const JSON_WORDS = { true: "true", false: "false", null: "null" };
const PYTHON_WORDS = { true: "True", false: "False", null: "None" };
const WIDTH = 56; // characters of a line; what is longer has a line for each of its parts

/** JSON, on one line where it is short. Whole numbers of any size are BigInts and stay exact. */
export function toJson(value, indent = "") {
  return write(value, indent, JSON_WORDS);
}

/** JSON on one line. */
export function toCompactJson(value) {
  return write(value, null, JSON_WORDS);
}

/** A Python literal. */
export function toPython(value, indent = "") {
  return write(value, indent, PYTHON_WORDS);
}

/** Whether two JSON values are the same. */
export function same(one, other) {
  return one === other || (one !== undefined && other !== undefined && toCompactJson(one) === toCompactJson(other));
}

/** A whole number, as a BigInt where a number would round it. */
export function wholeNumber(text) {
  const number = Number(text);
  return Number.isSafeInteger(number) || !/^[+-]?\d+$/.test(text) ? number : BigInt(text);
}

function write(value, indent, words) {
  if (value === null || typeof value === "boolean") return words[value];
  if (typeof value === "string") return JSON.stringify(value).replace(/[\u007f-\u009f\u2028\u2029]/g, escaped);
  if (typeof value !== "object") return String(value);
  if (value instanceof File) return `Path(${JSON.stringify(value.name)})`; // in Python; JSON holds none
  const isList = Array.isArray(value);
  const [open, close] = isList ? "[]" : "{}";
  const items = (deeper) =>
    isList
      ? value.map((item) => write(item, deeper, words))
      : Object.entries(value).map(([name, item]) => `${write(name, null, words)}: ${write(item, deeper, words)}`);
  const line = open + items(null).join(", ") + close;
  if (indent === null || indent.length + line.length <= WIDTH) return line;
  const deeper = indent + "  ";
  return `${open}\n${items(deeper)
    .map((item) => deeper + item)
    .join(",\n")}\n${indent}${close}`;
}

function escaped(character) {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}

const TOKEN = /"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*|true|false|null|[[\]{},:]/g;

/** JSON text, indented, as spans for its colours; the digits and escapes are those that came. */
export function showJson(text) {
  const tokens = text.match(TOKEN) ?? [];
  const shown = h("code", { class: "json" });
  let indent = "\n";
  let inRow = false;
  tokens.forEach((token, i) => {
    const next = tokens[i + 1];
    if (token === "{" || token === "[") {
      inRow = isRow(tokens, i);
      if (inRow || next === "}" || next === "]") shown.append(token);
      else shown.append(token, (indent += "  "));
    } else if (token === "}" || token === "]") {
      const isEmpty = tokens[i - 1] === "{" || tokens[i - 1] === "[";
      if (!isEmpty && !inRow) shown.append((indent = indent.slice(0, -2)));
      shown.append(token);
      inRow = false;
    } else if (token === ",") shown.append(inRow ? ", " : "," + indent);
    else if (token === ":") shown.append(": ");
    else shown.append(h("span", { class: kindOf(token, next) }, token));
  });
  return shown;
}

/** Whether a list is one of numbers and other small things: these are shown side by side. */
function isRow(tokens, start) {
  if (tokens[start] !== "[" || tokens[start + 1] === "]") return false;
  for (let i = start + 1; i < tokens.length; i += 1) {
    const token = tokens[i];
    if (token === "]") return true;
    if (token === "[" || token === "{" || token.length > 24) return false;
  }
  return false;
}

function kindOf(token, next) {
  if (token.startsWith('"')) return next === ":" ? "key" : "string";
  return /[tfn]/.test(token[0]) ? "word" : "number";
}
