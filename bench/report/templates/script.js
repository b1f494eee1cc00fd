"use strict";
(() => {
  const collator = new Intl.Collator(undefined, { numeric: true });
  const original = new WeakMap();
  let data = null;

  function compare(a, b, kind, sign) {
    if (a === null || b === null) return (a === null) - (b === null); // no value: last, whichever way
    return sign * (kind === "number" ? Number(a) - Number(b) : collator.compare(a, b));
  }

  // What the rows of a table are sorted by: data-keys, or in the grid data-measured or data-paper, never mixed.
  function keysOf(table, body) {
    return JSON.parse(body.dataset[table.dataset.by ?? "keys"]);
  }

  function order(table, head) {
    if (!original.has(table)) original.set(table, [...table.tBodies]);
    const bodies = [...original.get(table)];
    const direction = head?.getAttribute("aria-sort") ?? "none";
    if (direction !== "none") {
      const { column, kind } = head.querySelector(".sort").dataset;
      const sign = direction === "ascending" ? 1 : -1;
      const keys = new Map(bodies.map((body) => [body, keysOf(table, body)[column]]));
      bodies.sort((a, b) => compare(keys.get(a), keys.get(b), kind, sign));
    }
    table.append(...bodies);
  }

  // First the best on top, then the worst, then the order of the paper again.
  function sort(button) {
    const table = button.closest("table");
    const head = button.closest("th");
    const { best } = button.dataset;
    const other = best === "descending" ? "ascending" : "descending";
    const next = { none: best, [best]: other, [other]: "none" }[head.getAttribute("aria-sort")];
    for (const th of table.querySelectorAll("th[aria-sort]")) th.setAttribute("aria-sort", "none");
    head.setAttribute("aria-sort", next);
    order(table, head);
  }

  function element(tag, properties = {}, ...children) {
    const made = Object.assign(document.createElement(tag), properties);
    made.append(...children);
    return made;
  }

  // A protocol's id is long: it may break behind a comma.
  function breakable(text) {
    return text.split(/(?<=,)/).flatMap((part) => [part, element("wbr")]);
  }

  function print(value, digits) {
    const number = Number(value);
    return Number.isFinite(number) ? number.toFixed(digits).replace("-", "−") : number < 0 ? "−∞" : "∞";
  }

  function mean(draws) {
    return draws.reduce((sum, draw) => sum + Number(draw), 0) / draws.length;
  }

  function columnsOf(cell) {
    const [, measures] = cell.images[0];
    return measures.flatMap((draws, measure) => {
      const name = measure ? "Paper's protocol" : "Measured";
      const all = [{ title: name, of: (image) => mean(image[1][measure]) }];
      if (draws.length < 2) return all;
      const each = draws.map((_, index) => ({ title: `draw ${index + 1}`, of: (image) => image[1][measure][index] }));
      return [...all, ...each];
    });
  }

  function caption(text) {
    return element("figcaption", {}, text);
  }

  // A button that opens the viewer where it has the image; else what it would show, as it is.
  function viewButton(cell, image, label, ...children) {
    if (!window.canView?.(cell.dataset, image)) return children;
    const button = element("button", { type: "button", className: "view", title: label }, ...children);
    Object.assign(button.dataset, { dataset: cell.dataset, image, row: cell.row });
    return [button];
  }

  function pictures(cell, image) {
    const names = ["LR", "SR", "HR"];
    const shown = image[2].map((index, place) => {
      if (index === null) {
        return element("figure", {}, element("div", { className: "missing" }, "no picture"), caption(names[place]));
      }
      const alt = `${names[place]} of ${image[0]}`;
      const thumbnail = element("img", {
        src: data.pictures[index], alt, className: names[place].toLowerCase(), loading: "lazy",
      });
      const label = "Compare at full resolution";
      return element("figure", {}, ...viewButton(cell, image[0], label, thumbnail), caption(names[place]));
    });
    const [more] = viewButton(cell, image[0], "Zoom, and compare with other methods");
    if (more) {
      more.classList.add("open-viewer");
      more.append("Compare at full resolution");
    }
    return element("div", { className: "pictures" }, ...shown, ...(more ? [more] : []));
  }

  function head(title, column, kind) {
    const button = element("button", { type: "button", className: "sort" }, title);
    Object.assign(button.dataset, { column, kind, best: kind === "number" ? "descending" : "ascending" });
    const th = element("th", { scope: "col", className: column ? "value" : "" }, button);
    th.setAttribute("aria-sort", "none");
    return th;
  }

  function imagesTable(cell) {
    const columns = columnsOf(cell);
    const heads = [head("Image", 0, "text"), ...columns.map(({ title }, index) => head(title, index + 1, "number"))];
    const table = element("table", { className: "images" }, element("thead", {}, element("tr", {}, ...heads)));
    for (const image of cell.images) {
      const values = columns.map(({ of }) => of(image));
      const row = element("tr", {}, element("th", { scope: "row" }, image[0]));
      row.append(...values.map((value) => element("td", { className: "value" }, print(value, cell.digits))));
      const body = element("tbody", {}, row);
      if (image[2].some((index) => index !== null) || window.canView?.(cell.dataset, image[0])) {
        body.append(element("tr", {}, element("td", { colSpan: heads.length }, pictures(cell, image))));
      }
      body.dataset.keys = JSON.stringify([image[0], ...values.map(String)]);
      table.append(body);
    }
    return table;
  }

  function open(index) {
    data ??= JSON.parse(document.getElementById("data").textContent);
    const cell = data.cells[index];
    const dialog = document.getElementById("cell");
    const facts = cell.facts.flatMap(([label, text]) => [element("dt", {}, label), element("dd", {}, ...breakable(text))]);
    const verdict = element("b", { className: cell.tone }, cell.verdict);
    facts.push(element("dt", {}, "Verdict"), element("dd", {}, verdict, `: ${cell.meaning}`));
    const content = [element("dl", { className: "facts" }, ...facts)];
    if (data.terms) content.push(element("p", { className: "quiet" }, data.terms));
    content.push(element("div", { className: "scroll" }, imagesTable(cell)));
    document.getElementById("cell-title").textContent = cell.title;
    dialog.querySelector(".content").replaceChildren(...content);
    dialog.showModal();
    dialog.scrollTop = 0;
  }

  document.addEventListener("click", (event) => {
    const { target } = event;
    const dialog = document.getElementById("cell");
    const button = target.closest("button, a.open");
    if (dialog && (target === dialog || button?.matches(".close"))) dialog.close(); // the backdrop counts as the dialog
    else if (button?.matches(".sort")) sort(button);
    else if (button?.matches(".open") && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
      event.preventDefault(); // without a script it leads to the cell's line in the list
      open(Number(button.dataset.cell));
    }
  });
  document.addEventListener("change", ({ target }) => {
    if (target.name !== "by") return;
    const table = document.querySelector("table.grid");
    table.dataset.by = target.value;
    order(table, table.querySelector('th[aria-sort$="cending"]'));
  });
  for (const button of document.querySelectorAll("button.sort")) button.disabled = false;
  for (const choice of document.querySelectorAll(".by")) choice.hidden = false;
})();
