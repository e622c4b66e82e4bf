// Fields that take files: chosen, dropped or pasted, and shown before they are sent.
import { button, fill, h, icon, releaseBlobs } from "./dom.js";
import { showMedia, sizeOf } from "./media.js";
import { row } from "./rows.js";

/** A field for one file. */
export function fileField(field) {
  const chooser = makeChooser(field, false);
  return asField(
    field,
    chooser,
    () => chooser.files()[0] ?? chooser.address() ?? (field.schema.nullable ? null : undefined),
  );
}

/** A field for any number of files. */
export function filesField(field) {
  const item = field.schema.items;
  const schema = { ...item, ...field.schema, content_type: item.content_type, format: item.format };
  const chooser = makeChooser({ ...field, schema }, true);
  const all = () => [...chooser.files(), chooser.address()].filter(Boolean);
  return asField(field, chooser, () => (all().length ? all() : field.schema.nullable ? null : []));
}

function asField(field, chooser, read) {
  const { element, fail } = row(field, chooser.element, chooser.input);
  const self = {
    element,
    read,
    fail,
    write: () => {}, // a page cannot choose a person's files
    at: () => self,
    check() {
      const isMissing = field.required && !field.schema.nullable && !chooser.files().length && !chooser.address();
      fail(isMissing ? "Choose a file." : "");
      return isMissing ? chooser.input : null;
    },
  };
  return self;
}

function makeChooser({ name, schema }, multiple) {
  const accept = schema.content_type ?? (schema.format && schema.format !== "binary" ? `${schema.format}/*` : null);
  const input = h("input", {
    type: "file",
    class: "hidden",
    accept,
    multiple,
    onchange: () => take([...input.files]),
  });
  const list = h("ul", { class: "files" });
  const prompt = h("span", {}, h("strong", {}, multiple ? "Choose files" : "Choose a file"), " or drop it here");
  const zone = h("label", { class: "drop" }, input, icon("upload"), prompt);
  const address = schema.url
    ? h("input", {
        type: "url",
        placeholder: "https://… or the address of one",
        "aria-label": `Address of ${name}`,
      })
    : null;
  let files = [];

  function take(more) {
    if (!more.length) return;
    releaseBlobs(multiple ? [] : files);
    files = multiple ? [...files, ...more] : more.slice(0, 1);
    input.value = "";
    changed();
  }
  function drop(file) {
    releaseBlobs([file]);
    files = files.filter((other) => other !== file);
    changed();
    input.focus();
  }
  function changed() {
    fill(
      list,
      files.map((file) => preview(file, () => drop(file))),
    );
    input.dispatchEvent(new Event("input", { bubbles: true }));
  }
  zone.addEventListener("dragover", (event) => {
    event.preventDefault();
    zone.classList.add("over");
  });
  zone.addEventListener("dragleave", () => zone.classList.remove("over"));
  zone.addEventListener("drop", (event) => {
    event.preventDefault();
    zone.classList.remove("over");
    take([...event.dataTransfer.files]);
  });
  zone.addEventListener("paste", (event) => take([...event.clipboardData.files]));
  const element = h("div", { class: "stack" }, zone, address, list);
  return { element, input, files: () => files, address: () => address?.value || undefined };
}

function preview(file, remove) {
  const label = `Remove ${file.name}`;
  const about = h(
    "span",
    { class: "about" },
    h("span", { class: "name" }, file.name),
    h("span", { class: "type" }, sizeOf(file.size)),
  );
  const close = button("", { class: "quiet remove", "aria-label": label, title: label, onclick: remove }, "close");
  return h("li", {}, showMedia(file, "") ?? icon("file"), about, close);
}
