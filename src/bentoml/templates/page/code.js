// A request as code, to copy.
import { copyButton, fill, h, tabs } from "./dom.js";
import { curlSnippet, pythonSnippet } from "./snippets.js";

/** The request as a command and as programs. */
export function makeCode(api) {
  const entries = [
    ["curl", curlSnippet],
    ["Python", pythonSnippet],
  ];
  if (api.is_task) entries.push(["Python task", (a, plan) => pythonSnippet(a, plan, true)]);
  const shown = entries.map(() => h("code"));
  const { list, panels } = tabs(
    "Code",
    entries.map(([name], i) => [name, h("pre", { tabindex: 0, "aria-label": `${name} code` }, shown[i])]),
  );
  const copy = copyButton(() => shown[panels.findIndex((panel) => !panel.hidden)].textContent, "Copy the code");
  const element = h(
    "section",
    { class: "card code", "aria-label": "Code" },
    h("div", { class: "card-head" }, list, copy),
    panels,
  );
  return { element, show: (plan) => entries.forEach(([, write], i) => fill(shown[i], write(api, plan))) };
}
