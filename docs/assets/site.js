// Small helps on every page; nothing here asks another host.
(() => {
  // The copy buttons give the exact bytes, the last line end included, which the theme would trim away.
  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("[data-clipboard-target]");
    if (!button) return;
    const code = document.querySelector(button.getAttribute("data-clipboard-target"));
    if (code) button.setAttribute("data-clipboard-text", code.textContent);
  }, true);

  // The theme's search opens as a dialog without a name.
  document.querySelector(".md-search")?.setAttribute("aria-label", document.querySelector(".md-search__input")?.placeholder ?? "");

  // What scrolls can be reached by keyboard.
  const reachable = () => {
    for (const box of document.querySelectorAll(".md-typeset__scrollwrap, .md-typeset pre > code, .bars-scroll, .builder pre")) {
      if (box.scrollWidth > box.clientWidth + 1) box.tabIndex = 0;
    }
  };
  addEventListener("load", reachable);
  addEventListener("resize", reachable);

  // Troubleshooting: the pasted line finds its entry by the constant words.
  const field = document.getElementById("message-text");
  if (!field) return;
  const entries = [...document.querySelectorAll(".message")];
  const count = document.getElementById("message-count");
  const escape = (text) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  for (const entry of entries) {
    const parts = entry.dataset.words.split("…").map((part) => part.trim()).filter(Boolean);
    entry.pattern = parts.length ? new RegExp(parts.map(escape).join(".*"), "i") : /(?!)/;
    entry.weight = parts.join("").length;
  }
  field.addEventListener("input", () => {
    const wanted = field.value.trim();
    const id = /\[([a-z0-9-]+)\]/.exec(wanted)?.[1];
    const named = entries.filter((entry) => id && entry.dataset.id === id);
    let found = named.length ? named : entries.filter((entry) => entry.pattern.test(wanted));
    // A short generic entry gives way to one that shares more words with the line.
    const best = Math.max(...found.map((entry) => entry.weight));
    found = found.filter((entry) => entry.weight >= best / 2);
    if (!found.length) {
      const words = wanted.toLowerCase();
      found = entries.filter((entry) => entry.textContent.toLowerCase().includes(words));
    }
    for (const entry of entries) entry.hidden = wanted !== "" && !found.includes(entry);
    count.textContent = wanted === "" ? "" : found.length ? `${found.length} ${count.dataset.some}` : count.dataset.none;
  });
})();
