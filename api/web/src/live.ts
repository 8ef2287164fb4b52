// Pages that live: notes of the server say that something changed and where; the screen asks for what it shows.

import { one } from "./page";

export interface Note {
  tur: string;
  istemler: string[];
  hepsi?: boolean;
}

const KINDS = ["order", "specimen", "result", "approval", "unmatched", "line", "notice", "yenile"];
const AFTER = 150; // ms: notes of a moment are answered together

let waiting: Note[] = [];
let timer = 0;
let greeted = false;

function say(state: "on" | "off", words: string): void {
  const lamp = one("[data-live]");
  if (!lamp) return;
  lamp.dataset["state"] = state;
  lamp.textContent = words;
}

function take(note: Note): void {
  waiting.push(note);
  window.clearTimeout(timer);
  timer = window.setTimeout(() => {
    const notes = waiting;
    waiting = [];
    document.dispatchEvent(new CustomEvent<Note[]>("numune:notes", { detail: notes }));
  }, AFTER);
}

export function listen(): void {
  if (!one("[data-live]") || !("EventSource" in window)) return;
  const stream = new EventSource("/olay");
  stream.addEventListener("hazir", () => {
    say("on", "canlı");
    if (greeted) take({ tur: "yenile", istemler: [], hepsi: true }); // something may have been missed in between
    greeted = true;
  });
  for (const kind of KINDS) {
    stream.addEventListener(kind, (event) => {
      try {
        take({ istemler: [], ...(JSON.parse((event as MessageEvent<string>).data) as object), tur: kind });
      } catch {
        take({ tur: "yenile", istemler: [], hepsi: true });
      }
    });
  }
  stream.addEventListener("error", () => say("off", stream.readyState === EventSource.CLOSED ? "bağlantı yok" : "bağlantı bekleniyor"));
  window.addEventListener("pagehide", () => stream.close());
}

/** True where one of the notes of these kinds is about this order, or says that anything may have changed. */
export function concerns(notes: Note[], kinds: string[], number?: string): boolean {
  return notes.some((note) => {
    if (note.tur === "yenile") return true;
    if (!kinds.includes(note.tur)) return false;
    return number === undefined || note.hepsi === true || note.istemler.includes(number);
  });
}

export function onNotes(answer: (notes: Note[]) => void): void {
  document.addEventListener("numune:notes", (event) => answer((event as CustomEvent<Note[]>).detail));
}
