// Elements, made without ever parsing HTML: whatever a service says is text.

/** Make an element: `h("p", { class: "note", onclick: f }, "text", child)`; what is null, undefined or false is left out. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...present(children));
  return element;
}

/** Put new children into an element. */
export function fill(element, ...children) {
  element.replaceChildren(...present(children));
  return element;
}

/** An icon of the page's sprite. */
export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  use.setAttribute("href", `#i-${name}`);
  svg.append(use);
  return svg;
}

/** A button with an icon, or text, or both; `label` is what it is called where it shows no text. */
export function button(text, attributes = {}, iconName = null) {
  return h("button", { type: "button", ...attributes }, iconName && icon(iconName), text && h("span", {}, text));
}

/** A button that copies what `text()` gives, and says that it did. */
export function copyButton(text, label = "Copy") {
  const copy = button("", { class: "quiet", "aria-label": label, title: label, onclick: () => run() }, "copy");
  async function run() {
    await toClipboard(await text());
    fill(copy, icon("check"));
    copy.setAttribute("aria-label", "Copied");
    setTimeout(() => {
      fill(copy, icon("copy"));
      copy.setAttribute("aria-label", label);
    }, 1500);
  }
  return copy;
}

/** A link that saves a blob under a name. */
export function downloadLink(blob, name, text = "") {
  const attributes = { class: "button quiet", href: blobAddress(blob), download: name, title: `Save ${name}` };
  return h("a", { ...attributes, "aria-label": `Save ${name}` }, icon("down"), text);
}

const addresses = new Map(); // blob -> address; those of elements that are gone are given back

/** The address of a blob, until `releaseBlobs` is called for it. */
export function blobAddress(blob) {
  if (!addresses.has(blob)) addresses.set(blob, URL.createObjectURL(blob));
  return addresses.get(blob);
}

/** Give back what blobs hold, once nothing on the page shows them. */
export function releaseBlobs(blobs) {
  for (const blob of blobs) {
    URL.revokeObjectURL(addresses.get(blob));
    addresses.delete(blob);
  }
}

/** Tabs: `tabs("Code", [["curl", element], ...])`; the arrow keys move between them. */
export function tabs(label, entries) {
  const key = `tab-${++count}`;
  const list = h("div", { class: "tabs", role: "tablist", "aria-label": label });
  const panels = entries.map(([, panel], i) =>
    h("div", { role: "tabpanel", id: `${key}-${i}-panel`, "aria-labelledby": `${key}-${i}` }, panel),
  );
  const heads = entries.map(([text], i) =>
    h(
      "button",
      {
        type: "button",
        role: "tab",
        id: `${key}-${i}`,
        "aria-controls": `${key}-${i}-panel`,
        onclick: () => choose(i),
      },
      text,
    ),
  );
  function choose(chosen, focus = false) {
    heads.forEach((head, i) => {
      head.setAttribute("aria-selected", String(i === chosen));
      head.tabIndex = i === chosen ? 0 : -1;
      panels[i].hidden = i !== chosen;
    });
    if (focus) heads[chosen].focus();
  }
  list.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step) choose((heads.indexOf(document.activeElement) + step + heads.length) % heads.length, true);
  });
  list.append(...heads);
  choose(0);
  return { list, panels };
}

let count = 0;

/** A name for an element that nothing else has. */
export function uniqueId(stem) {
  return `${stem.replace(/[^\w-]/g, "_")}-${++count}`;
}

function present(children) {
  return children
    .flat(Infinity)
    .filter((child) => child !== null && child !== undefined && child !== false && child !== "");
}

async function toClipboard(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const area = h("textarea", { class: "hidden", "aria-hidden": "true" }); // without TLS there is no clipboard API
  area.value = text;
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}
