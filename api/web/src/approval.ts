// Technical and clinical approval: the list on the left, the whole picture on the right, everything by keys.

import htmx from "htmx.org";
import { openPanel } from "./keys";
import { concerns, onNotes } from "./live";
import { merge, restore, rows, select, selected, selectNext } from "./lists";
import { all, isWriting, one, part } from "./page";
import { onScan } from "./scan";

const PAUSE = 90; // ms that the hand must rest on a line before its picture is asked for

export function approval(): void {
  const page = one<HTMLElement>("main[data-approval]");
  const list = one<HTMLElement>("#waiting");
  const picture = one<HTMLElement>("#picture");
  if (!page || !list || !picture) return;
  const base = page.dataset["approval"] ?? "";
  let asked = 0;
  let timer = 0;
  let busy = false;

  let wanted = ""; // the order under the hand; a note about the one before must never bring that one back
  let loading = false;

  async function load(number: string, keep = false): Promise<void> {
    const mine = ++asked;
    wanted = number;
    loading = true;
    const loaded = await part(`${base}/${encodeURIComponent(number)}`);
    if (mine !== asked) return; // the hand has moved on
    loading = false;
    if (keep && busy) return; // the answer to what the hand has just done is newer than this
    const checked = keep ? all<HTMLInputElement>("#rows input:checked", picture!).map((box) => box.value) : [];
    const inside = picture!.contains(document.activeElement);
    const told = keep ? (one("#said", picture!)?.innerHTML ?? "") : ""; // what our own action came to outlives its note
    picture!.innerHTML = loaded?.html ?? '<p class="said bad">Bağlantı yok; yeniden deneyin.</p>';
    htmx.process(picture!);
    const said = one("#said", picture!);
    if (told && said) said.innerHTML = told;
    for (const value of checked) {
      const box = one<HTMLInputElement>(`#rows input[value="${CSS.escape(value)}"]`, picture!);
      if (box) box.checked = true;
    }
    restore(picture!);
    if (inside) one("#rows [aria-selected=true]", picture!)?.focus();
    count();
  }

  async function refresh(known = true): Promise<void> {
    const address = new URL(`${base}/liste`, window.location.href);
    new URLSearchParams(window.location.search).forEach((value, key) => address.searchParams.set(key, value));
    if (known) address.searchParams.set("bilinen", rows(list!).map((row) => row.dataset["row"]).join(","));
    const loaded = await part(address.pathname + address.search);
    if (!loaded || loaded.status !== 200) return;
    const fresh = document.createElement("template");
    fresh.innerHTML = loaded.html;
    for (const name of ["chips", "tally"]) {
      const from = one(`[data-part=${name}]`, fresh.content);
      const to = one(`[data-part=${name}]`);
      if (from && to && from.innerHTML !== to.innerHTML) to.innerHTML = from.innerHTML;
    }
    const lines = one("[data-part=rows]", fresh.content)?.innerHTML ?? "";
    if (known) merge(list!, lines);
    else {
      list!.innerHTML = lines;
      restore(list!);
    }
  }

  /** After a decision: what it asks for opens; else on to the next row that waits, or to the next order. */
  async function acted(root: HTMLElement): Promise<void> {
    const left = Number(root.dataset["acted"]);
    root.removeAttribute("data-acted");
    const lines = one<HTMLElement>("#rows", picture!);
    const row = lines ? selected(lines) : null;
    if (lines && row?.matches(".done") && left > 0) selectNext(lines);
    else row?.focus();
    const opens = root.dataset["opens"];
    if (opens) openPanel(opens);
    await refresh();
    if (left === 0 && !opens && selectNext(list!)) {
      window.clearTimeout(timer); // no need to wait for the hand to rest: the machine moved it
      void load(wanted);
    }
  }

  function count(): void {
    const chosen = all<HTMLInputElement>("#rows input:checked", picture!).length;
    const label = one("[data-chosen]", picture!);
    if (label) label.textContent = chosen ? `seçili ${chosen}` : "";
  }

  list.addEventListener("row:select", (event) => {
    const number = (event.target as HTMLElement).dataset["row"] ?? "";
    wanted = number;
    window.clearTimeout(timer);
    timer = window.setTimeout(() => void load(number), PAUSE);
  });
  picture.addEventListener("row:select", (event) => point(event.target as HTMLElement, picture));
  picture.addEventListener("change", count);
  document.addEventListener("htmx:before:request", (event) => {
    busy = true;
    const said = one("#said", picture); // an answer within the blink of an eye, whatever the server takes
    if (said && (event.target as HTMLElement).hasAttribute("hx-post")) said.innerHTML = '<p class="said">Yapılıyor…</p>';
  });
  document.addEventListener("htmx:finally:request", () => (busy = false));
  document.addEventListener("htmx:after:swap", () => {
    restore(picture);
    count();
    const root = one<HTMLElement>("[data-acted]", picture);
    if (root) void acted(root);
    const shown = one<HTMLElement>("[data-number]", picture)?.dataset["number"];
    if (shown && wanted && shown !== wanted) void load(wanted); // the answer came after the hand had moved on
  });

  watchSearch(list, refresh);
  onScan((text) => {
    void find(base, text).then((number) => {
      if (!number) return;
      const row = rows(list).find((line) => line.dataset["row"] === number);
      if (row) select(row);
      else void load(number);
    });
    return true;
  });
  onNotes((notes) => {
    if (concerns(notes, ["result", "approval", "specimen", "order"])) void refresh();
    const number = wanted;
    const shown = one<HTMLElement>("[data-number]", picture)?.dataset["number"];
    if (!number || number !== shown || loading || busy || !concerns(notes, ["result", "approval", "specimen", "order"], number)) return;
    const writing = all("[data-panel]:not([hidden])", picture).length > 0 || isWriting(document.activeElement);
    const hint = one("[data-changed]", picture);
    if (!writing) void load(number, true);
    else if (hint) hint.hidden = false;
  });
  const first = selected(list);
  if (first) void load(first.dataset["row"] ?? "");
}

