// Where the focus is, and whether a person sees that, once the page has been drawn again.
const done = arguments[arguments.length - 1];
requestAnimationFrame(() => requestAnimationFrame(() => done(look())));
function look() {
const e = document.activeElement;
if (!e || e === document.body || e === document.documentElement) return null;
const outlined = (one) => one.outlineStyle !== "none" && parseFloat(one.outlineWidth) > 0;
const style = getComputedStyle(e), box = e.getBoundingClientRect();
const all = [...document.querySelectorAll("*")];
const centre = document.elementFromPoint(Math.min(Math.max(box.left + box.width / 2, 0), innerWidth - 1),
  Math.min(Math.max(box.top + Math.min(box.height / 2, 12), 0), innerHeight - 1));
return {
  at: all.indexOf(e),
  name: `${e.localName}${e.id ? "#" + e.id : ""} ${(e.ariaLabel || e.innerText || e.name || e.value || "").trim().slice(0, 40)}`,
  ringed: outlined(style) || outlined(getComputedStyle(e, "::after")) || style.boxShadow !== "none",
  inView: box.bottom > 0 && box.right > 0 && box.top < innerHeight && box.left < innerWidth && box.width > 0 && box.height > 0,
  covered: !(centre && (centre === e || e.contains(centre) || centre.contains(e) || (e.labels && [...e.labels].some((l) => l.contains(centre) || centre.contains(l))))),
  href: e.getAttribute("href"),
  trapped: false,
};
}
