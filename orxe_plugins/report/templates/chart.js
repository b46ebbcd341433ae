"use strict";
// The chart of score against cost, in the page's colours: chart(data, box) gives what draws it.
function chart(data, box) {
  const rows = data.rows;
  const svgName = document.querySelector("#chart-legend svg").namespaceURI;
  const pen = document.createElement("canvas").getContext("2d");
  pen.font = `12px ${getComputedStyle(document.body).fontFamily}`;
  const wide = (text) => pen.measureText(text).width;

  // A number as people write it: no exponent, and a power of ten where it would be long.
  function plain(value) {
    const size = Math.abs(value);
    const write = (number) => number.toLocaleString("en-US", { maximumSignificantDigits: 10, useGrouping: false });
    if (!size || (size >= 1e-4 && size < 1e7)) return write(value);
    const power = Math.floor(Math.log10(size) + 1e-9);
    const raised = [...String(power)].map((sign) => sign === "-" ? "⁻" : "⁰¹²³⁴⁵⁶⁷⁸⁹"[sign]).join("");
    const head = write(Number((value / Math.pow(10, power)).toPrecision(10)));
    return head === "1" ? `10${raised}` : `${head} × 10${raised}`;
  }

  // A text that has room: its middle is left out where it is too wide.
  function cut(text, room) {
    let kept = [...text];
    const shown = () => kept.length < [...text].length
      ? [...kept.slice(0, Math.ceil(kept.length / 2)), "…", ...kept.slice(Math.ceil(kept.length / 2))].join("") : text;
    while (kept.length > 2 && wide(shown()) > room) kept.splice(Math.floor(kept.length / 2), 1);
    return shown();
  }

  function make(parent, name, attributes, text) {
    const element = document.createElementNS(svgName, name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    if (text !== undefined) element.textContent = text;
    parent.append(element);
    return element;
  }

  function label(svg, attributes, text, room) {
    const shown = cut(text, room);
    const element = make(svg, "text", attributes, shown);
    if (shown !== text) make(element, "title", {}, text);
  }

  function extent(floor) {
    const known = [...rows, ...data.experts].filter((each) => each.score && each.score[0] !== null)
      .map((each) => ({ cost: Array.isArray(each.cost) ? each.cost[0] : each.cost, score: each.score }))
      .filter((each) => floor === null || each.score[0] >= floor);
    if (!known.length) return null;
    const costs = known.map((each) => each.cost);
    const lows = known.map((each) => each.score[1] === null ? each.score[0] : each.score[1]);
    const highs = known.map((each) => each.score[2] === null ? each.score[0] : each.score[2]);
    const [least, most] = [Math.min(...costs), Math.max(...costs)];
    const curves = data.baselines.flatMap((each) => each.points).filter(([cost]) => cost <= most);
    const low = floor === null ? Math.min(...lows) : floor;
    const high = Math.max(...highs, ...curves.map(([, score]) => score));
    const room = 0.06 * (high - low) || 0.1 * Math.abs(high) || 0.5;
    return { least, most, low: low - room, high: high + room };
  }

  function niceTicks(low, high, count) {
    const raw = (high - low) / count;
    const unit = Math.pow(10, Math.floor(Math.log10(raw)));
    const step = [1, 2, 5, 10].map((m) => m * unit).find((s) => s >= raw);
    const found = [];
    for (let k = Math.ceil(low / step); k * step <= high; k++) found.push(Number((k * step).toPrecision(10)));
    return found;
  }

  function logTicks(low, high) {
    const found = [];
    const marks = high > 3000 * low ? [1] : [1, 2, 5];
    for (let e = Math.floor(Math.log10(low)); e <= Math.ceil(Math.log10(high)); e++) {
      for (const m of marks) {
        const value = Number((m * Math.pow(10, e)).toPrecision(6));
        if (value >= low && value <= high) found.push(value);
      }
    }
    return found;
  }

  // Draw all, with a ring around a row; zoomed: only what lies above the floor.
  function draw(row, zoomed, across, tall) {
    const span = extent(zoomed ? data.floor : null);
    if (!span) return;
    const width = Math.max(220, across);
    const height = width < 520 ? 300 : tall;
    const marks = niceTicks(span.low, span.high, 5);
    const left = Math.max(52, Math.ceil(Math.max(...marks.map((value) => wide(plain(value))))) + 12);
    const edge = { left, right: 14, top: 26, bottom: 44 };
    const logarithmic = span.least > 0 && span.most > 10 * span.least;
    const scaled = logarithmic ? Math.log10 : (v) => v;
    let least = scaled(span.least), most = scaled(span.most);
    const room = 0.05 * (most - least) || Math.abs(most) * 0.1 || 1;
    least -= room; most += room;
    const x = (v) => edge.left + (scaled(v) - least) / (most - least) * (width - edge.left - edge.right);
    const y = (v) => height - edge.bottom - (v - span.low) / (span.high - span.low) * (height - edge.top - edge.bottom);
    const svg = document.createElementNS(svgName, "svg");
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    svg.setAttribute("role", "img");
    svg.setAttribute("aria-label", `${data.metric_axis} against ${data.cost_axis}; your choice: ` +
      `${row.text.cost} ${data.unit}, ${data.metric} ${row.text.score}`);
    axes(svg, { x, y, width, height, edge, marks, logarithmic, least, most });
    const clip = make(make(svg, "defs", {}), "clipPath", { id: "plot" });
    make(clip, "rect", { x: edge.left, y: edge.top - 8, width: width - edge.left - edge.right + 8,
      height: height - edge.top - edge.bottom + 8 });
    const plot = make(svg, "g", { "clip-path": "url(#plot)" });
    data.baselines.forEach((each) => {
      // The best score needs no more cost than this: from there on, the line is flat.
      const end = each.points[each.points.length - 1];
      const points = end[0] < span.most ? [...each.points, [span.most, end[1]]] : each.points;
      make(plot, "path", { class: each.kind, d: bent(points, x, y) });
    });
    make(plot, "path", { class: "steps", d: steps(x, y, span.most) });
    rows.forEach((each) => {
      if (each.score[0] === null) return;
      const bar = each.score[1] !== null && each.fitted;
      if (bar) make(plot, "path", { class: "bar", d: `M${x(each.cost[0])} ${y(each.score[1])}V${y(each.score[2])}` });
      make(plot, "circle", { class: "policy", cx: x(each.cost[0]), cy: y(each.score[0]), r: each.fitted ? 3 : 1.8 });
    });
    const named = [];
    data.experts.forEach((each, i) => {
      if (each.score[0] === null || (zoomed && each.score[0] < data.floor)) return;
      const [px, py] = [x(each.cost), y(each.score[0])];
      make(plot, "path", { class: "bar expert", d: `M${px} ${y(each.score[1])}V${y(each.score[2])}` });
      make(plot, "path", { class: "expert", d: `M${px} ${py - 5}l5 5l-5 5l-5 -5Z` });
      named.push({ px, py, text: `#${i + 1}` });
    });
    names(svg, named, { left: edge.left, right: width - 2, top: 0, bottom: height - edge.bottom });
    if (data.chosen.score !== null) {
      const [px, py] = [x(data.chosen.cost), y(data.chosen.score)];
      make(plot, "path", { class: "chosen", d: `M${px - 5} ${py - 5}l10 10M${px - 5} ${py + 5}l10 -10` });
    }
    if (row.score[0] !== null) {
      make(svg, "circle", { class: "marker", id: "marker", cx: x(row.cost[0]), cy: y(row.score[0]), r: 8 });
    }
    box.replaceChildren(svg);
  }

  // The experts' numbers beside their marks, where no other number stands; those at one place share a label.
  function names(svg, named, inside) {
    const groups = [];
    named.forEach((each) => {
      const same = groups.find((group) => Math.hypot(group.px - each.px, group.py - each.py) < 3);
      if (same) same.text += `, ${each.text}`; else groups.push({ ...each });
    });
    const taken = [];
    groups.forEach(({ px, py, text }) => {
      const width = wide(text) * 1.1;
      const places = [13, -6, 26, -19, 39, -32].flatMap((down) => [[9, down], [-9 - width, down]])
        .map(([right, down]) => ({ left: px + right, right: px + right + width, top: py + down - 10, bottom: py + down + 2 }));
      const fits = (place) => place.left >= inside.left && place.right <= inside.right && place.top >= inside.top &&
        place.bottom <= inside.bottom;
      const free = (place) => !taken.some((other) => place.left < other.right + 2 && place.right > other.left - 2 &&
        place.top < other.bottom && place.bottom > other.top);
      const place = places.find((each) => fits(each) && free(each)) || places.find(fits) || places[0];
      taken.push(place);
      make(svg, "text", { class: "name", x: place.left, y: place.bottom - 2 }, text);
    });
  }

  function axes(svg, p) {
    const bottom = p.height - p.edge.bottom;
    const costs = p.logarithmic ? logTicks(Math.pow(10, p.least), Math.pow(10, p.most)) : niceTicks(p.least, p.most, 5);
    let free = -1e9;
    costs.filter((v) => v >= 0).forEach((value) => {
      const at = p.x(value), half = wide(plain(value)) / 2;
      if (at - half < free || at + half > p.width) return;
      free = at + half + 12;
      make(svg, "path", { class: "grid", d: `M${at} ${p.edge.top}V${bottom}` });
      make(svg, "text", { x: at, y: bottom + 16, "text-anchor": "middle" }, plain(value));
    });
    p.marks.forEach((value) => {
      make(svg, "path", { class: "grid", d: `M${p.edge.left} ${p.y(value)}H${p.width - p.edge.right}` });
      make(svg, "text", { x: p.edge.left - 6, y: p.y(value) + 4, "text-anchor": "end" }, plain(value));
    });
    make(svg, "path", { class: "axis", d: `M${p.edge.left} ${p.edge.top}V${bottom}H${p.width - p.edge.right}` });
    const text = p.width < 420 ? `cost per sample (${data.unit})` : data.cost_axis;
    label(svg, { x: p.width / 2, y: p.height - 8, "text-anchor": "middle" }, text, p.width - 8);
    label(svg, { x: 4, y: 14 }, data.metric_axis, p.width - 8);
  }

  // A line that is straight in cost is bent on a logarithmic axis.
  function bent(points, x, y) {
    const found = [];
    points.forEach(([cost, score], k) => {
      if (k) {
        const [from, least] = points[k - 1];
        for (let t = 1; t < 20; t++) {
          const at = from > 0 ? from * Math.pow(cost / from, t / 20) : from + (cost - from) * t / 20;
          found.push([at, cost > from ? least + (score - least) * (at - from) / (cost - from) : score]);
        }
      }
      found.push([cost, score]);
    });
    return found.map(([cost, score], k) => `${k ? "L" : "M"}${x(cost).toFixed(1)} ${y(score).toFixed(1)}`).join("");
  }

  function steps(x, y, until) {
    const kept = data.unbeaten.map((i) => rows[i]).filter((row) => row.score[0] !== null);
    const parts = kept.map((row, k) => k ? `H${x(row.cost[0])}V${y(row.score[0])}` : `M${x(row.cost[0])} ${y(row.score[0])}`);
    return parts.length ? parts.join("") + `H${x(until)}` : "";
  }

  return draw;
}
