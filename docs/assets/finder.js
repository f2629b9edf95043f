// Troubleshooting: what is pasted finds its entry, first by the id in ERROR[id], then, line by line, by the words of an entry.
(() => {
  const field = document.getElementById("message-text");
  if (!field) return;
  const entries = [...document.querySelectorAll(".message")];
  const [count, none] = ["message-count", "message-none"].map((id) => document.getElementById(id));
  const escape = (text) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&").replace(/\s+/g, "\\s+");
  // "…" stands for anything; without a space beside it, for a part of a word.
  const pattern = (words) => new RegExp(words.split(/(\s*…\s*)/)
    .map((part) => (part.includes("…") ? (part === "…" ? "\\S*" : ".*") : escape(part))).join(""), "i");
  const lettersOf = (words) => words.replace(/[^A-Za-z0-9]/g, "").length;
  for (const entry of entries) {
    entry.lines = entry.dataset.words.split("\n").filter((words) => lettersOf(words) >= 7)
      .map((words) => ({ pattern: pattern(words), weight: lettersOf(words) }));
  }

  // The entry with the longest words that are in a line.
  const bestOf = (line) => {
    let best = { weight: 0 };
    for (const entry of entries) {
      for (const each of entry.lines) {
        if (each.weight > best.weight && each.pattern.test(line)) best = { entry, weight: each.weight };
      }
    }
    return best;
  };

  // Best first: named by its id, then by the words, and last what only repeats that something ended.
  const find = (wanted) => {
    const ids = [...wanted.matchAll(/ERROR\[([a-z0-9-]+)\]/g)].map((match) => match[1]);
    const named = entries.filter((entry) => ids.includes(entry.dataset.id));
    const matched = wanted.split("\n").map(bestOf).filter((best) => best.entry)
      .sort((a, b) => ("repeats" in a.entry.dataset) - ("repeats" in b.entry.dataset) || b.weight - a.weight);
    const found = [...new Set([...named, ...matched.map((best) => best.entry)])];
    if (found.length) return found;
    const words = wanted.toLowerCase();
    return entries.filter((entry) => entry.dataset.id === words || entry.textContent.toLowerCase().includes(words));
  };

  // What is found comes first, best first; groups come back with an empty field. The table of contents goes with them.
  const place = document.querySelector(".message-finder");
  const all = [...place.parentElement.children];
  const order = all.slice(all.indexOf(place) + 1);
  const groups = order.filter((each) => each.tagName === "H2" && each.nextElementSibling?.classList.contains("message"));
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
    place.parentElement.append(...order);
    for (const entry of entries) show(entry.dataset.id, entry, found.includes(entry));
    for (const heading of groups) show(heading.id, heading, wanted === "");
    if (wanted !== "") place.after(...found);
    count.textContent = `${found.length} ${found.length === 1 ? count.dataset.one : count.dataset.some}`;
    count.hidden = wanted === "" || found.length === 0;
    none.hidden = found.length > 0;
    if (found.length === 1) history.replaceState(null, "", `#${found[0].dataset.id}`);
  };
  field.addEventListener("input", filter);
  // A browser keeps what was typed over a reload.
  addEventListener("load", () => { if (field.value) filter(); });
})();
