// The fields of a form, one for each kind of value. Each has:
//   element        what is shown
//   read()         the value; undefined where nothing was given
//   write(value)   show a value
//   check()        show what cannot be sent; the first element to mend, or null
//   at(path)       the field that a path of names and indices is about
//   fail(message)  show what is wrong with the value; no message: nothing
import { button, fill, h, uniqueId } from "./dom.js";
import { fileField, filesField } from "./files.js";
import { group, leaf, nativeCheck, row } from "./rows.js";
import { branchesOf, kindOf, sample, simple, summary } from "./schema.js";
import { same, toJson, wholeNumber } from "./values.js";

const KINDS = {
  string: textField,
  integer: numberField,
  number: numberField,
  boolean: switchField,
  choice: choiceField,
  object: objectField,
  array: listField,
  union: unionField,
  file: fileField,
  files: filesField,
  json: jsonField,
  null: jsonField,
};
const GROUPS = new Set(["object", "array", "union"]);
const INPUT_TYPES = {
  "date-time": "datetime-local",
  date: "date",
  time: "time",
  email: "email",
  uri: "url",
  password: "password",
};

/** Make the field of a schema. `about` is { name, required, definitions, initial }. */
export function makeField(given, about) {
  const schema = simple(given, about.definitions);
  const kind = kindOf(schema, about.definitions);
  const initial = about.initial !== undefined ? about.initial : schema.default;
  const field = { ...about, schema, initial, id: uniqueId(about.name) };
  if (GROUPS.has(kind) && (schema.nullable || (!about.required && initial === undefined)))
    return optionalField(field, KINDS[kind]);
  return KINDS[kind](field);
}

function textField(field) {
  const { schema, required } = field;
  const type = INPUT_TYPES[schema.format];
  const limits = {
    minlength: schema.minLength,
    maxlength: schema.maxLength,
    required: required && !schema.nullable && (type !== undefined || schema.minLength > 0),
  };
  const control = type
    ? h("input", { type, pattern: schema.pattern, step: /time/.test(type) ? 1 : null, ...limits })
    : h("textarea", {
        rows: 1,
        spellcheck: "false",
        placeholder: schema.nullable ? "null" : (schema.examples?.[0] ?? null),
        ...limits,
      });
  let initial;
  let shown;
  return leaf(field, control, {
    read() {
      if (initial !== undefined && control.value === shown) return initial;
      if (control.value !== "")
        return type === "datetime-local" && control.value.length === 16 ? `${control.value}:00` : control.value;
      if (schema.nullable) return null;
      return type && !required ? undefined : "";
    },
    write(value) {
      initial = value;
      control.value = type === "datetime-local" ? String(value).slice(0, 19) : (value ?? "");
      shown = control.value;
    },
    check() {
      const isBad = !type && control.value && schema.pattern && !matches(schema.pattern, control.value);
      return nativeCheck(control) || (isBad ? `This does not match ${schema.pattern}` : "");
    },
  });
}

function matches(pattern, text) {
  try {
    return new RegExp(pattern, "u").test(text);
  } catch {
    return true; // a pattern of another dialect: the server decides
  }
}

function numberField(field) {
  const { schema, required } = field;
  const isInteger = schema.type === "integer";
  const step = schema.multipleOf ?? (isInteger ? 1 : "any");
  const min = schema.minimum ?? (isInteger ? above(schema.exclusiveMinimum, 1) : schema.exclusiveMinimum);
  const max = schema.maximum ?? (isInteger ? above(schema.exclusiveMaximum, -1) : schema.exclusiveMaximum);
  const control = h("input", {
    type: "number",
    inputmode: isInteger ? "numeric" : "decimal",
    step,
    min,
    max,
    required: required && !schema.nullable,
    placeholder: schema.nullable ? "null" : null,
  });
  return leaf(field, control, {
    read() {
      if (control.value === "") return schema.nullable ? null : undefined;
      return isInteger ? wholeNumber(control.value) : Number(control.value);
    },
    write: (value) => (control.value = value ?? ""),
    check() {
      const number = Number(control.value);
      if (control.value !== "" && number === schema.exclusiveMinimum)
        return `The value must be more than ${number}.`;
      if (control.value !== "" && number === schema.exclusiveMaximum)
        return `The value must be less than ${number}.`;
      return nativeCheck(control);
    },
  });
}

