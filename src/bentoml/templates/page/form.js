// The form of one API: its fields, and what they hold as a request.
import { h } from "./dom.js";
import { makeField } from "./fields.js";
import { simple } from "./schema.js";
import { same, toCompactJson, toJson } from "./values.js";

/** Make the form of an API: { element, check(), fail(details), plan(), write(values), asJson }. */
export function makeForm(api) {
  const schema = api.input;
  return schema.root_input ? rootForm(schema) : fieldsForm(schema);
}

function fieldsForm(schema) {
  const definitions = schema.$defs ?? {};
  const required = new Set(schema.required ?? []);
  const properties = Object.entries(schema.properties ?? {});
  const fields = new Map(
    properties.map(([name, property]) => [
      name,
      makeField(property, { name, definitions, required: required.has(name) }),
    ]),
  );
  const takesFiles = holdsFile(schema);
  const files = new Set(properties.filter(([, property]) => isFile(property, definitions)).map(([name]) => name));
  const none = properties.length === 0 && h("p", { class: "note" }, "This API takes no input.");
  return {
    element: h(
      "div",
      { class: "fields" },
      none,
      [...fields.values()].map((field) => field.element),
    ),
    takesJson: properties.length > 0 && !takesFiles,
    check: () => [...fields.values()].map((field) => field.check()).find((wrong) => wrong !== null) ?? null,
    fail: (details) =>
      details.filter(({ loc: [name, ...rest], msg }) => !fields.has(name) || fields.get(name).at(rest).fail(msg)),
    write: (values) => fields.forEach((field, name) => values[name] !== undefined && field.write(values[name])),
    plan() {
      const values = {};
      for (const [name, property] of properties) {
        const value = fields.get(name).read();
        if (value !== undefined && !(isOptional(name) && same(value, property.default ?? null)))
          values[name] = value;
      }
      return takesFiles ? { kind: "form", values, files } : { kind: "json", values };
    },
  };
  function isOptional(name) {
    return !required.has(name);
  }
}

function rootForm(schema) {
  const definitions = schema.$defs ?? {};
  const field = makeField(schema, { name: schema.title ?? "input", definitions, required: !("default" in schema) });
  const kind = schema.type === "file" ? "file" : schema.type === "string" ? "text" : "json";
  return {
    element: h("div", { class: "fields" }, field.element),
    takesJson: kind === "json",
    check: () => field.check(),
    fail: (details) => (
      details.forEach(({ loc, msg }) => field.at(loc[0] === "root" ? loc.slice(1) : loc).fail(msg)),
      []
    ),
    write: (value) => field.write(value),
    plan: () => ({ kind, root: field.read() }),
  };
}

/** Whether a field is a file or a list of files. */
function isFile(property, definitions) {
  const schema = simple(property, definitions);
  return (
    schema.type === "file" || (schema.type === "array" && simple(schema.items ?? {}, definitions).type === "file")
  );
}

/** Whether a value of a schema may hold a file, at any depth. */
function holdsFile(schema) {
  if (schema === null || typeof schema !== "object") return false;
  const inner = [schema.items, schema.properties, schema.$defs, schema.additionalProperties].flatMap((part) => [
    part,
    ...Object.values(part ?? {}),
  ]);
  return (
    schema.type === "file" ||
    [...inner, ...(schema.anyOf ?? []), ...(schema.oneOf ?? []), ...(schema.prefixItems ?? [])].some(
      (part) => part !== schema && holdsFile(part),
    )
  );
}

/** The JSON text of a plan, which a person may edit. */
export function jsonOf(plan) {
  return toJson("root" in plan ? (plan.root ?? null) : plan.values);
}

/** The plan that JSON text means. */
export function planOfJson(text, api) {
  const value = JSON.parse(text);
  return api.input.root_input ? { kind: "json", root: value } : { kind: "json", values: value };
}

/** What `fetch` is given for a plan. */
export function fetchOptions(plan) {
  const post = (body, type) => ({ method: "POST", body, headers: type ? { "content-type": type } : {} });
  switch (plan.kind) {
    case "json":
      return post(toCompactJson("root" in plan ? (plan.root ?? null) : plan.values), "application/json");
    case "text":
      return post(plan.root ?? "", "text/plain");
    case "file":
      return plan.root instanceof File
        ? post(plan.root, plan.root.type || "application/octet-stream")
        : post(plan.root ?? "", "text/plain");
    case "form":
      return post(formData(plan));
  }
}

function formData(plan) {
  const form = new FormData();
  for (const [name, value] of partsOf(plan)) form.append(name, value);
  return form;
}

/** The parts of a form: files, and addresses of files, as they are; a file inside of a value is a part named by its place. */
export function partsOf({ values, files: ofFiles }) {
  return Object.entries(values).flatMap(([name, value]) => {
    if (ofFiles.has(name) && value !== null) return [value].flat().map((item) => [name, item]);
    const files = [];
    const plain = withoutFiles(name, value, files);
    return [[name, toCompactJson(plain)], ...files];
  });
}

function withoutFiles(name, value, files) {
  if (value instanceof File) {
    files.push([name, value]);
    return null;
  }
  if (value === null || typeof value !== "object") return value;
  const entries = Object.entries(value).map(([key, item]) => [key, withoutFiles(`${name}.${key}`, item, files)]);
  return Array.isArray(value) ? entries.map(([, item]) => item) : Object.fromEntries(entries);
}
