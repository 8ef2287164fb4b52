// What is wrong with a screen for the eyes: too wide, too small, too pale. Returns sentences.
() => {
  const faults = [];
  const root = document.documentElement;
  if (root.scrollWidth > window.innerWidth) faults.push(`page is ${root.scrollWidth} px wide`);
  for (const pane of document.querySelectorAll('.scroll, main, .message-list, .message-view'))
    if (pane.clientWidth && pane.scrollWidth > pane.clientWidth + 1)
      faults.push(`${pane.className || pane.tagName} ${pane.closest('section')?.ariaLabel ?? ''} is ${pane.scrollWidth} in ${pane.clientWidth} px`);
  const parse = (text) => {
    const parts = text.match(/[\d.]+/g).map(Number);
    return { r: parts[0], g: parts[1], b: parts[2], a: parts.length > 3 ? parts[3] : 1 };
  };
  const light = ({ r, g, b }) => {
    const [x, y, z] = [r, g, b].map((v) => { v /= 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; });
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const ground = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const colour = parse(getComputedStyle(e).backgroundColor);
      if (colour.a > 0.99) return colour;
    }
    return { r: 255, g: 255, b: 255, a: 1 };
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const seen = new Set();
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.textContent.trim() || !element || seen.has(element)) continue;
    seen.add(element);
    if (!element.getClientRects().length || element.closest('.hidden-label, dialog:not([open]), .label-face, option')) continue;
    const style = getComputedStyle(element);
    if (style.visibility === 'hidden') continue;
    const size = parseFloat(style.fontSize);
    const svg = element.closest('svg.chart');
    const shown = svg ? size * svg.getBoundingClientRect().width / svg.viewBox.baseVal.width : size;
    const what = `"${walker.currentNode.textContent.trim().slice(0, 30)}" <${element.tagName} ${element.className.baseVal ?? element.className}>`;
    if (shown < 11.99) faults.push(`${what} is ${shown.toFixed(1)} px`);
    const disabled = element.closest(':disabled');
    const front = parse(svg ? style.fill : style.color), back = ground(element);
    const [a, b] = [light(front), light(back)];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    const large = size >= 24 || (size >= 18.6 && Number(style.fontWeight) >= 600);
    if (!disabled && ratio < (large ? 3 : 4.5)) faults.push(`${what} has contrast ${ratio.toFixed(2)}`);
  }
  return [...new Set(faults)];
}
