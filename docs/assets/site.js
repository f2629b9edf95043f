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
})();
