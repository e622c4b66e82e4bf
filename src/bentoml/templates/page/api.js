// One API: its form, its answer, and the same request as code.
import { makeAnswer } from "./answer.js";
import { button, copyButton, fill, h, tabs } from "./dom.js";
import { fetchOptions, jsonOf, makeForm, planOfJson } from "./form.js";
import { showMarkdown } from "./markdown.js";
import { ask } from "./session.js";
import { curlSnippet, pythonSnippet } from "./snippets.js";
import { makeTasks } from "./tasks.js";

/** The view of an API: { element, update() }. */
export function makeApi(api) {
  const form = makeForm(api);
  const editor = makeEditor(api, form);
  const answer = makeAnswer();
  const code = makeCode(api);
  const tasks = api.is_task ? makeTasks(api, (response, started) => answer.show(response, started, fail), answer.showFailure) : null;
  const send = button(api.is_task ? "Run and wait" : "Send", { type: "submit", class: "primary" });
  const submit = api.is_task && button("Submit task", { class: "primary", onclick: () => run("/submit") });
  const stop = button("Stop", { class: "stop", hidden: true, onclick: () => controller?.abort() });
  if (submit) send.className = "";
  let controller = null;

  const note = h("span", { class: "note keys" }, h("kbd", {}, "Ctrl"), " ", h("kbd", {}, "Enter"));
  const element = h(
    "form",
    { class: "request card", novalidate: true, "aria-label": `Request to ${api.name}`, onsubmit: (event) => (event.preventDefault(), run()), oninput: () => update(), onkeydown: keys },
    h("div", { class: "card-head" }, h("h2", {}, "Request"), editor.switcher),
    editor.element,
    h("div", { class: "actions" }, submit, send, stop, note),
  );
  const placeholder = h("p", { class: "note empty" }, "Send a request to see the answer.");
  const result = h("section", { class: "card result", "aria-label": "Answer" }, h("div", { class: "card-head" }, h("h2", {}, "Answer"), answer.tools), placeholder, answer.element);

  function keys(event) {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      run(api.is_task ? "/submit" : "");
    }
  }
  function fail(details) {
    const others = editor.isJson() ? details : form.fail(details);
    element.querySelector("[aria-invalid]")?.scrollIntoView({ block: "nearest" });
    return others;
  }
  function update() {
    const plan = editor.plan();
    if (plan) code.show(plan);
  }
  function busy(isBusy) {
    send.disabled = isBusy;
    if (submit) submit.disabled = isBusy;
    stop.hidden = !isBusy;
  }
  async function run(action = "") {
    if (controller) return;
    const wrong = editor.check();
    if (wrong) return wrong.focus();
    controller = new AbortController();
    const started = performance.now();
    placeholder.remove();
    busy(true);
    answer.wait();
    try {
      const response = await ask(api.route.replace(/\/$/, "") + action || "/", { ...fetchOptions(editor.plan()), signal: controller.signal });
      if (action && response.ok) tasks.add((await response.clone().json()).task_id);
      await answer.show(response, started, fail);
    } catch (error) {
      if (error.name !== "AbortError") answer.showFailure("The service cannot be reached", "It may have been stopped, or the connection was cut off.");
      else answer.stopped();
    } finally {
      controller = null;
      busy(false);
    }
  }
  update();
  tasks?.poll();
  const head = heading(api);
  return { element: h("article", { class: "api" }, head, h("div", { class: "columns" }, h("div", { class: "column" }, element), h("div", { class: "column" }, result, tasks?.element, code.element))), update };
}

function heading(api) {
  const kinds = [api.output.is_stream && "stream", api.is_task && "task", api.batchable && "batched"].filter(Boolean);
  return h(
    "header",
    { class: "title" },
    h("h1", {}, api.name, kinds.map((kind) => h("span", { class: "pill" }, kind))),
    h("p", { class: "route" }, h("span", { class: "method" }, "POST"), h("code", {}, api.route)),
    api.doc && h("div", { class: "prose" }, showMarkdown(api.doc)),
  );
}

/** The fields, and the same as JSON text that can be edited. */
function makeEditor(api, form) {
  const text = h("textarea", { class: "code whole", rows: 12, spellcheck: "false", "aria-label": "Body as JSON", "aria-describedby": "json-mistake" });
  const mistake = h("p", { class: "mistake", id: "json-mistake", role: "alert", hidden: true });
  const asText = h("div", { class: "fields", hidden: true }, text, mistake);
  const toggle = button("Edit as JSON", { class: "link", "aria-pressed": "false", onclick: () => (isJson() ? showForm() : showJson()) });
  const isJson = () => !asText.hidden;
  const parsed = () => {
    try {
      return planOfJson(text.value, api);
    } catch (error) {
      mistake.textContent = `This is not JSON: ${error.message}`;
      return null;
    }
  };
  const flip = (json) => {
    asText.hidden = !json;
    form.element.hidden = json;
    mistake.hidden = true;
    toggle.setAttribute("aria-pressed", String(json));
  };
  function showJson() {
    text.value = jsonOf(safePlan() ?? { values: {} });
    flip(true);
  }
  function showForm() {
    const plan = parsed();
    mistake.hidden = plan !== null;
    if (!plan) return;
    form.write("root" in plan ? plan.root : plan.values);
    flip(false);
  }
  function safePlan() {
    try {
      return form.plan();
    } catch {
      return null; // a field holds what is no JSON yet
    }
  }
  text.addEventListener("input", () => (mistake.hidden = true));
  return {
    element: h("div", {}, form.element, asText),
    switcher: form.takesJson && toggle,
    isJson,
    plan: () => (isJson() ? parsed() : safePlan()),
    check() {
      if (!isJson()) return form.check();
      mistake.hidden = parsed() !== null;
      return mistake.hidden ? null : text;
    },
  };
}

/** The request as a command and as programs. */
function makeCode(api) {
  const entries = [["curl", curlSnippet], ["Python", pythonSnippet]];
  if (api.is_task) entries.push(["Python task", (a, plan) => pythonSnippet(a, plan, true)]);
  const shown = entries.map(() => h("code"));
  const { list, panels } = tabs("Code", entries.map(([name], i) => [name, h("pre", { tabindex: 0, "aria-label": `${name} code` }, shown[i])]));
  const copy = copyButton(() => shown[panels.findIndex((panel) => !panel.hidden)].textContent, "Copy the code");
  const element = h("section", { class: "card code", "aria-label": "Code" }, h("div", { class: "card-head" }, list, copy), panels);
  return { element, show: (plan) => entries.forEach(([, write], i) => fill(shown[i], write(api, plan))) };
}
