// Live bytes of a line: rows come ready from the server; here they are kept in order, paused, and kept few.

import { all, one } from "./page";

const MOST_ROWS = 800;
const NEAR = 40; // px from the end within which the view follows what comes

let paused = false;
let held: string[] = [];
let shown = 0;

function say(words: string): void {
  const place = one("[data-traffic-state]");
  if (place) place.textContent = words;
}

function told(): void {
  say(paused ? `duraklatıldı, ${held.length} satır bekliyor` : `canlı, ${shown} satır`);
}

function add(table: HTMLElement, rows: string[]): void {
  const scroller = table.closest<HTMLElement>("[data-scroller]");
  const follows = !scroller || scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < NEAR;
  table.insertAdjacentHTML("beforeend", rows.join(""));
  const surplus = table.children.length - MOST_ROWS;
  for (let n = 0; n < surplus; n++) table.firstElementChild?.remove();
  shown += rows.length;
  const empty = one("[data-traffic-empty]");
  if (empty) empty.hidden = table.children.length > 0;
  if (follows && scroller) scroller.scrollTop = scroller.scrollHeight;
}

export function traffic(): void {
  const table = one("[data-traffic]");
  const address = table?.dataset["traffic"];
  if (!table || !address || !("EventSource" in window)) return;
  const stream = new EventSource(address);
  let begun = false;
  stream.addEventListener("hazir", () => {
    if (begun) table.textContent = ""; // the server begins again with the last minutes
    begun = true;
    told();
  });
  stream.addEventListener("bayt", (event) => {
    const row = JSON.parse((event as MessageEvent<string>).data) as string;
    if (paused) held = [...held, row].slice(-MOST_ROWS);
    else add(table, [row]);
    told();
  });
  stream.addEventListener("error", () => say("bağlantı bekleniyor"));
  window.addEventListener("pagehide", () => stream.close());
  document.addEventListener("click", (event) => {
    if (!(event.target instanceof Element)) return;
    if (event.target.closest("[data-traffic-pause]")) {
      paused = !paused;
      if (!paused) add(table, held.splice(0));
      all("[data-traffic-pause]").forEach((button) => button.setAttribute("aria-pressed", String(paused)));
      told();
    } else if (event.target.closest("[data-traffic-clear]")) {
      table.textContent = "";
      held = [];
      told();
    }
  });
}

let toldOf = "";

/** What a trial of a line has just seen comes into view; nothing moves while it has nothing new to say. */
function followTrial(): void {
  const trial = all("[data-trial]").pop();
  const said = trial ? `${trial.dataset["trial"] ?? ""} ${trial.querySelectorAll("li").length}` : "";
  if (said !== toldOf) trial?.scrollIntoView({ block: "nearest" });
  toldOf = said;
}

/** Fields of a form that only one kind of line has; and trials of lines. */
export function switches(): void {
  document.addEventListener("htmx:after:swap", followTrial);
  document.addEventListener("change", (event) => {
    if (!(event.target instanceof HTMLSelectElement) || event.target.dataset["switch"] !== "line") return;
    const kind = event.target.value;
    const form = event.target.closest("form") ?? document;
    for (const part of all("[data-only]", form)) part.hidden = !(part.dataset["only"] ?? "").split(" ").includes(kind);
  });
}
