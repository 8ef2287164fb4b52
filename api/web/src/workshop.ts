// The definition workshop: arrows go from field to field, a letter says what the pointed place is, Enter points.

import { all, isWriting, one } from "./page";

function near(from: HTMLElement, parts: HTMLElement[], direction: number): HTMLElement | undefined {
  const here = from.getBoundingClientRect();
  const rows = parts.filter((part) => direction * (part.getBoundingClientRect().top - here.top) > here.height / 2);
  const line = Math.min(...rows.map((part) => direction * part.getBoundingClientRect().top));
  const row = rows.filter((part) => Math.abs(direction * part.getBoundingClientRect().top - line) < here.height / 2);
  return row.sort((a, b) => Math.abs(a.getBoundingClientRect().left - here.left) - Math.abs(b.getBoundingClientRect().left - here.left))[0];
}

function step(event: KeyboardEvent): void {
  const from = document.activeElement;
  if (!(from instanceof HTMLElement) || !from.matches("[data-place]") || event.ctrlKey || event.altKey) return;
  const parts = all("[data-place]");
  const at = parts.indexOf(from);
  const to =
    event.key === "ArrowRight" ? parts[at + 1]
    : event.key === "ArrowLeft" ? parts[at - 1]
    : event.key === "ArrowDown" ? near(from, parts, 1)
    : event.key === "ArrowUp" ? near(from, parts, -1)
    : undefined;
  if (!to) return;
  event.preventDefault();
  to.focus();
  to.scrollIntoView({ block: "nearest", inline: "nearest" });
}

/** After each step the hand is where it was: on the place that was pointed at. */
function backToPlace(): void {
  const shop = one("#workshop");
  if (!shop || isWriting(document.activeElement)) return;
  const wanted = shop.dataset["last"];
  if (wanted) one(`[data-place="${CSS.escape(wanted)}"]`, shop)?.focus({ preventScroll: true });
}

export function workshop(): void {
  const shop = one("#workshop");
  if (!shop) return;
  document.addEventListener("keydown", step);
  document.addEventListener("click", (event) => {
    const place = event.target instanceof Element ? event.target.closest<HTMLElement>("[data-place]") : null;
    if (place) shop.dataset["last"] = place.dataset["place"] ?? "";
  });
  document.addEventListener("htmx:after:swap", backToPlace);
  document.addEventListener("change", (event) => {
    const input = event.target;
    if (input instanceof HTMLInputElement && input.type === "file" && input.closest("#workshop")) one<HTMLButtonElement>("[data-load-capture]")?.click();
  });
}
