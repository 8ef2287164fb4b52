// Browser side of Numune's screens. Pages come from the server; this adds hands, ears and a pulse.

import htmx from "htmx.org";
import { acceptance } from "./acceptance";
import { account } from "./account";
import { approval } from "./approval";
import { entry } from "./entry";
import { watchFaults } from "./faults";
import { openPanel, watchKeys } from "./keys";
import { concerns, listen, onNotes } from "./live";
import { merge, restore, watchLists } from "./lists";
import { loading } from "./loading";
import { all, formToken, isWriting, one, part } from "./page";
import { permissions } from "./permissions";
import { watchScanner } from "./scan";
import { sound } from "./sound";
import { switches, traffic } from "./traffic";
import { workshop } from "./workshop";

interface Configured {
  ctx: { request: { headers: Record<string, string> } };
}

/** Somebody has a panel open in this part, or writes there. */
function isInUse(place: HTMLElement): boolean {
  return all("[data-panel]:not([hidden])", place).length > 0 || (isWriting(document.activeElement) && place.contains(document.activeElement));
}

/** Parts of a page that name what they are about are asked for again when that changed. */
function watchParts(): void {
  onNotes((notes) => {
    for (const place of all("[data-refresh]")) {
      const kinds = (place.dataset["on"] ?? "").split(" ");
      if (!concerns(notes, kinds, place.dataset["order"])) continue;
      if (isInUse(place)) continue;
      void renew(place);
    }
  });
}

/** Parts whose news may be that nothing is heard any more (a gateway that went away) are asked for again by the clock. */
function watchClock(): void {
  let seconds = 0;
  window.setInterval(() => {
    seconds += 1;
    for (const place of all("[data-refresh][data-every]")) {
      if (document.hidden || seconds % Number(place.dataset["every"]) !== 0) continue;
      if (isInUse(place)) continue;
      void renew(place);
    }
  }, 1000);
}

async function renew(place: HTMLElement): Promise<void> {
  const loaded = await part(place.dataset["refresh"] ?? "", undefined, true);
  if (!loaded || loaded.status !== 200) return;
  if (place.matches("[data-list]")) {
    merge(place, loaded.html, true);
    return;
  }
  if (place.innerHTML === loaded.html) return;
  const inside = document.activeElement?.closest<HTMLElement>("[data-row]")?.dataset["row"];
  const held = inside !== undefined && place.contains(document.activeElement);
  place.innerHTML = loaded.html;
  htmx.process(place);
  restore(place);
  if (held) one(`[data-row="${CSS.escape(inside ?? "")}"]`, place)?.focus();
}

function watchTheme(): void {
  const root = document.documentElement;
  const chosen = /(?:^|; )numune_tema=(dark|light)/.exec(document.cookie)?.[1];
  if (!chosen && window.matchMedia("(prefers-color-scheme: dark)").matches) root.dataset["theme"] = "dark";
  document.addEventListener("click", (event) => {
    if (!(event.target instanceof Element) || !event.target.closest("[data-theme-switch]")) return;
    const theme = root.dataset["theme"] === "dark" ? "light" : "dark";
    root.dataset["theme"] = theme;
    document.cookie = `numune_tema=${theme}; path=/; max-age=31536000; samesite=lax`;
  });
}

/** Rows that open something beside them: the details of what is chosen. */
function watchDetails(): void {
  document.addEventListener("row:select", (event) => {
    const row = event.target as HTMLElement;
    const address = row.dataset["detail"];
    const place = one(row.closest<HTMLElement>("[data-list]")?.dataset["shows"] ?? "#detail");
    if (!address || !place) return;
    const busy = (): boolean => place.dataset["shown"] === address && isInUse(place); // what is being written stays
    if (busy()) return;
    place.dataset["wanted"] = address;
    window.setTimeout(() => {
      if (place.dataset["wanted"] !== address) return;
      void part(address).then((loaded) => {
        if (place.dataset["wanted"] !== address || busy()) return;
        place.innerHTML = loaded?.html ?? '<p class="said bad">Bağlantı yok; yeniden deneyin.</p>';
        place.dataset["shown"] = loaded ? address : "";
        htmx.process(place);
        restore(place);
      });
    }, 60);
  });
}

function start(): void {
  watchFaults();
  document.addEventListener("htmx:config:request", (event) => {
    (event as CustomEvent<Configured>).detail.ctx.request.headers["X-Form-Token"] = formToken();
  });
  document.addEventListener("htmx:after:swap", () => restore());
  document.addEventListener("numune:added", (event) => htmx.process((event as CustomEvent<HTMLElement>).detail));
  document.addEventListener("numune:sound", (event) => sound((event as CustomEvent<"good" | "bad" | "warn">).detail));
  document.addEventListener("click", (event) => {
    if (event.target instanceof Element && event.target.closest("[data-print]")) window.print();
  });
  watchTheme();
  watchScanner();
  watchKeys();
  approval();
  watchDetails();
  watchLists();
  acceptance();
  account();
  entry();
  loading();
  watchParts();
  watchClock();
  traffic();
  switches();
  workshop();
  permissions();
  listen();
  const wanted = document.body.dataset["opens"];
  if (wanted) openPanel(wanted);
  one<HTMLElement>("[data-list][data-main] [aria-selected=true]")?.focus({ preventScroll: true });
  one<HTMLElement>("[autofocus]")?.focus();
  document.documentElement.dataset["ready"] = "true";
}

start();