function above(edge, step) {
  return edge === undefined ? undefined : edge + step;
}

function switchField(field) {
  if (field.schema.nullable) return choiceField({ ...field, schema: { ...field.schema, enum: [true, false] } });
  const control = h("input", { type: "checkbox", role: "switch", class: "switch" });
  return leaf(field, control, {
    read: () => control.checked,
    write: (value) => (control.checked = Boolean(value)),
  });
}

function choiceField(field) {
  const { schema, required } = field;
  const values = schema.enum ?? [schema.const];
  const options = schema.nullable && !values.includes(null) ? [null, ...values] : values;
  const control = h(
    "select",
    {},
    options.map((value, i) => h("option", { value: i }, typeof value === "string" ? value : toJson(value))),
  );
  if (!required && field.initial === undefined && !schema.nullable)
    control.prepend(h("option", { value: "" }, "–"));
  control.selectedIndex = 0;
  return leaf(field, control, {
    read: () => options[control.value],
    write: (value) => (control.value = options.findIndex((option) => same(option, value))),
  });
}

function jsonField(field) {
  const { schema, required, definitions } = field;
  const control = h("textarea", {
    class: "code",
    rows: 3,
    spellcheck: "false",
    autocapitalize: "off",
    required: required && !schema.nullable,
    placeholder: schema.nullable ? "null" : "JSON",
  });
  const example = button("Fill in an example", {
    class: "link",
    onclick: () => self.write(sample(schema, definitions)),
  });
  const read = () =>
    control.value.trim() === "" ? (schema.nullable ? null : undefined) : JSON.parse(control.value);
  const self = leaf(field, control, {
    read,
    write(value) {
      control.value = toJson(value);
      control.dispatchEvent(new Event("input", { bubbles: true }));
    },
    check() {
      try {
        read();
      } catch (error) {
        return `This is not JSON: ${error.message}`;
      }
      return nativeCheck(control);
    },
    shown: h("div", { class: "stack" }, control, example),
  });
  return self;
}

function objectField(field) {
  const { schema, definitions, initial } = field;
  const needed = new Set(schema.required ?? []);
  const parts = Object.entries(schema.properties).map(([name, property]) => [
    name,
    makeField(property, { name, definitions, required: needed.has(name), initial: initial?.[name] }),
  ]);
  const known = new Map(parts);
  const { element, fail } = group(
    field,
    h(
      "div",
      { class: "parts" },
      parts.map(([, part]) => part.element),
    ),
  );
  const self = {
    element,
    fail,
    read: () =>
      Object.fromEntries(
        parts.map(([name, part]) => [name, part.read()]).filter(([, value]) => value !== undefined),
      ),
    write: (value) => parts.forEach(([name, part]) => value?.[name] !== undefined && part.write(value[name])),
    check() {
      fail();
      return firstOf(parts.map(([, part]) => part.check()));
    },
    at: ([name, ...rest]) => known.get(name)?.at(rest) ?? self,
  };
  return self;
}

