// Small helps on every page; nothing here asks another host.
(() => {
  // The copy buttons give the exact bytes, the last line end included, which the theme would trim away.
  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("[data-clipboard-target]");
    if (!button) return;
    const code = document.querySelector(button.getAttribute("data-clipboard-target"));
    if (code) button.setAttribute("data-clipboard-text", code.textContent);
  }, true);

  // The language switch leads to the same place of the page.
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.(".md-select__link");
    if (link) link.hash = location.hash;
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

  // Troubleshooting: what is pasted finds its entry by the id in ERROR[id], else, line by line, by the words of an entry.
  const field = document.getElementById("message-text");
  if (!field) return;
  const entries = [...document.querySelectorAll(".message")];
  const count = document.getElementById("message-count");
  const none = document.getElementById("message-none");
  const escape = (text) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&").replace(/\s+/g, "\\s+");
  // "…" stands for anything; without a space beside it, for a part of a word.
  const pattern = (words) => new RegExp(words.split(/(\s*…\s*)/)
    .map((part) => (part.includes("…") ? (part === "…" ? "\\S*" : ".*") : escape(part))).join(""), "i");
  const lettersOf = (words) => words.replace(/[^A-Za-z0-9]/g, "").length;
  for (const entry of entries) {
    entry.lines = entry.dataset.words.split("\n").filter((words) => lettersOf(words) >= 7)
      .map((words) => ({ pattern: pattern(words), weight: lettersOf(words) }));
  }

  const bestOf = (line) => {
    let best = 0, found = [];
    for (const entry of entries) {
      const weight = Math.max(0, ...entry.lines.filter((each) => each.pattern.test(line)).map((each) => each.weight));
      if (weight === 0 || weight < best) continue;
      found = weight > best ? [entry] : [...found, entry];
      best = weight;
    }
    return found;
  };

  const find = (wanted) => {
    const ids = new Set([...wanted.matchAll(/ERROR\[([a-z0-9-]+)\]/g)].map((match) => match[1]));
    const named = entries.filter((entry) => ids.has(entry.dataset.id));
    if (named.length) return named;
    const matched = new Set(wanted.split("\n").flatMap(bestOf));
    if (matched.size) return entries.filter((entry) => matched.has(entry));
    const words = wanted.toLowerCase();
    return entries.filter((entry) => entry.dataset.id === words || entry.textContent.toLowerCase().includes(words));
  };

  // A heading, here and in the table of contents, goes with its entries.
  const contents = new Map([...document.querySelectorAll(".md-nav--secondary .md-nav__link")].map((link) =>
    [decodeURIComponent(link.hash.slice(1)), link.closest(".md-nav__item")]));
  const show = (id, element, shown) => {
    element.hidden = !shown;
    const item = contents.get(id);
    if (item) item.hidden = !shown;
  };
  const filter = () => {
    const wanted = field.value.trim();
    const found = wanted === "" ? entries : find(wanted);
    for (const entry of entries) show(entry.dataset.id, entry, found.includes(entry));
    for (const heading of document.querySelectorAll(".md-content h2")) {
      const own = [];
      for (let next = heading.nextElementSibling; next && next.tagName !== "H2"; next = next.nextElementSibling) {
        if (next.classList.contains("message")) own.push(next);
      }
      if (own.length) show(heading.id, heading, own.some((entry) => !entry.hidden));
    }
    count.textContent = wanted === "" || !found.length ? ""
      : `${found.length} ${found.length === 1 ? count.dataset.one : count.dataset.some}`;
    none.hidden = found.length > 0;
    if (wanted !== "" && found.length === 1) history.replaceState(null, "", `#${found[0].dataset.id}`);
  };
  field.addEventListener("input", filter);
  // A browser keeps what was typed over a reload.
  addEventListener("load", () => { if (field.value) filter(); });
})();
