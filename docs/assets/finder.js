// Troubleshooting: what is pasted finds its entry, first by the id in ERROR[id], then, line by line, by the words of an entry.
(() => {
  const field = document.getElementById("message-text");
  if (!field) return;
  const entries = [...document.querySelectorAll(".message")];
  const [count, hits, none] = ["message-count", "message-hits", "message-none"].map((id) => document.getElementById(id));
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

  const titleOf = (entry) => entry.querySelector("h3").firstChild.textContent;
  const showHits = (found) => {
    hits.replaceChildren(...found.map((entry) => {
      const item = document.createElement("li"), link = document.createElement("a");
      link.href = `#${entry.dataset.id}`;
      link.textContent = titleOf(entry);
      item.append(link);
      return item;
    }));
    hits.hidden = found.length < 2;
  };

  // A heading, here and in the table of contents, goes with its entries.
  const contents = new Map([...document.querySelectorAll(".md-nav--secondary .md-nav__link")].map((link) =>
    [decodeURIComponent(link.hash.slice(1)), link.closest(".md-nav__item")]));
  const show = (id, element, shown) => {
    element.hidden = !shown;
    const item = contents.get(id);
    if (item) item.hidden = !shown;
  };
  const showEntries = (found) => {
    for (const entry of entries) show(entry.dataset.id, entry, found.includes(entry));
    for (const heading of document.querySelectorAll(".md-content h2")) {
      const own = [];
      for (let next = heading.nextElementSibling; next && next.tagName !== "H2"; next = next.nextElementSibling) {
        if (next.classList.contains("message")) own.push(next);
      }
      if (own.length) show(heading.id, heading, own.some((entry) => !entry.hidden));
    }
  };

  const filter = () => {
    const wanted = field.value.trim();
    const found = wanted === "" ? entries : find(wanted);
    const answer = wanted === "" ? [] : found;
    showEntries(found);
    showHits(answer);
    count.textContent = `${answer.length} ${answer.length === 1 ? count.dataset.one : count.dataset.some}`;
    count.hidden = answer.length === 0;
    none.hidden = found.length > 0;
    if (answer.length === 1) history.replaceState(null, "", `#${answer[0].dataset.id}`);
  };
  field.addEventListener("input", filter);
  // A browser keeps what was typed over a reload.
  addEventListener("load", () => { if (field.value) filter(); });
})();
