// An answer as it is shown: what came, by its media type, how long it took, and what went wrong.
import { copyButton, downloadLink, fill, h, icon, releaseBlobs } from "./dom.js";
import { showMedia, sizeOf } from "./media.js";
import { eventReader, failureOf } from "./events.js";
import { showJson } from "./values.js";

const MOST_SHOWN = 200_000; // characters; more is for a file

/** A place for answers: { element, tools, wait(), show(response, started, fail), stopped(), showFailure(title, text) }. */
export function makeAnswer() {
  const head = h("div", { class: "head" });
  const tools = h("div", { class: "tools" });
  const body = h("div", { class: "body" }, h("p", { class: "note empty" }, "Send a request to see the answer."));
  const element = h("div", { class: "answer", "aria-live": "polite" }, head, body);
  let shown = [];

  const clear = () => {
    fill(head);
    fill(tools);
    fill(body);
    releaseBlobs(shown.splice(0));
  };
  const keep = (blob) => {
    shown.push(blob);
    return blob;
  };
  return {
    element,
    tools,
    wait() {
      clear();
      element.setAttribute("aria-busy", "true");
      fill(body, h("p", { class: "note waiting" }, "Waiting for the answer"));
    },
    showFailure(title, text) {
      element.removeAttribute("aria-busy");
      clear();
      fill(body, problem(title, text));
    },
    stopped() {
      element.removeAttribute("aria-busy");
      body.querySelector(".waiting")?.remove();
      body.append(h("p", { class: "note" }, "Stopped."));
    },
    async show(response, started, fail) {
      clear();
      const facts = { time: h("span", { class: "fact time" }), size: h("span", { class: "fact size" }) };
      fill(head, statusOf(response), facts.time, facts.size, requestId(response));
      const tell = (bytes) => {
        facts.time.textContent = secondsOf(performance.now() - started);
        facts.size.textContent = sizeOf(bytes);
      };
      tell(0);
      try {
        await showBody(response, { body, tools, tell, keep, fail });
      } finally {
        element.removeAttribute("aria-busy");
      }
    },
  };
}

async function showBody(response, place) {
  const media = mediaType(response);
  const isText = /^text\/|[/+](json|xml|yaml|javascript|x-ndjson|jsonl|jsonlines)$/.test(media);
  const isStream = isText && !/[/+]json$/.test(media) && !response.headers.has("content-length");
  if (response.ok && isStream) return showStream(response, media, place);
  if (media === "multipart/form-data") return showParts(await response.formData(), place);
  const blob = place.keep(await response.blob());
  place.tell(blob.size);
  if (!response.ok) return showError(response, await blob.text(), place);
  fill(place.tools, toolsOf(blob, fileName(response, media), isText));
  fill(place.body, await contentOf(blob, media, isText, fileName(response, media)));
}

async function contentOf(blob, media, isText, name) {
  if (blob.size === 0) return h("p", { class: "note" }, "The answer is empty.");
  if (!isText)
    return (
      showMedia(blob, name) ??
      h(
        "p",
        { class: "file" },
        icon("file"),
        h("span", { class: "name" }, name),
        h("span", { class: "type" }, `${media}, ${sizeOf(blob.size)}`),
      )
    );
  const text = await blob.text();
  if (text.length > MOST_SHOWN)
    return [
      h("pre", { tabindex: 0 }, text.slice(0, MOST_SHOWN)),
      h("p", { class: "note" }, "The rest is not shown; save the answer to see it."),
    ];
  return h("pre", { tabindex: 0 }, /[/+]json$/.test(media) ? showJson(text) : text);
}

async function showStream(response, media, { body, tools, tell, keep }) {
  const output = h("pre", { class: "stream", tabindex: 0, role: "log", "aria-label": "Stream" });
  fill(body, output);
  const decoder = new TextDecoder();
  const events = media === "text/event-stream" ? eventReader() : null;
  let text = "";
  let bytes = 0;
  try {
    for await (const piece of chunksOf(response.body)) {
      bytes += piece.length;
      const more = decoder.decode(piece, { stream: true });
      text += more;
      const atEnd = output.scrollHeight - output.scrollTop - output.clientHeight < 8;
      output.append(events ? events.read(more) : more);
      if (atEnd) output.scrollTop = output.scrollHeight;
      tell(bytes);
    }
  } finally {
    const blob = keep(new Blob([text], { type: media }));
    fill(tools, toolsOf(blob, fileName(response, media), true));
  }
  const failure = events && failureOf(text);
  if (!failure) return;
  output.textContent = events.isPlain() ? failure.before : output.textContent;
  body.append(problem("The stream failed", failure.error, `Status ${failure.status}`));
}

