"use strict";
// Saves round trips; every page works without it.
(() => {
  const on = (type, selector, act) =>
    document.addEventListener(type, (event) => {
      const found = event.target instanceof Element ? event.target.closest(selector) : null;
      if (found) act(found, event);
    });
  const cookie = (name, value) => {
    const secure = location.protocol === "https:" ? "; Secure" : "";
    document.cookie = `${name}=${encodeURIComponent(value)}; Path=/; SameSite=Lax; Max-Age=31536000${secure}`;
  };

  // The reader's time zone, for the next page.
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (zone && !document.cookie.includes(`tollgate_zone=${encodeURIComponent(zone)}`)) cookie("tollgate_zone", zone);

  // Copy: data-copy names an input or a block of code.
  on("click", "[data-copy]", async (button) => {
    const source = document.getElementById(button.dataset.copy);
    if (!source) return;
    // Of samples as tabs only the one that is seen.
    const seen = [...source.querySelectorAll("pre")].find((one) => one.offsetParent) || source;
    const text = "value" in source && source.matches("input, textarea") ? source.value : seen.textContent;
    const said = button.querySelector("[data-said]") || button;
    const before = said.textContent;
    try {
      await navigator.clipboard.writeText(text.trim());
      said.textContent = "Copied";
    } catch {
      if ("select" in source) source.select();
      said.textContent = "Press Ctrl+C";
    }
    setTimeout(() => { said.textContent = before; }, 2000);
  });

  // A key that is shown once: leaving asks, until it is said to be saved.
  if (document.querySelector("[data-shown-once]")) {
    const ask = (event) => event.preventDefault();
    addEventListener("beforeunload", ask);
    on("click", "[data-saved]", () => removeEventListener("beforeunload", ask));
    addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
  }

  // Theme without a reload.
  on("submit", "form[action='/theme']", (form, event) => {
    event.preventDefault();
    const button = form.querySelector("button");
    const body = new URLSearchParams(new FormData(form));
    body.set("theme", button.value);
    fetch("/theme", { method: "POST", body, redirect: "manual" });
    document.documentElement.dataset.theme = button.value;
    button.value = button.value === "dark" ? "light" : "dark";
    button.setAttribute("aria-label", `Switch to ${button.value} theme`);
  });

  // A form is sent once.
  on("submit", "form[method='post']", (form, event) => {
    if (event.defaultPrevented) return;
    if (form.dataset.sent) event.preventDefault();
    form.dataset.sent = "1";
    setTimeout(() => { delete form.dataset.sent; }, 5000);
  });

  // Filters apply as they are chosen.
  on("change", "form[data-live] select, form[data-live] input[type=date]", (field) => field.form.requestSubmit());

  // What is wrong in a form is read first.
  document.getElementById("faults")?.focus();

  // Folded parts are printed.
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("details:not([open])")];
    opened.forEach((one) => { one.open = true; });
  });
  addEventListener("afterprint", () => opened.forEach((one) => { one.open = false; }));

  // Keys: / and Ctrl+K search, [ and ] go to the neighbours, t tries, c copies, ? lists them.
  const go = (selector) => document.querySelector(selector)?.click();
  addEventListener("keydown", (event) => {
    const typing = event.target instanceof Element && event.target.closest("input, textarea, select, [contenteditable]");
    if ((event.ctrlKey || event.metaKey) && event.key === "k") {
      event.preventDefault();
      document.getElementById("q")?.focus();
      return;
    }
    if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "/") {
      event.preventDefault();
      document.getElementById("q")?.focus();
    } else if (event.key === "[") go("a[rel=prev]");
    else if (event.key === "]") go("a[rel=next]");
    else if (event.key === "t") go("[data-key=try]");
    else if (event.key === "c") go(".sample [data-copy]");
    else if (event.key === "?") document.getElementById("keys")?.showModal?.();
  });
})();
