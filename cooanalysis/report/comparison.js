// The before/after view and the sortable table of a comparison report. No libraries, no network.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("crops-data").textContent);
  for (const crop of data) crop.pictures = new Map(crop.pictures);
  const view = document.getElementById("view");
  if (view && data.length) {
    const get = (id) => document.getElementById(id);
    const place = get("place"), left = get("left"), right = get("right"), split = get("split");
    const before = get("before"), after = get("after"), where = get("where");

    const fill = (select, names, chosen) => {
      select.replaceChildren(...names.map((name) => new Option(name, name, false, name === chosen)));
    };
    const cut = () => {
      view.style.setProperty("--cut", `${split.value}%`);
      split.setAttribute("aria-valuetext", `${split.value} % ${left.value}, the rest ${right.value}`);
    };
    const draw = () => {
      const crop = data[Number(place.value)];
      before.src = crop.pictures.get(left.value);
      after.src = crop.pictures.get(right.value);
      before.alt = `${left.value}, ${crop.image}`;
      after.alt = `${right.value}, ${crop.image}`;
      get("left-name").textContent = left.value;
      get("right-name").textContent = right.value;
      where.textContent = `${crop.image}, from (${crop.left}, ${crop.top}), `
        + `${crop.width} × ${crop.height} HR pixels`;
      cut();
    };
    data.forEach((crop, number) => place.append(new Option(`${number + 1}: ${crop.image}`, number)));
    const names = [...data[0].pictures.keys()];
    fill(left, names, view.dataset.left);
    fill(right, names, view.dataset.right);
    for (const select of [place, left, right]) select.addEventListener("change", draw);
    split.addEventListener("input", cut);

    const drag = (event) => {
      const box = view.getBoundingClientRect();
      const share = (event.clientX - box.left) / box.width;
      split.value = String(Math.round(100 * Math.min(1, Math.max(0, share))));
      cut();
    };
    view.addEventListener("pointerdown", (event) => {
      view.setPointerCapture(event.pointerId);
      split.focus({ preventScroll: true });
      drag(event);
      event.preventDefault();
    });
    view.addEventListener("pointermove", (event) => {
      if (view.hasPointerCapture(event.pointerId)) drag(event);
    });
    draw();
    get("viewer").hidden = false;
  }

  for (const table of document.querySelectorAll("table.sortable")) {
    const body = table.tBodies[0];
    table.querySelectorAll("thead button").forEach((button, column) => {
      button.addEventListener("click", () => {
        const head = button.closest("th");
        const up = head.getAttribute("aria-sort") !== "ascending";
        table.querySelectorAll("thead th").forEach((th) => th.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", up ? "ascending" : "descending");
        const key = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent;
        // What has no number stays at the end, whichever way the others are sorted.
        const rank = (text) => (text === "nan" ? NaN : Number(text.replace("inf", "Infinity")));
        const rows = [...body.rows].sort((a, b) => {
          if (column === 0) return (up ? 1 : -1) * key(a).localeCompare(key(b));
          const [x, y] = [rank(key(a)), rank(key(b))];
          if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) - Number.isNaN(y);
          return x === y ? 0 : (up ? 1 : -1) * (x < y ? -1 : 1);
        });
        body.replaceChildren(...rows);
      });
    });
  }
})();
