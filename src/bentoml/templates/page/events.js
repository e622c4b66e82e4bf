// Streams of the type `text/event-stream`: server-sent events, or plain text, which this type is also used for.

const FAILURE = /(?:^|\n\n)event: error\ndata: (\{.*\})\n\n$/;

/** What turns pieces of a stream into the text to show: the data of events, or all of a text that has none. */
export function eventReader() {
  let isPlain = null; // not known before the first line
  let rest = "";
  const read = (piece) => {
    rest += piece;
    isPlain ??= rest === "" ? null : !/^(data|event|id|retry)?:/.test(rest);
    if (isPlain) {
      const text = rest;
      rest = "";
      return text;
    }
    const events = rest.split(/\r?\n\r?\n/);
    rest = events.pop();
    return events
      .filter((event) => !/^event: error$/m.test(event))
      .map(dataOf)
      .join("");
  };
  return { read, isPlain: () => isPlain };
}

function dataOf(event) {
  const lines = event.split(/\r?\n/).filter((line) => line.startsWith("data:"));
  return lines.length ? `${lines.map((line) => line.slice(5).replace(/^ /, "")).join("\n")}\n` : "";
}

/** What a stream that failed says at its end, and the text before that; null for one that did not fail. */
export function failureOf(text) {
  const found = FAILURE.exec(text);
  if (!found) return null;
  try {
    return { ...JSON.parse(found[1]), before: text.slice(0, found.index) };
  } catch {
    return null;
  }
}
