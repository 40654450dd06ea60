// Point at a patch: its group, its center, its ground truth, and where it lies. No libraries, no network.
"use strict";
(() => {
  const holder = document.getElementById("explorer-data");
  if (!holder) return;
  const data = JSON.parse(holder.textContent);
  const { points, images, tiles, lr } = data;
  const count = points.entropy.length;
  const get = (id) => document.getElementById(id);
  const svgns = "http://www.w3.org/2000/svg";
  const minus = (text) => text.replace("-", "−");
  const say = (value, digits = 2) => minus(value.toFixed(digits));

  const load = (url) => new Promise((done, failed) => {
    const image = new Image();
    image.onload = () => done(image);
    image.onerror = failed;
    image.src = url;
  });

  // -- the plot: entropy across, distance up (log) --
  const size = { width: 560, height: 400, left: 52, right: 10, top: 10, bottom: 42 };
  const finite = [...Array(count).keys()].filter(
    (i) => Number.isFinite(points.entropy[i]) && points.distance[i] > 0);
  const range = (values) => [Math.min(...values), Math.max(...values)];
  const pad = ([low, high]) => {
    const more = 0.04 * Math.max(high - low, 1e-3);
    return [low - more, high + more];
  };
  const [xLow, xHigh] = pad(range(finite.map((i) => points.entropy[i])));
  const [yLow, yHigh] = pad(range(finite.map((i) => Math.log10(points.distance[i]))));
  const px = (entropy) => size.left
    + (entropy - xLow) / (xHigh - xLow) * (size.width - size.left - size.right);
  const py = (distance) => size.height - size.bottom
    - (Math.log10(distance) - yLow) / (yHigh - yLow) * (size.height - size.top - size.bottom);

  const plot = get("plot");
  const draw = (name, attributes, text) => {
    const node = document.createElementNS(svgns, name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    if (text !== undefined) node.textContent = text;
    plot.append(node);
    return node;
  };
  plot.setAttribute("viewBox", `0 0 ${size.width} ${size.height}`);
  const step = [0.1, 0.2, 0.25, 0.5, 1, 2, 5, 10].find((s) => (xHigh - xLow) / s <= 9) ?? 20;
  for (let x = Math.ceil(xLow / step) * step; x <= xHigh; x += step) {
    draw("line", { class: "grid", x1: px(x), x2: px(x), y1: size.top, y2: size.height - size.bottom });
    draw("text", { x: px(x), y: size.height - size.bottom + 15, "text-anchor": "middle" },
      minus(String(Number(x.toFixed(2)))));
  }
  for (let power = Math.floor(yLow); power <= yHigh; power += 1) {
    for (const digit of [1, 2, 5]) {
      const value = digit * 10 ** power;
      if (Math.log10(value) < yLow || Math.log10(value) > yHigh) continue;
      draw("line", { class: "grid", x1: size.left, x2: size.width - size.right, y1: py(value), y2: py(value) });
      draw("text", { x: size.left - 6, y: py(value) + 4, "text-anchor": "end" }, Number(value.toPrecision(3)));
    }
  }
  const bound = [];
  for (let k = 0; k <= 60; k += 1) {
    const h = xLow + (xHigh - xLow) * k / 60;
    const d = Math.sqrt(Math.exp(2 * h) / (2 * Math.PI * Math.E));
    if (Math.log10(d) >= yLow && Math.log10(d) <= yHigh) bound.push(`${px(h)},${py(d)}`);
  }
  draw("polyline", { class: "bound", points: bound.join(" ") });
  draw("text", { x: (size.left + size.width) / 2, y: size.height - 6, "text-anchor": "middle" },
    "entropy of the group (nats per dimension)");
  draw("text", { x: 13, y: size.height / 2 - 16, "text-anchor": "middle",
    transform: `rotate(-90 13 ${size.height / 2 - 16})` }, "distance from the center (log scale)");
  const dots = new Map(finite.map((i) => [i, draw("circle", {
    class: "dot", cx: px(points.entropy[i]), cy: py(points.distance[i]), r: 3.2, "data-point": i })]));
  const ring = draw("circle", { class: "ring", r: 7, cx: -20, cy: -20 });

  // -- what is shown of the chosen patch --
  let chosen = -1, pinned = false, sheet = null, lrSheet = null;
  const paint = (canvas, from, spot, side) => {
    canvas.width = canvas.height = side;
    const columns = Math.floor(from.width / side);
    canvas.getContext("2d").drawImage(
      from, (spot % columns) * side, Math.floor(spot / columns) * side, side, side, 0, 0, side, side);
  };
  const strip = get("pictures");
  const canvases = ["LR patch", ...tiles.names].map((name, number) => {
    const figure = document.createElement("figure");
    const canvas = document.createElement("canvas");
    const caption = document.createElement("figcaption");
    const member = number >= 1 && number <= tiles.members;
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", member ? `member ${number}` : name);
    caption.textContent = member ? (number === 1 ? "members" : "") : name;
    figure.className = member ? "member" : "output";
    figure.append(canvas, caption);
    strip.append(figure);
    return canvas;
  });
  const position = get("position"), overlay = get("overlay"), which = get("image-choice");
  images.forEach((image, number) => which.append(
    new Option(image.map ? `${image.name} (entropy map)` : image.name, number)));
  const marks = get("marks");
  let shownImage = -1;
  const show = (number) => {
    if (number !== shownImage) {
      shownImage = number;
      const image = images[number];
      which.value = String(number);
      position.style.aspectRatio = `${image.width} / ${image.height}`;
      get("thumbnail").src = image.url;
      get("thumbnail").alt = image.name;
      overlay.hidden = !image.map;
      if (image.map) {
        overlay.src = image.map.url;
        const part = (value, whole) => `${100 * value / whole}%`;
        overlay.style.left = part(image.map.left, image.width);
        overlay.style.top = part(image.map.top, image.height);
        overlay.style.width = part(image.map.right - image.map.left, image.width);
        overlay.style.height = part(image.map.bottom - image.map.top, image.height);
      }
      marks.replaceChildren();
      finite.filter((i) => points.image[i] === number).forEach((i) => {
        const mark = document.createElement("span");
        mark.dataset.point = i;
        const half = data.scale * data.width / 2;
        mark.style.left = `${100 * (data.scale * points.x[i] + half) / image.width}%`;
        mark.style.top = `${100 * (data.scale * points.y[i] + half) / image.height}%`;
        marks.append(mark);
      });
    }
    for (const mark of marks.children) {
      mark.classList.toggle("chosen", Number(mark.dataset.point) === chosen);
    }
  };
  const select = (i) => {
    if (i === chosen || !dots.has(i) || !sheet) return;
    chosen = i;
    ring.setAttribute("cx", px(points.entropy[i]));
    ring.setAttribute("cy", py(points.distance[i]));
    paint(canvases[0], lrSheet, i, lr.size);
    tiles.names.forEach((_, part) => paint(canvases[part + 1], sheet, i * tiles.names.length + part, tiles.size));
    const place = images[points.image[i]];
    get("chosen").textContent = `${place.name}, HR pixel (${data.scale * points.x[i]}, `
      + `${data.scale * points.y[i]}): entropy ${say(points.entropy[i])} nats per dimension; members lie `
      + `${say(points.distance[i])} from their center; in all dimensions the ground truth lies `
      + `${say(points.center_error[i])} from it (RMS, in units of the LR contrast).`;
    show(points.image[i]);
  };
  const nearest = (x, y, among, at) => {
    let best = -1, least = Infinity;
    for (const i of among) {
      const [u, v] = at(i);
      const distance = (u - x) ** 2 + (v - y) ** 2;
      if (distance < least) [best, least] = [i, distance];
    }
    return best;
  };
  const pointed = (event) => {
    const box = plot.getBoundingClientRect();
    const scale = size.width / box.width;
    return nearest((event.clientX - box.left) * scale, (event.clientY - box.top) * scale, finite,
      (i) => [px(points.entropy[i]), py(points.distance[i])]);
  };
  plot.addEventListener("pointermove", (event) => { if (!pinned) select(pointed(event)); });
  plot.addEventListener("click", (event) => {
    const i = pointed(event);
    pinned = !(pinned && i === chosen);
    select(i);
    plot.classList.toggle("pinned", pinned);
  });
  const byEntropy = [...finite].sort((a, b) => points.entropy[a] - points.entropy[b]);
  const byDistance = [...finite].sort((a, b) => points.distance[a] - points.distance[b]);
  const moves = { ArrowLeft: [byEntropy, -1], ArrowRight: [byEntropy, 1],
    ArrowDown: [byDistance, -1], ArrowUp: [byDistance, 1] };
  plot.addEventListener("keydown", (event) => {
    if (!(event.key in moves)) return;
    const [order, way] = moves[event.key];
    const at = order.indexOf(chosen) + way * (event.shiftKey ? 10 : 1);
    pinned = true;
    plot.classList.add("pinned");
    select(order[Math.min(order.length - 1, Math.max(0, at))]);
    event.preventDefault();
  });
  position.addEventListener("click", (event) => {
    const box = position.getBoundingClientRect();
    const image = images[shownImage];
    const half = data.width / 2;
    const x = (event.clientX - box.left) / box.width * image.width / data.scale - half;
    const y = (event.clientY - box.top) / box.height * image.height / data.scale - half;
    pinned = true;
    plot.classList.add("pinned");
    select(nearest(x, y, finite.filter((i) => points.image[i] === shownImage),
      (i) => [points.x[i], points.y[i]]));
  });
  which.addEventListener("change", () => {
    const among = finite.filter((i) => points.image[i] === Number(which.value));
    pinned = true;
    plot.classList.add("pinned");
    if (among.length) select(among.reduce((a, b) => (points.entropy[a] > points.entropy[b] ? a : b)));
    else show(Number(which.value));
  });
  Promise.all([load(tiles.url), load(lr.url)]).then((sheets) => {
    [sheet, lrSheet] = sheets;
    get("explorer-view").hidden = false;
    const mapped = byEntropy.filter((i) => images[points.image[i]].map);
    const first = mapped.length ? mapped : byEntropy;
    select(first[Math.floor(0.9 * (first.length - 1))]);
  });
})();
