// Two sounds: a short high one for "taken", a long low one that stops the hand.

let audio: AudioContext | null = null;

function tone(frequency: number, length: number, at: number, volume: number): void {
  if (!audio) return;
  const source = audio.createOscillator();
  const gain = audio.createGain();
  source.type = "square";
  source.frequency.value = frequency;
  gain.gain.setValueAtTime(volume, audio.currentTime + at);
  gain.gain.exponentialRampToValueAtTime(0.001, audio.currentTime + at + length);
  source.connect(gain).connect(audio.destination);
  source.start(audio.currentTime + at);
  source.stop(audio.currentTime + at + length);
}

export function sound(kind: "good" | "bad" | "warn"): void {
  document.body.dataset["sounded"] = kind;
  try {
    audio ??= new AudioContext();
    if (audio.state === "suspended") void audio.resume();
    if (kind === "good") tone(1560, 0.07, 0, 0.05);
    else if (kind === "warn") [0, 0.16].forEach((at) => tone(880, 0.12, at, 0.09));
    else [0, 0.28].forEach((at) => tone(196, 0.26, at, 0.16));
  } catch {
    audio = null; // a PC without sound: the sentence on the screen says it all
  }
}
