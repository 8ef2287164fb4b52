// Lists that arrows walk through. The row under the hand stays where it is, whatever arrives around it.

import { all, isWriting, one, openDialog } from "./page";

const remembered = new Map<string, string>();

export function rows(list: ParentNode): HTMLElement[] {
  return all("[data-row]", list).filter((row) => !row.hidden);
}

export function selected(list: ParentNode): HTMLElement | null {
  return one("[data-row][aria-selected=true]", list);
}

export function select(row: HTMLElement, focus = true): void {
  const list = row.closest<HTMLElement>("[data-list]");
  if (!list) return;
  const before = selected(list);
  if (before !== row) {
    before?.setAttribute("aria-selected", "false");
    before?.setAttribute("tabindex", "-1");
    row.setAttribute("aria-selected", "true");
    row.setAttribute("tabindex", "0");
    remembered.set(list.id, row.dataset["row"] ?? "");
  }
  if (focus) row.focus({ preventScroll: true });
  row.scrollIntoView({ block: "nearest" });
  if (before !== row) row.dispatchEvent(new CustomEvent("row:select", { bubbles: true }));
}

/** Moves to the next row that still waits (not done, not gone); true where there was one. */
export function selectNext(list: HTMLElement): boolean {
  const open = rows(list);
  const place = open.findIndex((row) => row.getAttribute("aria-selected") === "true");
  const after = [...open.slice(place + 1), ...open.slice(0, Math.max(place, 0))];
  const next = after.find((row) => !row.matches(".done, .gone"));
  if (next) select(next);
  return next !== undefined;
}

function current(): HTMLElement | null {
  const focused = document.activeElement?.closest<HTMLElement>("[data-list]");
  return focused ?? one("[data-list][data-main]") ?? one("[data-list]");
}

function step(list: HTMLElement, key: string): HTMLElement | undefined {
  const open = rows(list);
  const place = open.findIndex((row) => row.getAttribute("aria-selected") === "true");
  switch (key) {
    case "ArrowDown":
      return open[Math.min(place + 1, open.length - 1)];
    case "ArrowUp":
      return open[Math.max(place - 1, 0)];
    case "PageDown":
      return open[Math.min(place + 12, open.length - 1)];
    case "PageUp":
      return open[Math.max(place - 12, 0)];
    case "Home":
      return open[0];
    default:
      return open[open.length - 1];
  }
}

const MOVES = new Set(["ArrowDown", "ArrowUp", "PageDown", "PageUp", "Home", "End"]);

function walk(event: KeyboardEvent): void {
  if (event.defaultPrevented || event.altKey || event.ctrlKey || event.metaKey || openDialog()) return;
  if (isWriting(event.target) || event.target instanceof HTMLSelectElement) return;
  const list = current();
  if (!list) return;
  if (MOVES.has(event.key)) {
    const row = step(list, event.key);
    if (row) {
      event.preventDefault();
      select(row);
    }
  } else if (event.key === "ArrowRight" || event.key === "ArrowLeft") {
    aside(event, list, list.dataset[event.key === "ArrowRight" ? "right" : "left"]);
  } else if (event.key === "Enter" && document.activeElement?.matches("[data-row]")) {
    event.preventDefault();
    open(document.activeElement as HTMLElement);
  } else if (event.key === " " && document.activeElement?.matches("[data-row]")) {
    const box = one<HTMLInputElement>("input[type=checkbox]:not(:disabled)", document.activeElement);
    if (box) {
      event.preventDefault();
      box.checked = !box.checked;
      box.dispatchEvent(new Event("change", { bubbles: true }));
    }
  }
}

function aside(event: Event, list: HTMLElement, selector: string | undefined): void {
  const other = selector ? one(selector) : null;
  const row = other ? (selected(other) ?? rows(other)[0]) : undefined;
  if (row && other !== list) {
    event.preventDefault();
    select(row);
    row.focus();
  }
}

function open(row: HTMLElement): void {
  const untaken = row.dispatchEvent(new CustomEvent("row:open", { bubbles: true, cancelable: true }));
  if (!untaken) return;
  const address = row.dataset["href"];
  const list = row.closest<HTMLElement>("[data-list]");
  if (address) window.location.assign(address);
  else if (list?.dataset["right"]) aside(new Event("open"), list, list.dataset["right"]);
}

/** After a part of the page was replaced: the same row is chosen again, or the first one. */
export function restore(within: ParentNode = document): void {
  const lists = all("[data-list]", within);
  if (within instanceof HTMLElement && within.matches("[data-list]")) lists.push(within);
  for (const list of lists) {
    const open = rows(list);
    if (!open.length || selected(list)) continue;
    const key = remembered.get(list.id);
    const row = open.find((candidate) => candidate.dataset["row"] === key) ?? open.find((candidate) => "first" in candidate.dataset) ?? open[0];
    if (row) {
      row.setAttribute("aria-selected", "true");
      row.setAttribute("tabindex", "0");
      remembered.set(list.id, row.dataset["row"] ?? "");
      const still = "still" in list.dataset && row.dataset["row"] === key; // what it shows renews itself
      if (!still) row.dispatchEvent(new CustomEvent("row:select", { bubbles: true }));
    }
  }
}

/**
 * Takes over what the server now says about a list without moving the row under the hand: known rows are renewed in
 * place and keep their order, new ones come in where they belong, and the scroll follows the chosen row.
 * greys: what the server names no more has left the list; it stays where it is, grey, until the screen is opened anew.
 */
export function merge(list: HTMLElement, html: string, greys = false): void {
  const fresh = document.createElement("template");
  fresh.innerHTML = html;
  const anchor = selected(list) ?? rows(list)[0] ?? null;
  const scroller = list.closest<HTMLElement>(".scroll") ?? list;
  const before = anchor?.getBoundingClientRect().top ?? 0;
  const known = new Map(all("[data-row]", list).map((row) => [row.dataset["row"], row]));
  let previous: HTMLElement | null = null;
  for (const row of all("[data-row]", fresh.content)) {
    const old = known.get(row.dataset["row"]);
    if (old) {
      renew(old, row);
      known.delete(row.dataset["row"]);
      previous = old;
    } else {
      row.classList.add("new");
      if (previous) previous.after(row);
      else list.prepend(row);
      previous = row;
    }
  }
  if (greys) known.forEach((row) => row.classList.add("done"));
  const empty = list.querySelector(".nothing");
  if (all("[data-row]", list).length) empty?.remove();
  else if (!empty) list.innerHTML = html;
  if (anchor) scroller.scrollTop += anchor.getBoundingClientRect().top - before;
}

function renew(old: HTMLElement, row: HTMLElement): void {
  if (old.innerHTML !== row.innerHTML) old.innerHTML = row.innerHTML;
  const chosen = old.getAttribute("aria-selected");
  old.className = row.className;
  for (const { name, value } of Array.from(row.attributes)) if (name.startsWith("data-")) old.setAttribute(name, value);
  if (chosen) old.setAttribute("aria-selected", chosen);
}

export function watchLists(): void {
  document.addEventListener("keydown", walk);
  document.addEventListener("click", (event) => {
    if (!(event.target instanceof Element)) return;
    const row = event.target.closest<HTMLElement>("[data-row]");
    if (!row || event.target.closest("a, button, input, label, select")) return;
    select(row);
    if (row.dataset["href"]) open(row);
  });
  restore();
}
