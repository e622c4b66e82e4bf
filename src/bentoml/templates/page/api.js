// One API: its form, its answer, and the same request as code.
import { makeAnswer } from "./answer.js";
import { makeCode } from "./code.js";
import { button, h } from "./dom.js";
import { makeEditor } from "./editor.js";
import { fetchOptions, makeForm } from "./form.js";
import { showMarkdown } from "./markdown.js";
import { ask } from "./session.js";
import { makeTasks } from "./tasks.js";

/** The view of an API: { element, update() }. */
export function makeApi(api) {
  const form = makeForm(api);
  const editor = makeEditor(api, form);
  const answer = makeAnswer();
  const code = makeCode(api);
  const tasks =
    api.is_task && makeTasks(api, (response, started) => answer.show(response, started, fail), answer.showFailure);
  const actions = makeActions(api, () => controller?.abort(), run);
  const request = drawRequest(api, editor, actions, { run, update });
  let controller = null;

  /** Say at its fields what the server has against the input; return the rest. */
  function fail(details) {
    const others = editor.isJson() ? details : form.fail(details);
    request.querySelector("[aria-invalid]")?.scrollIntoView({ block: "nearest" });
    return others;
  }
  function update() {
    const plan = editor.plan();
    if (plan) code.show(plan);
  }
  async function run(action = "") {
    if (controller) return;
    const wrong = editor.check();
    if (wrong) return wrong.focus();
    controller = new AbortController();
    actions.busy(true);
    answer.wait();
    try {
      await exchange(action, performance.now());
    } catch (error) {
      if (error.name === "AbortError") answer.stopped();
      else
        answer.showFailure(
          "The service cannot be reached",
          "It may have been stopped, or the connection was cut off.",
        );
    }
    controller = null;
    actions.busy(false);
  }
  async function exchange(action, started) {
    const path = api.route.replace(/\/$/, "") + action || "/";
    const response = await ask(path, { ...fetchOptions(editor.plan()), signal: controller.signal });
    if (action && response.ok) tasks.add((await response.clone().json()).task_id);
    answer.element.scrollIntoView({ block: "nearest" });
    await answer.show(response, started, fail);
  }

  update();
  if (tasks) tasks.poll();
  const column = (...parts) => h("div", { class: "column" }, parts);
  const columns = h(
    "div",
    { class: "columns" },
    column(request),
    column(drawResult(answer), tasks?.element, code.element),
  );
  return { element: h("article", { class: "api" }, heading(api), columns), update };
}

/** The buttons below a form: { element, busy(isBusy) }. */
function makeActions(api, abort, run) {
  const send = button(api.is_task ? "Run and wait" : "Send", {
    type: "submit",
    class: api.is_task ? null : "primary",
  });
  const submit = api.is_task && button("Submit task", { class: "primary", onclick: () => run("/submit") });
  const stop = button("Stop", { class: "stop", hidden: true, onclick: abort });
  const keys = h("span", { class: "note keys" }, h("kbd", {}, "Ctrl"), " ", h("kbd", {}, "Enter"));
  return {
    element: h("div", { class: "actions" }, submit, send, stop, keys),
    busy(isBusy) {
      // Not `disabled`, which would take the focus away from who uses the keyboard.
      for (const one of [send, submit]) if (one) one.setAttribute("aria-disabled", String(isBusy));
      if (document.activeElement === stop) send.focus();
      stop.hidden = !isBusy;
    },
  };
}

function drawRequest(api, editor, actions, { run, update }) {
  const attributes = {
    class: "request card",
    novalidate: true,
    "aria-label": `Request to ${api.name}`,
    oninput: update,
    onsubmit: (event) => (event.preventDefault(), run()),
    onkeydown: (event) => {
      if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
      event.preventDefault();
      run(api.is_task ? "/submit" : "");
    },
  };
  const head = h("div", { class: "card-head" }, h("h2", {}, "Request"), editor.switcher);
  return h("form", attributes, head, editor.element, actions.element);
}

function drawResult(answer) {
  const head = h("div", { class: "card-head" }, h("h2", {}, "Answer"), answer.tools);
  return h("section", { class: "card result", "aria-label": "Answer" }, head, answer.element);
}

function heading(api) {
  const kinds = [api.output.is_stream && "stream", api.is_task && "task", api.batchable && "batched"].filter(
    Boolean,
  );
  return h(
    "header",
    { class: "title" },
    h(
      "h1",
      {},
      api.name,
      kinds.map((kind) => h("span", { class: "pill" }, kind)),
    ),
    h("p", { class: "route" }, h("span", { class: "method" }, "POST"), h("code", {}, api.route)),
    api.doc && h("div", { class: "prose" }, showMarkdown(api.doc)),
  );
}