function listField(field) {
  const { schema, definitions, name, initial } = field;
  const list = h("ol", { class: "items" });
  let items = [];
  const remove = (item) => {
    const next = item.row.nextElementSibling ?? add;
    items = items.filter((other) => other !== item);
    item.row.remove();
    (next.querySelector?.("button.remove") ?? add).focus();
    changed();
  };
  const append = (value) => {
    const part = makeField(schema.items, {
      name: `${name} ${items.length + 1}`,
      definitions,
      required: true,
      isItem: true,
      initial: value,
    });
    const label = `Remove ${name} ${items.length + 1}`;
    const item = { part };
    item.row = h(
      "li",
      {},
      part.element,
      button(
        "",
        { class: "quiet remove", "aria-label": label, title: label, onclick: () => remove(item) },
        "close",
      ),
    );
    items.push(item);
    list.append(item.row);
    return part;
  };
  const add = button(
    "Add",
    { class: "quiet", "aria-label": `Add to ${name}`, onclick: () => (focusIn(append().element), changed()) },
    "plus",
  );
  const changed = () => list.dispatchEvent(new Event("input", { bubbles: true }));
  const { element, fail } = group(field, list, add);
  const self = {
    element,
    fail,
    read: () => items.map(({ part }) => part.read() ?? null),
    write(values) {
      items = [];
      fill(list);
      for (const value of values ?? []) append(value);
    },
    check() {
      const [least, most] = [schema.minItems ?? 0, schema.maxItems ?? Infinity];
      const wrong =
        items.length < least
          ? `At least ${least} are needed.`
          : items.length > most
            ? `At most ${most} are taken.`
            : "";
      fail(wrong);
      return wrong ? add : firstOf(items.map(({ part }) => part.check()));
    },
    at: ([index, ...rest]) => items[index]?.part.at(rest) ?? self,
  };
  self.write(initial ?? Array(schema.minItems ?? 0).fill(undefined));
  return self;
}

function unionField(field) {
  const { schema, definitions, name, required, initial } = field;
  const branches = branchesOf(schema);
  const choice = h(
    "select",
    { "aria-label": `Kind of ${name}`, onchange: () => show(Number(choice.value)) },
    branches.map((branch, i) => h("option", { value: i }, summary(simple(branch, definitions), definitions))),
  );
  const place = h("div");
  let part;
  const show = (index, value) => {
    part = makeField(
      { ...branches[index], description: undefined },
      { name, definitions, required, initial: value },
    );
    choice.value = index;
    fill(place, part.element);
  };
  const { element, fail } = group(field, choice, place);
  element.classList.add("union");
  const self = {
    element,
    fail,
    read: () => part.read(),
    write: (value) =>
      show(
        Math.max(
          0,
          branches.findIndex((branch) => fits(value, simple(branch, definitions))),
        ),
        value,
      ),
    check() {
      fail();
      return part.check();
    },
    at: (path) => part.at(path.slice(1)), // the first name is that of the branch
  };
  if (initial === undefined || initial === null) show(0);
  else self.write(initial);
  return self;
}

const TYPES = { string: ["string"], number: ["integer", "number"], bigint: ["integer"], boolean: ["boolean"] };

function fits(value, schema) {
  if (Array.isArray(value)) return ["array", "tensor", "dataframe"].includes(schema.type);
  if (typeof value === "object") return schema.type === "object";
  return schema.enum ? schema.enum.includes(value) : (TYPES[typeof value] ?? []).includes(schema.type);
}

/** A group that need not be there: nothing until it is asked for. */
function optionalField(field, make) {
  const place = h("div", { class: "optional" });
  const none = field.schema.nullable ? null : undefined;
  let part = null;
  const show = (value) => {
    part = make({ ...field, required: false, initial: value ?? undefined, id: uniqueId(field.name) });
    fill(place, part.element, button("Leave out", { class: "link", onclick: () => hide(true) }));
  };
  const hide = (focus) => {
    part = null;
    const add = button(
      "Set",
      { class: "quiet", "aria-label": `Set ${field.name}`, onclick: () => (show(), focusIn(place), changed()) },
      "plus",
    );
    const line = row(field, add);
    fill(place, line.element);
    if (focus) {
      add.focus();
      changed();
    }
  };
  const changed = () => place.dispatchEvent(new Event("input", { bubbles: true }));
  const self = {
    element: place,
    read: () => (part ? part.read() : none),
    write: (value) => (value === null || value === undefined ? hide() : show(value)),
    check: () => part?.check() ?? null,
    at: (path) => part?.at(path) ?? self,
    fail: (message) => part?.fail(message),
  };
  self.write(field.initial);
  return self;
}

function firstOf(elements) {
  return elements.find((element) => element !== null) ?? null;
}

function focusIn(element) {
  element.querySelector("input, textarea, select, button")?.focus();
}
