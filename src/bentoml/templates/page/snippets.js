// The same request as a command and as a program, to copy and to run.
import { jsonOf, partsOf } from "./form.js";
import { authHeader, serviceUrl, token } from "./session.js";
import { simple } from "./schema.js";
import { toPython } from "./values.js";

const TOKEN = "BENTOML_TOKEN"; // the environment variable; the token itself is never shown

/** A `curl` command. */
export function curlSnippet(api, plan) {
  const lines = [`curl ${api.output.is_stream ? "-N " : ""}${quoted(serviceUrl + api.route)}`];
  if (token()) {
    const isBearer = (authHeader || "authorization").toLowerCase() === "authorization";
    lines.push(`-H "${isBearer ? "Authorization: Bearer" : `${authHeader}:`} $${TOKEN}"`);
  }
  lines.push(...curlBody(plan), ...curlOutput(api));
  return lines.join(" \\\n  ");
}

function curlBody(plan) {
  const data = (value) => `-d ${quoted(value)}`;
  switch (plan.kind) {
    case "json":
      return [`-H 'Content-Type: application/json'`, data(jsonOf(plan))];
    case "text":
      return [`-H 'Content-Type: text/plain'`, `--data-raw ${quoted(plan.root ?? "")}`];
    case "file":
      return [
        `-H 'Content-Type: ${plan.root?.type || "application/octet-stream"}'`,
        `--data-binary ${quoted(`@${plan.root?.name ?? "FILE"}`)}`,
      ];
    case "form":
      return partsOf(plan).map(([name, value]) =>
        value instanceof File
          ? `-F ${quoted(`${name}=@"${value.name.replace(/["\\]/g, "\\$&")}"${value.type && `;type=${value.type}`}`)}`
          : `--form-string ${quoted(`${name}=${value}`)}`,
      );
  }
}

function curlOutput(api) {
  const name = answerName(simple(api.output));
  return name ? [`-o ${name}`] : [];
}

/** A name for a file that an API answers with; empty where it answers with none. */
function answerName(output) {
  if (output.type !== "file") return "";
  const subtype = (output.content_type ?? "").split("/")[1] ?? "";
  return `answer.${/^[a-z0-9]+$/.test(subtype) ? subtype : output.format === "image" ? "png" : "bin"}`;
}

function quoted(text) {
  return `'${text.replace(/'/g, `'\\''`)}'`;
}

// What a client has already, so that an API of this name is called through `call`.
const TAKEN = new Set([
  "call",
  "client",
  "close",
  "endpoints",
  "is_ready",
  "request",
  "timeout",
  "url",
  "wait_until_server_ready",
  "server_ready_timeout",
  "token",
  "default_headers",
]);
const KEYWORDS = new Set(
  "False None True and as assert async await break class continue def del elif else except finally for from global if import in is lambda nonlocal not or pass raise return try while with yield".split(
    " ",
  ),
);

/** A program with the synchronous client. */
export function pythonSnippet(api, plan, asTask = false) {
  const values = "root" in plan ? [["", plan.root]] : Object.entries(plan.values);
  const isFile = (value) => value instanceof File;
  const needsPath = plan.kind === "form" ? partsOf(plan).some(([, part]) => isFile(part)) : isFile(plan.root);
  const imports = [token() && "import os", needsPath && "from pathlib import Path"].filter(Boolean);
  const client = `${JSON.stringify(serviceUrl)}${token() ? `, token=os.environ["${TOKEN}"]` : ""}`;
  const call = pythonCall(api, values, asTask);
  const use = asTask
    ? [
        `task = ${call}`,
        'while task.get_status().value in ("pending", "in_progress"):',
        "    time.sleep(1)",
        "print(task.get())",
      ]
    : api.output.is_stream
      ? [`for piece in ${call}:`, '    print(piece, end="", flush=True)']
      : [`answer = ${call}`, "print(answer)"];
  if (asTask) imports.push("import time");
  const sorted = imports.sort(
    (one, other) => one.startsWith("from") - other.startsWith("from") || (one < other ? -1 : 1),
  );
  return [
    ...sorted,
    imports.length && "",
    "import bentoml",
    "",
    `with bentoml.SyncHTTPClient(${client}) as client:`,
    ...use.map((line) => `    ${line}`),
  ]
    .filter((line) => line !== 0)
    .join("\n");
}

function pythonCall(api, values, asTask) {
  const isName = isIdentifier(api.name) && !TAKEN.has(api.name);
  const head = isName
    ? `client.${api.name}${asTask ? ".submit" : ""}(`
    : `client.call(${JSON.stringify(api.name)}${values.length ? ", " : ""}`;
  const args = values.map(([name, value]) =>
    name === "" || isIdentifier(name)
      ? `${name && `${name}=`}${pythonValue(value)}`
      : `**{${JSON.stringify(name)}: ${pythonValue(value)}}`,
  );
  const line = `${head}${args.join(", ")})`;
  return line.length <= 80 && !line.includes("\n")
    ? line
    : `${head}\n${args.map((arg) => `        ${arg},\n`).join("")}    )`;
}

function pythonValue(value) {
  return toPython(value ?? null, "        ");
}

function isIdentifier(name) {
  return /^[A-Za-z_]\w*$/.test(name) && !KEYWORDS.has(name);
}
