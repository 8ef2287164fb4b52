// Order entry by keyboard: TC, tests by code or name, number, done. Warnings stand beside the test at once.

import { all, folded, one, part } from "./page";
import { onScan } from "./scan";

const MOST_FOUND = 8;

interface Offer {
  box: HTMLInputElement;
  code: string;
  find: string;
}

export function entry(): void {
  const form = one<HTMLFormElement>("#order-form");
  if (!form) return;
  const offers: Offer[] = all<HTMLInputElement>("input[name=tetkik]", form).map((box) => ({
    box,
    code: folded(box.value),
    find: box.dataset["find"] ?? "",
  }));
  const byCode = new Map(offers.map((offer) => [offer.box.value, offer]));
  watchFind(form, offers);
  watchPatient(form);
  watchNumber(form);
  saveOnce(form);
  form.addEventListener("change", (event) => {
    if (event.target instanceof HTMLInputElement && event.target.name === "tetkik") showChosen(form, offers, byCode);
  });
  one("#chosen")?.addEventListener("click", (event) => {
    const button = event.target instanceof Element ? event.target.closest<HTMLElement>("[data-drop]") : null;
    const offer = button ? byCode.get(button.dataset["drop"] ?? "") : undefined;
    if (!offer) return;
    offer.box.checked = false;
    showChosen(form, offers, byCode);
    one("#find-test")?.focus();
  });
  onScan((text) => {
    const isTc = /^\d{11}$/.test(text);
    const field = one<HTMLInputElement>(isTc ? "#tc" : "#number", form);
    if (!field) return false;
    field.value = text;
    field.dispatchEvent(new Event("input", { bubbles: true }));
    field.dispatchEvent(new Event("change", { bubbles: true }));
    one("#find-test")?.focus();
    return true;
  });
  showChosen(form, offers, byCode);
}

/** One form is one order: a second Ctrl+Enter, early or late, must never order the same tests again. */
function saveOnce(form: HTMLFormElement): void {
  let asked = false;
  form.addEventListener(
    "submit",
    (event) => {
      if (asked) {
        event.preventDefault();
        event.stopImmediatePropagation();
      }
      asked = true;
    },
    true,
  );
  document.addEventListener("htmx:finally:request", (event) => {
    if (event.target !== form) return;
    asked = one(".placed", form) !== null; // refused: what was missing is added and sent again
    const save = one<HTMLButtonElement>("button[type=submit]", form);
    if (save) save.disabled = asked;
  });
}

function matches(offers: Offer[], text: string): Offer[] {
  const wanted = folded(text.trim());
  if (!wanted) return [];
  const words = wanted.split(/\s+/);
  const rank = (offer: Offer): number => {
    if (offer.code === wanted) return 0;
    if (offer.code.startsWith(wanted)) return 1;
    if (offer.find.split(" ").some((word) => word.startsWith(wanted))) return 2;
    return words.every((word) => offer.find.includes(word)) ? 3 : 9;
  };
  return offers
    .map((offer, place) => ({ offer, rank: rank(offer), place }))
    .filter((found) => found.rank < 9)
    .sort((a, b) => a.rank - b.rank || a.offer.code.length - b.offer.code.length || a.place - b.place)
    .slice(0, MOST_FOUND)
    .map((found) => found.offer);
}

function watchFind(form: HTMLFormElement, offers: Offer[]): void {
  const field = one<HTMLInputElement>("#find-test", form);
  const box = one<HTMLElement>("#found", form);
  if (!field || !box) return;
  let found: Offer[] = [];
  let place = 0;

  function show(): void {
    box!.textContent = "";
    box!.hidden = !field!.value.trim();
    field!.setAttribute("aria-expanded", String(!box!.hidden));
    found.forEach((offer, index) => {
      const line = document.createElement("li");
      line.setAttribute("role", "option");
      line.id = `found-${index}`;
      line.setAttribute("aria-selected", String(index === place));
      if (index === place) field!.setAttribute("aria-activedescendant", line.id);
      const code = document.createElement("b");
      code.textContent = offer.box.value;
      const name = document.createElement("span");
      name.textContent = offer.box.dataset["name"] ?? "";
      const tube = document.createElement("small");
      tube.textContent = offer.box.disabled ? (offer.box.dataset["passive"] ?? "") : (offer.box.checked ? "✓ seçili · " : "") + (offer.box.dataset["caption"] ?? "");
      line.append(code, name, tube);
      line.addEventListener("mousedown", (event) => {
        event.preventDefault();
        pick(offer);
      });
      box!.append(line);
    });
    if (!box!.hidden && !found.length) {
      const line = document.createElement("li");
      line.className = "soft";
      line.textContent = "Bu adla ya da kodla tetkik yok.";
      box!.append(line);
    }
  }

  function pick(offer: Offer | undefined): void {
    if (!offer || offer.box.disabled) return;
    offer.box.checked = true;
    offer.box.dispatchEvent(new Event("change", { bubbles: true }));
    field!.value = "";
    found = [];
    place = 0;
    show();
  }

  field.addEventListener("input", () => {
    found = matches(offers, field.value);
    place = 0;
    show();
  });
  field.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey) return;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (found.length) place = (place + (event.key === "ArrowDown" ? 1 : found.length - 1)) % found.length;
      show();
    } else if (event.key === "Enter") {
      event.preventDefault();
      if (field.value.trim()) pick(found[place]);
      else one("input[name=aciliyet]:checked", form)?.focus();
    } else if (event.key === "Backspace" && !field.value) {
      const last = all("#chosen [data-drop]").pop();
      last?.click();
    } else if (event.key === "Escape" && field.value) {
      event.stopPropagation();
      field.value = "";
      found = [];
      show();
    }
  });
  field.addEventListener("blur", () => (box.hidden = true));
}

