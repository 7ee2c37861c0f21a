// What is wider than the window, and what is cut off.
const wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
const name = (e) => `${e.localName}${e.id ? "#" + e.id : ""}${e.classList.length ? "." + [...e.classList].join(".") : ""}`;
const scrolls = (e) => { for (let p = e; p && p !== document.body; p = p.parentElement) if (["auto", "scroll"].includes(getComputedStyle(p).overflowX)) return true; return false; };
const faults = [];
if (wide > 0) {
  faults.push(`the page is ${wide} px too wide: ` + [...document.querySelectorAll("body *")]
    .filter((e) => e.getBoundingClientRect().right > innerWidth + 0.5 && !scrolls(e.parentElement)).slice(0, 5).map(name).join(", "));
}
for (const e of document.querySelectorAll("main *")) {
  const style = getComputedStyle(e);
  const cuts = style.overflowX === "hidden" || style.overflowX === "clip";
  const hidden = e.closest(".visually-hidden, svg, [hidden]") || e.clientWidth <= 1;
  if (cuts && !hidden && e.scrollWidth > e.clientWidth + 1 && e.innerText?.trim()) faults.push(`cut off: ${name(e)} "${e.innerText.trim().slice(0, 40)}"`);
}
return faults;
