// Acceptance: one field, one scan a tube. A scan is on the screen at once and never lost while the server thinks.

import { closePanel } from "./keys";
import { rows, select } from "./lists";
import { all, one, part } from "./page";
import { inOrder, onScan } from "./scan";
import { sound } from "./sound";

const MOST_LINES = 60;

export function acceptance(): void {
  const form = one<HTMLFormElement>("#scan-form");
  const field = one<HTMLInputElement>("#scan-field");
  const list = one<HTMLElement>("#scans");
  if (!form || !field || !list) return;
  const send = inOrder(async ({ text, row }: { text: string; row: HTMLElement }) => {
    const body = new FormData(form);
    body.set("metin", text);
    show(text, row, await part("/kabul/okut", body));
  });
  let count = 0;

  function take(text: string): void {
    list!.querySelector(".nothing")?.remove();
    const row = document.createElement("tr");
    row.dataset["row"] = `scan-${Date.now()}-${++count}`;
    row.className = "pending";
    const cell = document.createElement("td");
    cell.colSpan = 6;
    cell.textContent = `${text} okundu…`;
    row.append(cell);
    list!.prepend(row);
    while (list!.children.length > MOST_LINES) list!.lastElementChild?.remove();
    send({ text, row });
  }

  function show(text: string, row: HTMLElement, answer: Awaited<ReturnType<typeof part>>): void {
    const fresh = document.createElement("template");
    fresh.innerHTML = answer?.html ?? "";
    const line = one<HTMLElement>("tr", fresh.content);
    if (line) {
      row.replaceWith(line);
      select(line, false);
    } else {
      row.className = "bad";
      row.dataset["outcome"] = "bad";
      row.firstElementChild!.textContent = `${text}: sunucuya ulaşılamadı, yeniden okutun.`;
    }
    const outcome = (line ?? row).dataset["outcome"];
    sound(outcome === "good" ? "good" : outcome === "warn" ? "warn" : "bad");
    const last = one("[data-part=last]", fresh.content);
    const place = one("#last");
    if (last && place) place.innerHTML = last.innerHTML;
    banner(line ?? row, outcome ?? "bad");
    tally();
  }

  function banner(line: HTMLElement, outcome: string): void {
    const place = one("#stop");
    if (!place) return;
    place.hidden = outcome === "good";
    place.className = `stop ${outcome}`;
    place.textContent = line.dataset["sentence"] ?? line.textContent ?? "";
  }

  function tally(): void {
    const bad = rows(list!).filter((row) => row.dataset["outcome"] === "bad").length;
    const good = rows(list!).filter((row) => row.dataset["outcome"] === "good").length;
    const place = one("#tally");
    if (place) place.textContent = `${good} tüp` + (bad ? `, ${bad} sorunlu` : "");
  }

  onScan((text) => {
    take(text);
    return true;
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const text = field.value.trim();
    field.value = "";
    if (text) take(text);
  });
  for (const action of all<HTMLFormElement>("form[data-tube-action]")) {
    action.addEventListener("submit", (event) => {
      event.preventDefault();
      const barcode = one<HTMLInputElement>("[name=barkod]", action)?.value ?? "";
      const row = document.createElement("tr");
      row.append(document.createElement("td"));
      list.prepend(row);
      void part(action.dataset["tubeAction"] ?? "", new FormData(action)).then((answer) => {
        show(barcode, row, answer);
        closePanel(action);
        field.focus();
      });
    });
  }
  list.addEventListener("row:select", (event) => {
    const row = event.target as HTMLElement;
    const barcode = row.dataset["barcode"];
    all<HTMLInputElement>("[data-tube-action] [name=barkod]").forEach((input) => (input.value = barcode ?? ""));
    all("[data-current-barcode]").forEach((name) => (name.textContent = barcode || "seçili tüp"));
    const place = one("#last");
    if (!barcode || !place || !list.contains(document.activeElement)) return;
    void part(`/kabul/tup?barkod=${encodeURIComponent(barcode)}`).then((loaded) => {
      if (loaded?.status === 200) place.innerHTML = loaded.html;
    });
  });
}
