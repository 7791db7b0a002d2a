"use strict";
// Themes, tables and figures of a page. No framework; everything works on what the server wrote.
(() => {
  const root = document.documentElement;
  const asked = new URLSearchParams(location.search).get("theme");
  const system = matchMedia("(prefers-color-scheme: dark)");
  const stored = () => { try { return localStorage.getItem("candor-theme"); } catch { return null; } };
  const choose = (theme) => { if (theme) root.dataset.theme = theme; else delete root.dataset.theme; };
  const dark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
  choose(asked || stored());

  // ---- figures: drawn in the light palette, each colour exchanged for its partner in the dark
  const held = (id) => { const node = document.getElementById(id); return node ? JSON.parse(node.textContent) : null; };
  const partners = held("palette") || {};
  const recolour = (value) => {
    if (typeof value === "string") {
      const found = value[0] === "#" && partners[value.slice(0, 7).toLowerCase()];
      return found ? found + value.slice(7) : value;
    }
    if (Array.isArray(value)) return value.map(recolour);
    if (value && typeof value === "object") return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, recolour(v)]));
    return value;
  };
  const plots = [...document.querySelectorAll("[data-plot]")];
  const draw = (node) => {
    const figure = held(node.dataset.plot);
    const { data, layout } = dark() ? recolour(figure) : figure;
    const options = { responsive: true, displaylogo: false, displayModeBar: false };
    return Plotly.react(node, data, { ...layout, autosize: true }, options).then(() => { node.dataset.drawn = dark() ? "dark" : "light"; });
  };
  // A folder that was passed on by itself lacks the script above it: the pictures inside it are shown.
  const stillOf = (node) => {
    const image = new Image();
    image.alt = node.ariaLabel || "";
    image.src = `figures/${node.dataset.plot.replace(/^data-/, "")}.png`;
    image.style.maxWidth = image.style.maxHeight = "100%";
    node.replaceChildren(image);
    return image.decode().catch(() => {}); // without the folder of pictures their titles are left
  };
  const drawAll = async () => {
    if (typeof Plotly === "undefined") { await Promise.all(plots.map(stillOf)); root.dataset.ready = "true"; return; }
    for (const node of plots) { await draw(node); await new Promise((done) => setTimeout(done)); }
    root.dataset.ready = "true";
  };

  const themed = (theme, keep) => {
    choose(theme);
    if (keep) try { localStorage.setItem("candor-theme", theme); } catch { /* a page from disk may not store */ }
    return drawAll();
  };
  document.querySelector("[data-theme-switch]")?.addEventListener("click", () => themed(dark() ? "light" : "dark", true));
  system.addEventListener("change", () => { if (!root.dataset.theme) drawAll(); });
  let before = null;
  addEventListener("beforeprint", () => { before = root.dataset.theme || ""; themed("light"); });
  addEventListener("afterprint", () => { if (before !== null) themed(before); before = null; });

  // ---- tables: one tbody a row, so that a row's seeds move with it
  const cellOf = (body, name) => body.querySelector(`tr.row > [data-c="${name}"]`);
  const rank = (body, name, numeric) => {
    const cell = cellOf(body, name), raw = cell.dataset.v ?? "";
    return numeric ? (raw === "" ? NaN : Number(raw)) : raw;
  };
  const compare = (a, b, sign) => {
    const missing = (x) => (typeof x === "number" ? Number.isNaN(x) : x === "");
    if (missing(a) || missing(b)) return missing(a) - missing(b); // missing values stay at the end
    return sign * (typeof a === "number" ? a - b : a.localeCompare(b, "en", { numeric: true }));
  };
  const sort = (table, head) => {
    const rising = head.ariaSort === "descending" || (head.ariaSort !== "ascending" && !head.classList.contains("n"));
    const numeric = head.classList.contains("n");
    for (const other of table.tHead.rows[0].cells) other.ariaSort = "none";
    head.ariaSort = rising ? "ascending" : "descending";
    const bodies = [...table.tBodies].map((body, at) => ({ body, at, key: rank(body, head.dataset.c, numeric) }));
    bodies.sort((a, b) => compare(a.key, b.key, rising ? 1 : -1) || a.at - b.at);
    table.append(...bodies.map((one) => one.body));
  };
  const filter = (block, text) => {
    const words = text.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const body of block.querySelector("table").tBodies) {
      const cells = [...body.querySelectorAll("tr.row > :not([hidden])")].map((cell) => cell.textContent).join(" ").toLowerCase();
      body.hidden = !words.every((word) => cells.includes(word));
      shown += !body.hidden;
    }
    block.querySelector(".found").textContent = words.length ? `${shown} shown` : "";
  };
  const show = (block, name, on) => {
    for (const cell of block.querySelectorAll(`[data-c="${name}"]`)) cell.hidden = !on;
    const wide = [...block.querySelectorAll("thead [data-c]")].filter((head) => !head.hidden).length;
    for (const cell of block.querySelectorAll("tr.seeds > td")) cell.colSpan = wide;
    block.querySelector(".columns output").textContent = wide;
  };
  for (const block of document.querySelectorAll("[data-table]")) {
    const table = block.querySelector("table");
    for (const head of table.tHead.rows[0].cells) head.querySelector("button")?.addEventListener("click", () => sort(table, head));
    block.querySelector(".tools input")?.addEventListener("input", (event) => filter(block, event.target.value));
    block.querySelectorAll(".columns input").forEach((box) => box.addEventListener("change", () => show(block, box.value, box.checked)));
    block.querySelectorAll(".expand").forEach((button) => button.addEventListener("click", () => {
      const seeds = button.closest("tbody").querySelector("tr.seeds");
      seeds.hidden = !seeds.hidden;
      button.ariaExpanded = String(!seeds.hidden);
    }));
  }
  addEventListener("click", (event) => {
    for (const menu of document.querySelectorAll("details.columns[open]")) if (!menu.contains(event.target)) menu.open = false;
  });
  addEventListener("load", drawAll);
})();
