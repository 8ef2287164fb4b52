// A barcode reader is a very fast typist that ends with Enter. Its burst is recognised wherever the focus is, taken out
// of the field it fell into, and given to the screen as one event.

import { isWriting, one } from "./page";

const LONGEST_GAP = 90; // ms between two characters of a (wireless) reader
const MEAN_GAP = 45; // ms; people need more over four digits and an Enter, even when they roll their fingers
const SHORTEST = 4;

let text = "";
let first = 0;
let last = 0;
let place: Element | null = null;
let field: { element: HTMLInputElement | HTMLTextAreaElement; value: string } | null = null;

export interface Scan {
  text: string;
}

/** True while characters arrive too fast for a person: single-letter commands wait for the end of it. */
export function isBurst(): boolean {
  return text.length > 2;
}

/** Password managers and keys type as fast as readers: what they type is no barcode, and never goes into an address. */
function isSecret(element: Element | null): boolean {
  return element instanceof HTMLInputElement && (element.type === "password" || element.autocomplete === "one-time-code");
}

function begin(at: number): void {
  text = "";
  first = at;
  place = document.activeElement;
  field = isWriting(place) ? { element: place, value: place.value } : null;
}

function finish(event: KeyboardEvent): void {
  const quick = event.timeStamp - last <= LONGEST_GAP && last - first <= MEAN_GAP * (text.length - 1);
  if (text.length >= SHORTEST && quick && /^[\x21-\x7e]+$/.test(text) && /\d/.test(text)) {
    event.preventDefault();
    event.stopImmediatePropagation();
    if (field) {
      field.element.value = field.value;
      field.element.dispatchEvent(new Event("input", { bubbles: true }));
    }
    announce(text);
  }
  text = "";
}

/** Gives a scanned text to the screen; where no screen wants it, its order opens. */
export function announce(scanned: string): void {
  const taken = !document.dispatchEvent(new CustomEvent<Scan>("numune:scan", { detail: { text: scanned }, cancelable: true }));
  if (!taken && one("body.framed")) window.location.assign(`/okut?metin=${encodeURIComponent(scanned)}`);
}

export function watchScanner(): void {
  document.addEventListener(
    "keydown",
    (event) => {
      if (event.ctrlKey || event.altKey || event.metaKey || event.repeat || isSecret(document.activeElement)) {
        text = "";
        return;
      }
      if (event.key === "Enter" || event.key === "Tab") {
        finish(event);
        return;
      }
      if (event.key.length !== 1) {
        if (event.key !== "Shift") text = "";
        return;
      }
      // Another field in between: the key before was a command of a person ("/"), not part of the scan.
      if (!text || event.timeStamp - last > LONGEST_GAP || document.activeElement !== place) begin(event.timeStamp);
      text += event.key;
      last = event.timeStamp;
    },
    true,
  );
}

export function onScan(take: (scanned: string) => boolean): void {
  document.addEventListener("numune:scan", (event) => {
    if (take((event as CustomEvent<Scan>).detail.text)) event.preventDefault();
  });
}

/** One after the other, however fast they come; one that fails is told and does not hold up the next. */
export function inOrder<T>(handle: (item: T) => Promise<void>): (item: T) => void {
  let before: Promise<void> = Promise.resolve();
  return (item) => {
    before = before.then(() => handle(item)).catch(reportError);
  };
}
