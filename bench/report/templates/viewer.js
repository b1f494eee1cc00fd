"use strict";
(() => {
  const dialog = document.getElementById("viewer");
  const source = document.getElementById("viewer-data");
  if (!dialog || !source) return;
  const stage = document.getElementById("viewer-stage");
  const panes = [...stage.querySelectorAll(".pane")];
  const pictures = panes.map((pane) => pane.querySelector("img"));
  const faults = panes.map((pane) => pane.querySelector(".missing-picture"));
  const selects = [document.getElementById("viewer-left"), document.getElementById("viewer-right")];
  const said = [...dialog.querySelectorAll(".viewer-said p")];
  const divider = stage.querySelector(".divider");
  const split = document.getElementById("viewer-split");
  const SMALLEST = 0.05;
  const LARGEST = 40;
  const STEP = 1.25;

  let images = null;
  let name = "";
  let chosen = [0, 0];
  let view = { zoom: 1, x: 0, y: 0, fitted: true };

  const current = () => images[name];
  const beside = () => stage.classList.contains("beside");
  const room = () => ({ width: panes[0].clientWidth, height: panes[0].clientHeight });

  function draw() {
    const { width, height } = current();
    for (const picture of pictures) {
      Object.assign(picture.style, {
        width: `${width}px`,
        height: `${height}px`,
        transform: `translate(${view.x}px, ${view.y}px) scale(${view.zoom})`,
      });
    }
    const enlarged = view.zoom * devicePixelRatio >= 1.5;
    pictures.forEach((picture, side) => {
      const small = picture.naturalWidth > 0 && picture.naturalWidth < width; // LR: its pixels are to be seen
      picture.classList.toggle("large", enlarged || small);
      picture.dataset.layer = String(chosen[side]);
    });
    document.getElementById("viewer-zoom").textContent = `${Math.round(view.zoom * 100)} %`;
    const at = Number(split.value);
    divider.style.left = `${at}%`;
    panes[1].style.clipPath = beside() ? "none" : `inset(0 0 0 ${at}%)`;
  }

  // Never so far that nothing of the image is left in sight.
  function keep() {
    const { width, height } = room();
    const margin = Math.min(60, width / 4);
    view.x = Math.min(width - margin, Math.max(margin - current().width * view.zoom, view.x));
    view.y = Math.min(height - margin, Math.max(margin - current().height * view.zoom, view.y));
  }

  function fit() {
    const { width, height } = room();
    const zoom = Math.min(width / current().width, height / current().height);
    view = { zoom, x: (width - current().width * zoom) / 2, y: (height - current().height * zoom) / 2, fitted: true };
    draw();
  }

  function zoomTo(zoom, x = room().width / 2, y = room().height / 2) {
    const next = Math.min(LARGEST, Math.max(SMALLEST, zoom));
    const factor = next / view.zoom;
    view = { zoom: next, x: x - (x - view.x) * factor, y: y - (y - view.y) * factor, fitted: false };
    keep();
    draw();
  }

  function move(dx, dy) {
    view = { ...view, x: view.x + dx, y: view.y + dy, fitted: false };
    keep();
    draw();
  }

  function setSplit(value) {
    split.value = String(Math.min(100, Math.max(0, value)));
    draw();
  }

  function show(side) {
    const layer = current().layers[chosen[side]];
    selects[side].value = String(chosen[side]);
    faults[side].hidden = true;
    pictures[side].hidden = false;
    if (pictures[side].getAttribute("src") !== layer.src) pictures[side].src = layer.src;
    pictures[side].alt = `${name}: ${layer.name}`;
    said[side].replaceChildren();
    const title = document.createElement("b");
    title.textContent = layer.name;
    said[side].append(title, layer.said ? ` ${layer.said}` : "");
  }

  function layerNamed(wanted, otherwise) {
    const found = current().layers.findIndex((layer) => layer.name === wanted);
    return found >= 0 ? found : Math.min(current().layers.length - 1, Math.max(0, otherwise));
  }

  function choose(left, right) {
    chosen = [left, right];
    show(0);
    show(1);
    draw();
  }

  function load(image, names) {
    name = image;
    const slash = image.indexOf("/");
    document.getElementById("viewer-title").textContent = `${image.slice(0, slash)}, ${image.slice(slash + 1)}`;
    for (const select of selects) {
      select.replaceChildren(...current().layers.map((layer, index) => new Option(layer.name, String(index))));
    }
    const last = current().layers.length - 1;
    choose(layerNamed(names[0], 0), layerNamed(names[1], last));
    fit();
  }

  function step(by) {
    const slash = name.indexOf("/");
    const same = Object.keys(images).filter((key) => key.startsWith(name.slice(0, slash + 1)));
    const next = same[(same.indexOf(name) + by + same.length) % same.length];
    const names = chosen.map((index) => current().layers[index].name);
    load(next, names);
  }

  function open(dataset, image, row) {
    images ??= JSON.parse(source.textContent).images;
    const key = `${dataset}/${image}`;
    if (!Object.hasOwn(images, key)) return false;
    const layers = images[key].layers;
    const mine = layers.find((layer) => layer.row === row && layer.sr) ?? layers.find((layer) => layer.sr);
    dialog.showModal();
    stage.classList.remove("beside");
    dialog.querySelector("[data-do=mode]").setAttribute("aria-pressed", "false");
    split.disabled = false;
    split.value = "50";
    const left = row && mine && mine.name !== "Bicubic" ? "Bicubic" : "LR (bicubic)";
    load(key, [layers.some((layer) => layer.name === left) ? left : layers[0].name, mine ? mine.name : layers[0].name]);
    return true;
  }

  const actions = {
    swap: () => choose(chosen[1], chosen[0]),
    out: () => zoomTo(view.zoom / STEP),
    in: () => zoomTo(view.zoom * STEP),
    fit,
    actual: () => zoomTo(1 / devicePixelRatio),
    mode: () => {
      const on = stage.classList.toggle("beside");
      dialog.querySelector("[data-do=mode]").setAttribute("aria-pressed", String(on));
      split.disabled = on;
      fit();
    },
    previous: () => step(-1),
    next: () => step(1),
  };
  const keys = {
    "+": "in", "=": "in", "-": "out", 0: "fit", 1: "actual", x: "swap", s: "mode", n: "next", p: "previous",
  };
  const arrows = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };

  dialog.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("select")) return;
    const arrow = event.target === stage ? arrows[event.key] : undefined;
    if (arrow) move(arrow[0] * 40, arrow[1] * 40);
    else if (event.key === "[" || event.key === "]") setSplit(Number(split.value) + (event.key === "]" ? 2 : -2));
    else if (Object.hasOwn(keys, event.key)) actions[keys[event.key]]();
    else return;
    event.preventDefault();
  });
  dialog.addEventListener("click", ({ target }) => {
    const button = target.closest("button");
    if (button?.matches(".close-viewer")) dialog.close();
    else if (button?.dataset.do) actions[button.dataset.do]();
  });
  split.addEventListener("input", draw);
  selects.forEach((select, side) =>
    select.addEventListener("change", () => {
      chosen[side] = Number(select.value);
      show(side);
      draw();
    }),
  );
  pictures.forEach((picture, side) => {
    picture.addEventListener("load", draw);
    picture.addEventListener("error", () => {
      picture.hidden = true;
      faults[side].hidden = false;
      faults[side].textContent = "This picture is not where the report expects it: it stays in the results folder, because the terms of the data set forbid copies.";
    });
  });

  // Pointers: one drags the picture or the divider, two pinch.
  const down = new Map();
  let pulls = false;
  function at(event) {
    const box = stage.getBoundingClientRect();
    const x = event.clientX - box.left;
    return { x: beside() && x > box.width / 2 ? x - box.width / 2 : x, y: event.clientY - box.top };
  }
  stage.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    stage.setPointerCapture(event.pointerId);
    down.set(event.pointerId, at(event));
    pulls = event.target === divider;
    stage.classList.add("dragging");
  });
  stage.addEventListener("pointermove", (event) => {
    const before = down.get(event.pointerId);
    if (!before) return;
    const now = at(event);
    const other = [...down].find(([id]) => id !== event.pointerId)?.[1];
    down.set(event.pointerId, now);
    if (other) {
      const apart = (point) => Math.hypot(point.x - other.x, point.y - other.y);
      if (apart(before) > 0) zoomTo((view.zoom * apart(now)) / apart(before), other.x, other.y);
    } else if (pulls) setSplit((100 * now.x) / stage.clientWidth);
    else move(now.x - before.x, now.y - before.y);
  });
  for (const kind of ["pointerup", "pointercancel"]) {
    stage.addEventListener(kind, (event) => {
      down.delete(event.pointerId);
      if (!down.size) stage.classList.remove("dragging");
    });
  }
  stage.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      const point = at(event);
      zoomTo(view.zoom * 2 ** (-event.deltaY / 400), point.x, point.y);
    },
    { passive: false },
  );
  stage.addEventListener("dblclick", (event) => {
    const point = at(event);
    if (view.fitted) zoomTo(Math.max(1, view.zoom * 3), point.x, point.y);
    else fit();
  });
  addEventListener("resize", () => {
    if (!dialog.open) return;
    if (view.fitted) fit();
    else {
      keep();
      draw();
    }
  });
  document.addEventListener("click", ({ target }) => {
    const button = target.closest?.("button.view");
    if (button) open(button.dataset.dataset, button.dataset.image, button.dataset.row);
  });
  window.openViewer = open;
  window.canView = (dataset, image) => {
    images ??= JSON.parse(source.textContent).images;
    return Object.hasOwn(images, `${dataset}/${image}`);
  };
})();
