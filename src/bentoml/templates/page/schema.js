// What a schema of `schema.json` means for a form: which kind of field, what is allowed, how to say it in a few words.

/** A schema without references, unions with null, or wrappers: `nullable` says whether null is allowed. */
export function simple(schema, definitions = {}) {
  if (schema.$ref) {
    const { $ref, ...beside } = schema;
    return simple({ ...definitions[$ref.replace("#/$defs/", "")], ...beside }, definitions);
  }
  const { allOf, anyOf, oneOf, ...beside } = schema;
  if (allOf?.length === 1) return simple({ ...allOf[0], ...beside }, definitions);
  if (Array.isArray(schema.type)) {
    const types = schema.type.filter((type) => type !== "null");
    const nullable = types.length < schema.type.length;
    return types.length === 1 ? { ...schema, type: types[0], nullable } : { ...schema, type: undefined, nullable };
  }
  const branches = (anyOf ?? oneOf ?? []).filter((branch) => branch.type !== "null");
  const nullable = schema.nullable || branches.length < (anyOf ?? oneOf ?? []).length;
  if (branches.length === 1) return simple({ ...branches[0], ...beside, nullable }, definitions);
  return nullable ? { ...schema, nullable } : schema;
}

/** The kind of field for a simple schema. */
export function kindOf(schema, definitions) {
  if (schema.enum || "const" in schema) return "choice";
  if (branchesOf(schema).length) return "union";
  switch (schema.type) {
    case "file":
    case "string":
    case "boolean":
    case "integer":
    case "number":
    case "null":
      return schema.type;
    case "object":
      return Object.keys(schema.properties ?? {}).length ? "object" : "json";
    case "array":
      return kindOfArray(schema, definitions);
    default:
      return "json"; // tensors, tables, and what may be anything
  }
}

function kindOfArray(schema, definitions) {
  if (schema.prefixItems || !schema.items) return "json";
  const item = simple(schema.items, definitions);
  if (item.type === "file") return "files";
  return kindOf(item, definitions) === "json" || item.type === "array" ? "json" : "array";
}

/** The ways in which a value of a union may be written. */
export function branchesOf(schema) {
  return (schema.anyOf ?? schema.oneOf ?? []).filter((branch) => branch.type !== "null");
}

/** What a value is, in a few words: `integer, 1 to 10`. */
export function summary(schema, definitions) {
  const range = rangeOf(schema);
  const name = schema.nullable ? `${typeName(schema, definitions)} or null` : typeName(schema, definitions);
  return range ? `${name}, ${range}` : name;
}

function typeName(schema, definitions) {
  if (schema.type === "tensor")
    return ["array", schema.dtype, schema.shape && `(${schema.shape.map((n) => (n < 0 ? "any" : n)).join(" × ")})`]
      .filter(Boolean)
      .join(" ");
  if (schema.type === "dataframe") return `table of ${schema.orient ?? "records"}`;
  if (schema.type === "file") return schema.content_type ?? (schema.format === "binary" ? "file" : schema.format);
  if (schema.enum || "const" in schema) return "choice";
  if (branchesOf(schema).length)
    return branchesOf(schema)
      .map((b) => typeName(simple(b, definitions), definitions))
      .join(" or ");
  if (schema.type === "array")
    return schema.items ? `list of ${typeName(simple(schema.items, definitions), definitions)}` : "list";
  if (schema.type === "object") return schema.title && schema.properties ? schema.title : "object";
  if (schema.type === "string")
    return (
      {
        "date-time": "date and time",
        date: "date",
        time: "time",
        email: "e-mail",
        uri: "address",
        uuid: "UUID",
        binary: "bytes",
        duration: "duration",
      }[schema.format] ?? "text"
    );
  return schema.type ?? "any JSON";
}

function rangeOf(schema) {
  const low = schema.minimum ?? schema.exclusiveMinimum ?? schema.minLength ?? schema.minItems;
  const high = schema.maximum ?? schema.exclusiveMaximum ?? schema.maxLength ?? schema.maxItems;
  const unit =
    (schema.maxLength ?? schema.minLength) ? " characters" : (schema.maxItems ?? schema.minItems) ? " items" : "";
  const more = "exclusiveMinimum" in schema ? "more than" : "at least";
  const less = "exclusiveMaximum" in schema ? "less than" : "at most";
  if (low !== undefined && high !== undefined && more === "at least" && less === "at most")
    return `${low} to ${high}${unit}`;
  const parts = [low !== undefined && `${more} ${low}${unit}`, high !== undefined && `${less} ${high}${unit}`];
  return parts.filter(Boolean).join(", ");
}

/** A small value that fits, as far as the schema says; for the fields that are written as JSON. */
export function sample(schema, definitions = {}, depth = 0) {
  const s = simple(schema, definitions);
  if ("default" in s && s.default !== null) return s.default;
  if (s.enum) return s.enum[0];
  if ("const" in s) return s.const;
  if (branchesOf(s).length) return sample(branchesOf(s)[0], definitions, depth);
  switch (s.type) {
    case "string":
      return "";
    case "integer":
    case "number":
      return s.minimum ?? 0;
    case "boolean":
      return false;
    case "tensor":
      return nested(
        s.shape ?? [2],
        /^u?int|float/.test(s.dtype ?? "float") ? 0 : /bool/.test(s.dtype) ? false : "",
      );
    case "dataframe":
      return s.orient === "columns" ? { column: [0] } : [{ [s.columns?.[0] ?? "column"]: 0 }];
    case "array":
      return s.prefixItems
        ? s.prefixItems.map((i) => sample(i, definitions, depth + 1))
        : depth > 3
          ? []
          : [sample(s.items ?? {}, definitions, depth + 1)];
    case "object":
      return depth > 3
        ? {}
        : Object.fromEntries(
            Object.entries(s.properties ?? {}).map(([n, p]) => [n, sample(p, definitions, depth + 1)]),
          );
    default:
      return null;
  }
}

function nested([size, ...inner], element) {
  const length = Math.min(size < 0 ? 1 : size, 4096);
  return Array.from({ length }, () => (inner.length ? nested(inner, element) : element));
}
