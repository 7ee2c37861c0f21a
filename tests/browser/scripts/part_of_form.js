// A field of the form that fits the selector, or its button; what is folded around it is opened.
const [selector, part, value] = arguments;
const shown = (e) => e.type !== "hidden" && e.getClientRects().length > 0;
const forms = [...document.querySelectorAll(`main form${selector}`), ...document.querySelectorAll(`form${selector}`)];
for (const form of forms) {
  for (let e = form; e; e = e.parentElement) {
    if (e.localName === "details") e.open = true;
    if (e.popover && !e.matches(":popover-open")) e.showPopover();
  }
  const fields = [...form.elements].filter((e) => e.name === part && e.type !== "hidden");
  const found = part === "button"
    ? [...form.elements].filter((e) => e.type === "submit" && !e.ariaHidden).find(shown)
    : fields.find((e) => ["radio", "checkbox"].includes(e.type) && e.value === value)
      || fields.find((e) => e.type === "checkbox" || (e.type !== "radio" && shown(e)));
  if (found && !shown(found)) return [...(found.labels || [])].find(shown) || found;
  if (found) return found;
}
return null;
