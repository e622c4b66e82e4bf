// Pictures, sounds, films and documents, shown from what is in memory.
import { blobAddress, h } from "./dom.js";

/** An element that shows a picture, sound, film or document; null for anything else. */
export function showMedia(blob, name) {
  const src = blobAddress(blob);
  switch (blob.type.split("/")[0]) {
    case "image":
      return h("img", { src, alt: name });
    case "audio":
      return h("audio", { src, controls: true, "aria-label": name || "Sound" });
    case "video":
      return h("video", { src, controls: true, "aria-label": name || "Film" });
    default:
      return blob.type === "application/pdf" && name ? h("iframe", { src, title: name, class: "document" }) : null;
  }
}

/** A size as people read it. */
export function sizeOf(bytes) {
  if (bytes < 1000) return `${bytes} B`;
  const step = Math.min(Math.floor(Math.log10(bytes) / 3), 3);
  return `${(bytes / 1000 ** step).toPrecision(3)} ${["", "kB", "MB", "GB"][step]}`;
}