/** What is chosen, by tube, each with what has to be known about it. */
function showChosen(form: HTMLFormElement, offers: Offer[], byCode: Map<string, Offer>): void {
  const place = one<HTMLElement>("#chosen", form);
  if (!place) return;
  const chosen = offers.filter((offer) => offer.box.checked);
  const inPanel = new Map<string, string>();
  for (const offer of chosen) {
    for (const code of (offer.box.dataset["members"] ?? "").split(",")) if (code) inPanel.set(code, offer.box.value);
  }
  for (const offer of offers) {
    offer.box.closest("label")?.classList.toggle("in-panel", inPanel.has(offer.box.value));
  }
  const tubes = new Map<string, Offer[]>();
  for (const offer of chosen) {
    const tube = offer.box.dataset["caption"] ?? "";
    tubes.set(tube, [...(tubes.get(tube) ?? []), offer]);
  }
  place.textContent = "";
  tubes.forEach((of, caption) => {
    const head = document.createElement("li");
    head.className = "chosen-tube";
    const name = document.createElement("span");
    name.className = `tube ${of[0]?.box.dataset["cap"] ?? ""}`;
    name.textContent = caption;
    head.append(name);
    place.append(head);
    for (const offer of of) place.append(chosenLine(form, offer, inPanel));
  });
  const members = chosen.reduce((sum, offer) => sum + ((offer.box.dataset["members"] ?? "").split(",").filter(Boolean).length || 1), 0);
  const tally = one("#chosen-tally", form);
  if (tally) tally.textContent = chosen.length ? `${members} tetkik, ${tubes.size} tüp` : "henüz tetkik seçilmedi";
  all<HTMLElement>("[data-tube-head]", form).forEach((head) => {
    const n = chosen.filter((offer) => offer.box.dataset["tube"] === head.dataset["tubeHead"]).length;
    const badge = one(".n", head);
    if (badge) badge.textContent = n ? String(n) : "";
  });
  void byCode;
}

function chosenLine(form: HTMLFormElement, offer: Offer, inPanel: Map<string, string>): HTMLElement {
  const line = document.createElement("li");
  const code = document.createElement("b");
  code.textContent = offer.box.value;
  const told = document.createElement("span");
  told.className = "told";
  const panel = inPanel.get(offer.box.value);
  const past = one(`[data-past="${CSS.escape(offer.box.value)}"]`, form)?.textContent;
  told.textContent = panel ? `${panel} içinde de var` : past ? `önceki ${past}` : (offer.box.dataset["name"] ?? "");
  if (panel || (past && /bugün|aynı gün/.test(past))) told.classList.add("warns");
  const drop = document.createElement("button");
  drop.type = "button";
  drop.className = "plain";
  drop.dataset["drop"] = offer.box.value;
  drop.setAttribute("aria-label", `${offer.box.value} tetkikini çıkar`);
  drop.textContent = "×";
  line.append(code, told, drop);
  return line;
}

/** A TC number fills in whom it belongs to, as soon as its eleventh digit is there. */
function watchPatient(form: HTMLFormElement): void {
  const field = one<HTMLInputElement>("#tc", form);
  const place = one<HTMLElement>("#patient", form);
  if (!field || !place) return;
  let asked = "";
  field.addEventListener("input", () => {
    const tc = field.value.replace(/\s/g, "");
    if (tc.length !== 11 || tc === asked) {
      if (tc.length !== 11) asked = "";
      return;
    }
    asked = tc;
    void part(`/istem/hasta?tc=${encodeURIComponent(tc)}`).then((loaded) => {
      if (asked !== tc) return;
      place.innerHTML = loaded?.html ?? '<p class="said bad">Bağlantı yok; hasta bilgisi alınamadı.</p>';
      form.dispatchEvent(new Event("change"));
      const empty = all<HTMLInputElement>("input:not([type=hidden]):not([readonly])", place).find((input) => !input.value && input.type !== "radio");
      if (document.activeElement === field) (empty ?? one("#find-test", form))?.focus();
    });
  });
}

/** A pre-printed number: a label of its set means the same number, and whose it is stands beside it. */
function watchNumber(form: HTMLFormElement): void {
  const field = one<HTMLInputElement>("#number", form);
  const place = one<HTMLElement>("#number-owner", form);
  if (!field || !place) return;
  field.addEventListener("change", () => {
    const text = field.value.trim();
    if (!text) {
      place.textContent = "";
      return;
    }
    void part(`/istem/numara?metin=${encodeURIComponent(text)}`).then((loaded) => {
      place.innerHTML = loaded?.html ?? "";
      const number = one<HTMLElement>("[data-number]", place)?.dataset["number"];
      if (number && field.value.trim() === text) field.value = number;
    });
  });
}
