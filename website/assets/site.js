// Menu, light and dark, and search; everything works from a file address.
(() => {
  const root = document.documentElement.dataset.root;
  const one = (selector) => document.querySelector(selector);

  // ---- light and dark: the reader's choice, else that of the system --------------------------
  const stored = {
    get: () => { try { return localStorage.getItem("theme"); } catch { return null; } },
    set: (value) => { try { localStorage.setItem("theme", value); } catch { /* kept for this page */ } },
  };
  const system = matchMedia("(prefers-color-scheme: dark)");
  const toggle = one(".theme");
  function show(theme) {
    document.documentElement.dataset.theme = theme;
    toggle.textContent = theme === "dark" ? "Light" : "Dark";
    toggle.setAttribute("aria-label", `Use ${theme === "dark" ? "light" : "dark"} colours`);
  }
  const chosen = () => stored.get() ?? (system.matches ? "dark" : "light");
  show(chosen());
  system.addEventListener("change", () => show(chosen()));
  toggle.addEventListener("click", () => {
    stored.set(document.documentElement.dataset.theme === "dark" ? "light" : "dark");
    show(chosen());
  });

  // ---- the menu of narrow windows -------------------------------------------------------------
  const menu = one(".menu");
  function open(value) {
    menu.setAttribute("aria-expanded", value);
    document.body.classList.toggle("menu-open", value);
  }
  menu.addEventListener("click", () => open(menu.getAttribute("aria-expanded") !== "true"));

  // ---- search: the index is read when it is first needed ----------------------------------------
  const input = one(".search input"), found = one(".found"), list = one(".found ul"), count = one(".count");
  let search = null, loading = false;
  const load = (file) => new Promise((done, failed) => {
    const script = document.createElement("script");
    Object.assign(script, { src: `${root}/assets/${file}`, onload: done, onerror: failed });
    document.head.append(script);
  });
  window.searchable = (entries) => {
    search = new MiniSearch({
      fields: ["heading", "page", "text"], storeFields: ["heading", "page", "text", "url"], idField: "url",
      searchOptions: { boost: { heading: 4, page: 2 }, prefix: true, fuzzy: (term) => (term.length > 4 ? 0.2 : false), combineWith: "AND" },
    });
    search.addAll(entries);
  };
  async function prepare() {
    if (loading) return;
    loading = true;
    await load("minisearch.js");
    await load("index.js");
    answer();
  }
  function excerpt(text, terms) {
    const lower = text.toLowerCase(), at = Math.min(...terms.map((term) => lower.indexOf(term)).filter((i) => i >= 0));
    const start = Number.isFinite(at) ? Math.max(0, at - 40) : 0;
    return `${start ? "…" : ""}${text.slice(start, start + 130)}${text.length > start + 130 ? "…" : ""}`;
  }
  function answer() {
    const asked = input.value.trim();
    found.hidden = !asked;
    if (!asked || !search) return;
    const hits = search.search(asked).slice(0, 12);
    count.textContent = hits.length ? `${hits.length === 12 ? "first 12 sections" : `${hits.length} sections`}` : `Nothing found for “${asked}”.`;
    list.replaceChildren(...hits.map((hit) => {
      const link = document.createElement("a"), about = document.createElement("span"), item = document.createElement("li");
      link.href = `${root}/${hit.url}`;
      link.textContent = hit.heading === hit.page ? hit.page : `${hit.page}: ${hit.heading}`;
      about.textContent = excerpt(hit.text, hit.terms);
      item.append(link, about);
      return item;
    }));
  }
  input.addEventListener("focus", prepare);
  input.addEventListener("input", () => { prepare(); answer(); });
  list.addEventListener("click", () => { found.hidden = true; });
  document.addEventListener("click", (event) => { if (!one(".search").contains(event.target)) found.hidden = true; });
  document.addEventListener("keydown", (event) => {
    const typing = /^(input|textarea|select)$/i.test(document.activeElement.tagName);
    const links = [...list.querySelectorAll("a")], at = links.indexOf(document.activeElement);
    if (event.key === "/" && !typing) { event.preventDefault(); input.focus(); }
    else if (event.key === "Escape") { found.hidden = true; open(false); }
    else if (!found.hidden && event.key === "ArrowDown") { event.preventDefault(); links[Math.min(at + 1, links.length - 1)]?.focus(); }
    else if (!found.hidden && event.key === "ArrowUp") { event.preventDefault(); (links[at - 1] ?? input).focus(); }
    else if (event.key === "Enter" && document.activeElement === input) links[0]?.click();
  });
})();
