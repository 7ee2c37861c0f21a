// What can be pressed and has this name: the whole name before its beginning, and main before what surrounds it.
const want = arguments[0];
const flat = (text) => (text || "").replace(/\s+/g, " ").trim();
const shown = (e) => e.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true }) && e.getClientRects().length > 0;
const name = (e) => flat(e.ariaLabel || (e.matches("input") ? e.value : e.innerText));
const all = [...document.querySelectorAll("main :is(a[href], button, summary, [role=button], input[type=submit], label)"),
  ...document.querySelectorAll("a[href], button, summary, [role=button], input[type=submit]")].filter(shown);
return all.find((e) => name(e) === want) || all.find((e) => name(e).startsWith(want)) || null;
