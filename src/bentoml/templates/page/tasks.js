// The tasks that this tab has submitted to one API: how far they are, and what can be done with them.
import { button, copyButton, fill, h } from "./dom.js";
import { ask, serviceUrl } from "./session.js";

const UNDER_WAY = new Set(["pending", "in_progress"]);
const NAMES = {
  pending: "Waiting",
  in_progress: "Running",
  completed: "Done",
  failed: "Failed",
  canceled: "Cancelled",
};
const MOST = 20;

/** The list of an API's tasks: { element, add(id), poll() }; `show(response)` shows what a task answered, `tell(title)` what failed. */
export function makeTasks(api, show, tell) {
  const key = `bentoml.tasks ${serviceUrl}${api.route}`;
  const list = h("ul", { class: "tasks" });
  const element = h(
    "section",
    { class: "card", hidden: true, "aria-label": "Tasks" },
    h("div", { class: "card-head" }, h("h2", {}, "Tasks of this tab")),
    list,
  );
  const route = api.route.replace(/\/$/, "");
  let tasks = JSON.parse(sessionStorage.getItem(key) ?? "[]");
  let timer = null;

  const path = (action, id) => `${route}/${action}?task_id=${encodeURIComponent(id)}`;
  const save = () => sessionStorage.setItem(key, JSON.stringify(tasks.map(({ id }) => ({ id }))));
  const draw = () => {
    element.hidden = tasks.length === 0;
    fill(list, tasks.map(drawTask));
  };
  function drawTask(task) {
    const isOver = task.status && !UNDER_WAY.has(task.status);
    const short = task.id.slice(0, 8);
    const act = (text, onclick, usable) =>
      button(text, { class: "quiet", disabled: !usable, "aria-label": `${text} task ${short}`, onclick });
    return h(
      "li",
      {},
      h(
        "code",
        { title: task.id },
        short,
        copyButton(() => task.id, `Copy the id of task ${short}`),
      ),
      h("span", { class: `pill ${task.status ?? "unknown"}` }, NAMES[task.status] ?? task.status ?? "…"),
      h("span", { class: "space" }),
      act("Result", () => result(task), isOver && task.status !== "canceled"),
      act("Retry", () => retry(task), isOver),
      act("Cancel", () => cancel(task), task.status && !isOver),
    );
  }
  async function result(task) {
    const started = performance.now();
    await show(await ask(path("get", task.id)), started);
  }
  async function retry(task) {
    const response = await ask(path("retry", task.id), { method: "POST" });
    if (response.ok) add((await response.json()).task_id);
    else await show(response, performance.now());
  }
  async function cancel(task) {
    const response = await ask(path("cancel", task.id), { method: "PUT" });
    if (!response.ok) await show(response, performance.now());
    await poll();
  }
  async function refresh(task) {
    const response = await ask(path("status", task.id));
    if (response.status === 404) return null; // the server has forgotten it
    const { status } = await response.json();
    return { ...task, status };
  }
  async function poll() {
    clearTimeout(timer);
    const before = JSON.stringify(tasks);
    try {
      const found = await Promise.all(
        tasks.map((task) => (task.status && !UNDER_WAY.has(task.status) ? task : refresh(task))),
      );
      tasks = found.filter(Boolean);
    } catch {
      tell("The service cannot be reached");
    }
    save();
    if (JSON.stringify(tasks) !== before) draw();
    if (tasks.some((task) => !task.status || UNDER_WAY.has(task.status)))
      timer = setTimeout(poll, document.hidden ? 5000 : 1000);
  }
  function add(id) {
    tasks = [{ id, status: "in_progress" }, ...tasks].slice(0, MOST);
    save();
    draw();
    timer = setTimeout(poll, 300);
  }
  draw();
  return { element, add, poll };
}
