// How a field looks: its name, what is expected, its control, and what is wrong with it.
import { h } from "./dom.js";
import { summary } from "./schema.js";

/** One row: label, what is expected, the control, and room for what is wrong. */
export function row(field, control, input = control) {
  const { id, name, schema } = field;
  const message = h("p", { class: "mistake", id: `${id}-mistake`, role: "alert", hidden: true });
  const help = schema.description && h("p", { class: "help", id: `${id}-help` }, schema.description);
  const described = [schema.description && `${id}-help`, `${id}-mistake`].filter(Boolean).join(" ");
  input.id = id;
  input.setAttribute("aria-describedby", described);
  const element = h(
    "div",
    { class: "field" },
    h(
      "div",
      { class: "about" },
      h("label", { for: id }, name),
      isMarked(field) && h("span", { class: "required" }, "required"),
      h("span", { class: "type" }, summary(schema, field.definitions)),
    ),
    help,
    control,
    message,
  );
  const fail = (text) => {
    message.hidden = !text;
    message.textContent = text ?? "";
    if (text) input.setAttribute("aria-invalid", "true");
    else input.removeAttribute("aria-invalid");
  };
  input.addEventListener("input", () => fail());
  return { element, fail };
}

/** A field without parts, made of one control. */
export function leaf(field, control, { read, write, check = () => nativeCheck(control), shown = control }) {
  const { element, fail } = row(field, shown, control);
  const self = {
    element,
    read,
    write,
    fail,
    at: () => self,
    check() {
      const problem = check();
      fail(problem);
      return problem ? control : null;
    },
  };
  if (field.initial !== undefined && field.initial !== null) write(field.initial);
  return self;
}

/** What the browser has against the value of a control. */
export function nativeCheck(control) {
  return control.checkValidity() ? "" : control.validationMessage;
}

/** What fields with parts share: a frame with a name, and an error of the whole. */
export function group(field, ...content) {
  const message = h("p", { class: "mistake", role: "alert", hidden: true });
  const { schema, name, definitions } = field;
  const legend = h(
    "legend",
    {},
    h("span", { class: "name" }, name),
    isMarked(field) && h("span", { class: "required" }, "required"),
    h("span", { class: "type" }, summary(schema, definitions)),
  );
  const help = schema.description && h("p", { class: "help" }, schema.description);
  const element = h(
    "fieldset",
    { class: "field group", id: field.id, tabindex: -1 },
    legend,
    help,
    content,
    message,
  );
  const fail = (text) => {
    message.hidden = !text;
    message.textContent = text ?? "";
  };
  return { element, fail };
}

/** Whether a field is marked as required; items of a list are there because somebody added them. */
function isMarked({ required, isItem }) {
  return required && !isItem;
}