/** The row under the hand: its reason is shown below, and commands without a selection mean it. */
function point(row: HTMLElement, picture: HTMLElement): void {
  const id = row.dataset["row"] ?? "";
  const current = one<HTMLInputElement>("input[name=simdiki]", picture);
  if (current) current.value = row.dataset["result"] ?? "";
  const test = one<HTMLInputElement>("input[name=tetkik]", picture);
  if (test) test.value = id;
  all("[data-why]", picture).forEach((block) => (block.hidden = block.dataset["why"] !== id));
  all("[data-about]", picture).forEach((name) => (name.textContent = row.dataset["code"] ?? ""));
}

function watchSearch(list: HTMLElement, refresh: (known?: boolean) => Promise<void>): void {
  const field = one<HTMLInputElement>("input[data-search]");
  if (!field) return;
  let timer = 0;
  field.addEventListener("input", () => {
    window.clearTimeout(timer);
    timer = window.setTimeout(() => {
      const here = new URL(window.location.href);
      if (field.value.trim()) here.searchParams.set("ara", field.value.trim());
      else here.searchParams.delete("ara");
      window.history.replaceState(null, "", here);
      void refresh(false);
    }, 180);
  });
  field.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" && event.key !== "ArrowDown") return;
    event.preventDefault();
    const row = selected(list) ?? rows(list)[0];
    if (row) select(row);
    row?.focus();
  });
}

async function find(base: string, text: string): Promise<string> {
  const found = await part(`${base}/okut?metin=${encodeURIComponent(text)}`);
  const said = one("#said");
  if (found?.status === 200) {
    if (said) said.innerHTML = "";
    return found.html;
  }
  if (said) said.innerHTML = found?.html ?? '<p class="said bad">Bağlantı yok; yeniden okutun.</p>';
  return "";
}

