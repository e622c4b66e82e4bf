// What this tab knows: where the service is, the token to send, the theme, and how it is asked.

const { root, auth } = document.documentElement.dataset;

/** The address of the service, without a slash at its end; paths of `schema.json` come after it. */
export const serviceUrl = new URL(root, location.href.replace(/[?#].*/, "")).href.replace(/\/$/, "");

/** The header that carries the token; empty where the service asks for none. */
export const authHeader = auth;

const TOKEN = `bentoml.token ${serviceUrl}`;

export function token() {
  return sessionStorage.getItem(TOKEN) ?? "";
}

/** Keep the token until the tab is closed. */
export function setToken(value) {
  if (value) sessionStorage.setItem(TOKEN, value);
  else sessionStorage.removeItem(TOKEN);
}

/** The headers that say who asks. */
export function authHeaders() {
  if (!token()) return {};
  const name = authHeader || "authorization";
  return { [name]: name.toLowerCase() === "authorization" ? `Bearer ${token()}` : token() };
}

/** Fetch a path of the service. */
export function ask(path, options = {}) {
  return fetch(serviceUrl + path, { ...options, headers: { ...options.headers, ...authHeaders() } });
}

/** Fetch a description that lies beside the page. */
export async function describe(name) {
  const response = await fetch(name, { headers: authHeaders() });
  if (!response.ok) throw Object.assign(new Error(`${name}: ${response.status}`), { status: response.status });
  return response.json();
}

const THEMES = ["auto", "light", "dark"];

export function theme() {
  return document.documentElement.dataset.theme ?? "auto";
}

/** Go on to the next theme, and remember it. */
export function nextTheme() {
  const next = THEMES[(THEMES.indexOf(theme()) + 1) % THEMES.length];
  if (next === "auto") {
    delete document.documentElement.dataset.theme;
    localStorage.removeItem("bentoml.theme");
  } else {
    document.documentElement.dataset.theme = next;
    localStorage.setItem("bentoml.theme", next);
  }
  return next;
}
