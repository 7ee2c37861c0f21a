// The control with this label, or this name.
const want = arguments[0];
const flat = (text) => (text || "").replace(/\s+/g, " ").trim();
const shown = (e) => e && e.type !== "hidden" && e.getClientRects().length > 0;
const label = (e) => flat([...e.childNodes].filter((n) => n.nodeType === 3 || !n.matches?.("input, select, textarea, .hint, small"))
  .map((n) => n.textContent).join(" "));
const labels = [...document.querySelectorAll("label")].filter((l) => l.control);
const fits = (how) => labels.filter((l) => how(label(l))).map((l) => l.control);
return [...document.querySelectorAll("input, select, textarea")].filter((e) => e.name === want)
  .concat(fits((text) => text === want), [...document.querySelectorAll("[aria-label]")].filter((e) => flat(e.ariaLabel) === want),
    fits((text) => text.startsWith(want))).find(shown) || null;
