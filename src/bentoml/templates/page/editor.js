// What is sent, as fields or as JSON text: whichever of the two a person edits.
import { button, h } from "./dom.js";
import { jsonOf, planOfJson } from "./form.js";

/** The fields, and the same as JSON text that can be edited. */
export function makeEditor(api, form) {
  const text = h("textarea", {
    class: "code whole",
    rows: 12,
    spellcheck: "false",
    "aria-label": "Body as JSON",
    "aria-describedby": "json-mistake",
  });
  const mistake = h("p", { class: "mistake", id: "json-mistake", role: "alert", hidden: true });
  const asText = h("div", { class: "fields", hidden: true }, text, mistake);
  const toggle = button("Edit as JSON", {
    class: "link",
    "aria-pressed": "false",
    onclick: () => (isJson() ? showForm() : showJson()),
  });
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
