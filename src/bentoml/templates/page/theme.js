// Loaded before the first paint: the theme that the person chose here last, if any.
const chosen = localStorage.getItem("bentoml.theme");
if (chosen) document.documentElement.dataset.theme = chosen;