async function* chunksOf(stream) {
  const reader = stream.getReader();
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    yield value;
  }
}

async function showParts(form, { body, tell, keep }) {
  let bytes = 0;
  const parts = [];
  for (const [name, value] of form) {
    const isFile = value instanceof File;
    const blob = isFile ? keep(value) : keep(new Blob([value], { type: "application/json" }));
    bytes += blob.size;
    const content = await contentOf(
      blob,
      blob.type,
      !isFile || /^text\/|json$/.test(blob.type),
      isFile ? value.name : name,
    );
    const head = h(
      "div",
      { class: "part-head" },
      h("h3", {}, name),
      h("span", { class: "type" }, isFile && value.name),
      toolsOf(blob, isFile ? value.name : `${name}.json`, !isFile),
    );
    parts.push(h("section", { class: "part" }, head, content));
  }
  tell(bytes);
  fill(body, parts);
}

function showError(response, text, { body, fail }) {
  const { error, detail } = parsed(text);
  const others = Array.isArray(detail) ? fail(detail) : [];
  const list =
    others.length > 0 &&
    h(
      "ul",
      {},
      others.map(({ loc, msg }) => h("li", {}, loc.length > 0 && h("code", {}, loc.join(".")), ` ${msg}`)),
    );
  const retry = response.headers.get("retry-after");
  fill(
    body,
    problem(
      error ?? (text || response.statusText),
      Array.isArray(detail) && others.length < detail.length ? "See the fields." : null,
      retry && `Try again in ${retry} s.`,
      list,
    ),
  );
}

function parsed(text) {
  try {
    return Object(JSON.parse(text));
  } catch {
    return {};
  }
}

function problem(title, ...more) {
  return h(
    "div",
    { class: "problem", role: "alert" },
    icon("warning"),
    h(
      "div",
      {},
      h("p", { class: "title" }, title),
      more.filter(Boolean).map((part) => (part instanceof Node ? part : h("p", {}, String(part)))),
    ),
  );
}

function statusOf(response) {
  const reason = response.statusText || { 200: "OK" }[response.status] || "";
  return h("span", { class: `status ${response.ok ? "good" : "bad"}` }, `${response.status} ${reason}`.trim());
}

function requestId(response) {
  const id = response.headers.get("x-bentoml-request-id");
  return (
    id &&
    h(
      "span",
      { class: "fact id", title: "The id of the request, as the log has it" },
      id,
      copyButton(() => id, "Copy the request id"),
    )
  );
}

function toolsOf(blob, name, isText) {
  return [isText && copyButton(() => blob.text(), "Copy the answer"), downloadLink(blob, name)];
}

function mediaType(response) {
  return (response.headers.get("content-type") ?? "").split(";")[0].trim().toLowerCase();
}

function fileName(response, media) {
  const disposition = response.headers.get("content-disposition") ?? "";
  const encoded = /filename\*=utf-8''([^;]+)/i.exec(disposition)?.[1];
  const plain = /filename="?([^";]+)"?/.exec(disposition)?.[1];
  const kind = media.split("/")[1]?.split("+").pop() ?? "bin";
  const suffix =
    { plain: "txt", "octet-stream": "bin", "event-stream": "txt", "x-npy": "npy", mpeg: "mp3", jpeg: "jpg" }[
      kind
    ] ?? kind;
  return encoded ? decodeURIComponent(encoded) : (plain ?? `answer.${suffix}`);
}

function secondsOf(milliseconds) {
  return milliseconds < 1000
    ? `${Math.max(1, Math.round(milliseconds))} ms`
    : `${(milliseconds / 1000).toFixed(1)} s`;
}
