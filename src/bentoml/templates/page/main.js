// The page: what the service is, the list of its APIs, and one of them at a time, as the address says (`#/name`).
import { makeApi } from "./api.js";
import { button, fill, h } from "./dom.js";
import { showMarkdown } from "./markdown.js";
import { authHeader, authHeaders, describe, nextTheme, setToken, theme, token } from "./session.js";

const main = document.getElementById("main");
const nav = document.getElementById("apis");
const views = new Map();
const LONG = 600; // characters of a description that comes before the list of APIs
let service = null;

async function start() {
  try {
    const [schema, docs] = await Promise.all([describe("schema.json"), describe("docs.json").catch(() => null)]);
    service = described(schema, docs);
  } catch (error) {
    return error.status === 401 || error.status === 403 ? askForToken(token() !== "") : showFailure(error);
  }
  views.clear();
  document.title = service.name;
  fill(document.getElementById("name"), service.name);
  fill(
    nav,
    h(
      "ul",
      {},
      navItem("", "Overview"),
      service.apis.map((api) => navItem(api.name, api.name)),
    ),
  );
  drawTools();
  show();
}

function described(schema, docs) {
  const doc = (route) => docs?.paths?.[route.route]?.post?.description ?? "";
  return {
    name: schema.name,
    version: docs?.info.version ?? "",
    about: docs?.info.description || schema.description || "",
    apis: schema.routes.map((route) => ({ ...route, doc: doc(route) })),
    hasMetrics: Object.keys(docs?.paths ?? {}).some((path) => path.endsWith("/metrics")),
  };
}

function navItem(name, text) {
  return h("li", {}, h("a", { href: addressOf({ name }), "data-name": name }, text));
}

function addressOf({ name }) {
  return `#/${encodeURIComponent(name)}`;
}

/** Show what the address says. */
function show(focus = false) {
  const api = service.apis.find((one) => addressOf(one) === location.hash);
  const name = api?.name ?? "";
  if (api && !views.has(name)) views.set(name, makeApi(api));
  if (api) views.get(name).update();
  fill(main, api ? views.get(name).element : overview());
  document.title = api ? `${name} · ${service.name}` : service.name;
  for (const link of nav.querySelectorAll("a")) {
    const isCurrent = link.dataset.name === name;
    if (isCurrent) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
    if (isCurrent) nav.scrollTo({ left: link.offsetLeft - nav.clientWidth / 2 + link.offsetWidth / 2 });
  }
  if (focus) main.focus();
  scrollTo(0, 0);
}

function overview() {
  const version =
    service.version && service.version !== "not available" && h("span", { class: "pill" }, service.version);
  const entry = ({ name, route, doc, output, is_task: isTask }) =>
    h(
      "li",
      {},
      h(
        "a",
        { href: addressOf({ name }) },
        h(
          "span",
          { class: "name" },
          name,
          (output.is_stream || isTask) && h("span", { class: "pill" }, isTask ? "task" : "stream"),
        ),
        h("code", {}, route),
        doc && h("span", { class: "doc" }, doc.split("\n")[0]),
      ),
    );
  const apis =
    service.apis.length > 0 &&
    h("section", {}, h("h2", {}, "APIs"), h("ul", { class: "apis" }, service.apis.map(entry)));
  const about = service.about && h("section", { class: "prose" }, showMarkdown(service.about));
  const sections = service.about.length > LONG ? [apis, about] : [about, apis];
  return h(
    "article",
    { class: "overview" },
    h("header", { class: "title" }, h("h1", {}, service.name, version)),
    sections,
  );
}

function drawTools() {
  const change = button("", { class: "quiet" }, "theme");
  const name = () => {
    const text = `Theme: ${theme()}`;
    change.setAttribute("aria-label", text);
    fill(change, change.firstChild, h("span", {}, theme()));
  };
  change.addEventListener("click", () => (nextTheme(), name()));
  name();
  const key =
    (authHeader || token()) &&
    button(token() ? "Token set" : "Token", { class: "quiet", onclick: () => askForToken(false) }, "key");
  fill(document.getElementById("tools"), change, key);
  document.querySelector(".links").hidden = service === null;
  document.querySelector('.links a[href="metrics"]').parentElement.hidden = !service?.hasMetrics;
}

function askForToken(wasRefused) {
  const input = h("input", {
    type: "password",
    id: "token",
    autocomplete: "off",
    "aria-describedby": "token-help",
  });
  const save = (event) => {
    event.preventDefault();
    setToken(input.value.trim());
    start();
  };
  drawTools();
  fill(
    main,
    h(
      "form",
      { class: "card token", onsubmit: save },
      h("h1", {}, "Who are you?"),
      h(
        "p",
        { class: "help", id: "token-help" },
        wasRefused ? "The service does not accept this token. " : "",
        "Enter the key or token of this service. It stays in this tab, and is forgotten when the tab is closed.",
      ),
      h("div", { class: "field" }, h("div", { class: "about" }, h("label", { for: "token" }, "Token")), input),
      h(
        "div",
        { class: "actions" },
        button("Use it", { type: "submit", class: "primary" }),
        token() && button("Forget it", { onclick: () => (setToken(""), start()) }),
      ),
    ),
  );
  input.focus();
}

function showFailure(error) {
  fill(
    main,
    h(
      "div",
      { class: "problem", role: "alert" },
      h("h1", { class: "title" }, "The service does not say what it is"),
      h("p", {}, error.message),
      button("Try again", { onclick: start }),
    ),
  );
}

/** Open a description that only those with a token may see. */
async function openGuarded(event) {
  const link = event.target.closest(".links a");
  if (!link || !token()) return;
  event.preventDefault();
  const response = await fetch(link.href, { headers: authHeaders() });
  const blob = new Blob([await response.text()], { type: "text/plain;charset=utf-8" });
  open(URL.createObjectURL(blob), "_blank");
}

addEventListener("hashchange", () => {
  if (service && /^#?$|^#\//.test(location.hash)) show(true);
});
document.addEventListener("click", openGuarded);
for (const kind of ["dragover", "drop"]) addEventListener(kind, (event) => event.preventDefault()); // a file beside its field
start();
