// Who may do what: rows found as one types, scopes that fit the permission, the chosen row's own button by key.

import { all, folded, one } from "./page";
import { select } from "./lists";

/** Shows the rows whose words hold every word that was typed; rows of what was not given only where they are asked for. */
function filter(list: HTMLElement): void {
  const field = one<HTMLInputElement>(`[data-filter="#${list.id}"]`);
  const everything = one<HTMLInputElement>(`[data-shows-all="#${list.id}"]`)?.checked ?? true;
  const words = folded(field?.value ?? "").split(/\s+/).filter(Boolean);
  let found = 0;
  for (const row of all("[data-row]", list)) {
    const text = folded(row.dataset["find"] ?? "");
    const fits = words.every((word) => text.includes(word));
    row.hidden = !fits || ("none" in row.dataset && !everything && !words.length);
    if (!row.hidden) found += 1;
  }
  const nothing = one<HTMLElement>("[data-nothing-found]");
  if (nothing) nothing.hidden = found > 0;
}

function watchFilters(): void {
  document.addEventListener("input", (event) => {
    const field = event.target instanceof HTMLInputElement ? event.target : null;
    const list = one<HTMLElement>(field?.dataset["filter"] ?? field?.dataset["showsAll"] ?? "#none-at-all");
    if (list) filter(list);
  });
  document.addEventListener("keydown", (event) => {
    const field = event.target;
    if (!(field instanceof HTMLInputElement) || !field.dataset["filter"]) return;
    if (event.key !== "ArrowDown" && event.key !== "Enter") return;
    const first = all<HTMLElement>(`${field.dataset["filter"]} [data-row]`).find((row) => !row.hidden);
    if (!first) return;
    event.preventDefault();
    event.stopPropagation();
    select(first);
  });
}

/** A permission can be limited in some ways only: the others cannot be chosen. The server asks again. */
function fitScopes(permission: HTMLSelectElement): void {
  const scope = one<HTMLSelectElement>(permission.dataset["scoped"] ?? "#none-at-all");
  const kinds = (permission.selectedOptions[0]?.dataset["scopes"] ?? "").split(" ");
  if (!scope) return;
  for (const option of Array.from(scope.options)) {
    const fits = kinds.includes(option.value.split(":")[0] ?? "");
    option.disabled = option.hidden = !fits;
  }
  for (const group of all<HTMLOptGroupElement>("optgroup", scope)) group.hidden = all<HTMLOptionElement>("option", group).every((option) => option.disabled);
  if (scope.selectedOptions[0]?.disabled) scope.value = Array.from(scope.options).find((option) => !option.disabled)?.value ?? "";
}

export function permissions(): void {
  watchFilters();
  for (const permission of all<HTMLSelectElement>("select[data-scoped]")) {
    fitScopes(permission);
    permission.addEventListener("change", () => fitScopes(permission));
  }
  document.addEventListener("click", (event) => {
    const button = event.target instanceof Element ? event.target.closest<HTMLElement>("[data-press-selected]") : null;
    if (!button) return;
    const focused = document.activeElement?.closest<HTMLElement>("[data-row]");
    const row = focused ?? all<HTMLElement>("[data-row][aria-selected=true]").find((chosen) => one(button.dataset["pressSelected"] ?? "", chosen));
    if (row) one<HTMLElement>(button.dataset["pressSelected"] ?? "", row)?.click();
  });
}
