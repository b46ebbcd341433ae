"use strict";
(function () {
  const byId = (id) => document.getElementById(id);
  const data = JSON.parse(byId("chooser-data").textContent);
  const rows = data.rows;
  const slider = byId("preference");
  const budget = byId("budget");
  const box = byId("chart-box");
  const svgName = document.querySelector("#chart-legend svg").namespaceURI;
  // The different policies in the order of their preferences: what arrow keys go through.
  const order = rows.map((_, i) => i).sort((a, b) => rows[a].preference - rows[b].preference || a - b)
    .filter((i, k, all) => !k || rows[i].thresholds !== rows[all[k - 1]].thresholds);
  let now = { row: 0, preference: 0, budget: null };

  // As PolicyTable.at: the nearest preference, the lower one of two equally near, a fitted row before others.
  function at(preference) {
    let best = 0;
    rows.forEach((row, i) => {
      const d = Math.abs(row.preference - preference);
      const least = Math.abs(rows[best].preference - preference);
      if (d < least || (d === least && row.preference < rows[best].preference)) best = i;
    });
    return best;
  }

  // As PolicyTable.at_budget: the best score within the budget, one standard error on the safe side if possible.
  function atBudget(most) {
    const fits = rows.map((_, i) => i).filter((i) => rows[i].fit_cost <= most);
    const safe = fits.filter((i) => rows[i].fit_cost + rows[i].cost_error <= most);
    return (safe.length ? safe : fits).sort((a, b) => rows[b].fit_score - rows[a].fit_score ||
      rows[a].fit_cost - rows[b].fit_cost || rows[a].preference - rows[b].preference)[0];
  }

  // The shortest number that picks the row; null if another row has the same preference.
  function written(row, wanted) {
    for (let digits = 1; digits <= 17; digits++) {
      const text = String(Number(wanted.toPrecision(digits)));
      if (at(Number(text)) === row) return text;
    }
    return at(rows[row].preference) === row ? String(rows[row].preference) : null;
  }

  function snippet() {
    const same = written(now.row, now.preference);
    const lines = [];
    if (now.budget !== null) {
      lines.push(data.safety ? `cascade.set_preference(budget=${now.budget})`
        : `cascade.set_preference(Selection(budget=${now.budget}, safety=0))`);
    } else if (same !== null) lines.push(`cascade.set_preference(${same})`);
    if (same !== null) lines.push(`timm.create_model("orxe_metamodel", cascade=cascade_folder, preference=${same})`);
    return lines.join("\n");
  }

  // A number as people write it: no exponent.
  function plain(value, digits = 10) {
    return value.toLocaleString("en-US", { maximumSignificantDigits: digits, useGrouping: false });
  }

  function put(id, text) { byId(id).textContent = text; }

  function show() {
    const row = rows[now.row];
    const percent = data.percent ? " %" : "";
    slider.value = now.preference;
    put("preference-value", now.preference.toFixed(3));
    slider.setAttribute("aria-valuetext", `preference ${now.preference.toFixed(3)}: ${row.text.cost} ${data.unit}, ` +
      `${data.metric} ${row.text.score}${percent}`);
    put("choice-cost", row.text.cost);
    put("choice-cost-note", row.text.cost_interval);
    put("choice-score", row.text.score + percent);
    put("choice-score-note", row.text.score_interval || "no interval was computed");
    put("choice-difference", row.text.change + " cost");
    put("choice-difference-note", row.text.difference ? `${data.metric} ${row.text.difference}` : "");
    put("choice-extras", Object.entries(row.extras).map(([name, text]) => `${name}: ${text}`).join("; "));
    put("choice-thresholds", row.thresholds);
    put("snippet", snippet());
    shares(row.share);
    draw();
  }

  function shares(share) {
    const place = byId("choice-shares");
    place.replaceChildren();
    const used = share ? share.map((_, i) => i).filter((i) => share[i] > 0) : [];
    const said = used.map((i) => `#${i + 1} ${data.experts[i].name} ${(100 * share[i]).toFixed(1)} %`);
    place.setAttribute("aria-label", share ? `samples answered: ${said.join(", ")}` : "exit shares are not known");
    if (!share) place.textContent = "Exit shares are not known for this policy.";
    used.forEach((i, k) => {
      const line = document.createElement("div");
      const name = document.createElement("span");
      const bar = document.createElement("span");
      name.textContent = said[k];
      bar.className = "share";
      bar.style.setProperty("--share", `${100 * share[i]}%`);
      line.append(name, bar);
      place.append(line);
    });
  }

  // --- the chart -------------------------------------------------------------------------------------

  function make(parent, name, attributes, text) {
    const element = document.createElementNS(svgName, name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    if (text !== undefined) element.textContent = text;
    parent.append(element);
    return element;
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
    const room = 0.06 * (high - low) || 0.5;
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
    for (let e = Math.floor(Math.log10(low)); e <= Math.ceil(Math.log10(high)); e++) {
      for (const m of [1, 2, 5]) {
        const value = Number((m * Math.pow(10, e)).toPrecision(6));
        if (value >= low && value <= high) found.push(value);
      }
    }
    return found;
  }

  function draw(across = box.clientWidth, tall = 400) {
    const row = rows[now.row];
    // What the reader chose is always seen: below the enlarged part, the whole is drawn.
    const below = row.score[0] !== null && row.score[0] < data.floor;
    const zoomed = data.floor !== null && byId("enlarge").checked && !below;
    const span = extent(zoomed ? data.floor : null);
    if (!span) return;
    const width = Math.max(220, across);
    const height = width < 520 ? 300 : tall;
    const edge = { left: 52, right: 14, top: 26, bottom: 44 };
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
    axes(svg, { x, y, width, height, edge, span, logarithmic, least, most });
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
    data.experts.forEach((each, i) => {
      if (each.score[0] === null || (zoomed && each.score[0] < data.floor)) return;
      const [px, py] = [x(each.cost), y(each.score[0])];
      make(plot, "path", { class: "bar expert", d: `M${px} ${y(each.score[1])}V${y(each.score[2])}` });
      make(plot, "path", { class: "expert", d: `M${px} ${py - 5}l5 5l-5 5l-5 -5Z` });
      const right = px > width - edge.right - 40;
      make(svg, "text", { class: "name", x: px + (right ? -9 : 9), y: py + 13, "text-anchor": right ? "end" : "start" },
        `#${i + 1}`);
    });
    if (data.chosen.score !== null) {
      const [px, py] = [x(data.chosen.cost), y(data.chosen.score)];
      make(plot, "path", { class: "chosen", d: `M${px - 5} ${py - 5}l10 10M${px - 5} ${py + 5}l10 -10` });
    }
    if (row.score[0] !== null) {
      make(svg, "circle", { class: "marker", id: "marker", cx: x(row.cost[0]), cy: y(row.score[0]), r: 8 });
    }
    box.replaceChildren(svg);
  }

  function axes(svg, p) {
    const bottom = p.height - p.edge.bottom;
    const costs = p.logarithmic ? logTicks(Math.pow(10, p.least), Math.pow(10, p.most)) : niceTicks(p.least, p.most, 5);
    let last = -1e9;
    costs.filter((v) => v >= 0).forEach((value) => {
      const at = p.x(value);
      if (at - last < 46) return;
      last = at;
      make(svg, "path", { class: "grid", d: `M${at} ${p.edge.top}V${bottom}` });
      make(svg, "text", { x: at, y: bottom + 16, "text-anchor": "middle" }, plain(value));
    });
    niceTicks(p.span.low, p.span.high, 5).forEach((value) => {
      make(svg, "path", { class: "grid", d: `M${p.edge.left} ${p.y(value)}H${p.width - p.edge.right}` });
      make(svg, "text", { x: p.edge.left - 6, y: p.y(value) + 4, "text-anchor": "end" }, plain(value));
    });
    make(svg, "path", { class: "axis", d: `M${p.edge.left} ${p.edge.top}V${bottom}H${p.width - p.edge.right}` });
    const label = p.width < 420 ? `cost per sample (${data.unit})` : data.cost_axis;
    make(svg, "text", { x: (p.edge.left + p.width - p.edge.right) / 2, y: p.height - 8, "text-anchor": "middle" }, label);
    make(svg, "text", { x: 4, y: 14 }, data.metric_axis);
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

  // --- what the reader does --------------------------------------------------------------------------

  function choose(preference) {
    now = { row: at(preference), preference, budget: null };
    budget.value = "";
    put("budget-note", "");
    show();
  }

  slider.addEventListener("input", () => choose(Number(slider.value)));
  slider.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 }[event.key];
    if (!step || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    const same = (i) => rows[i].thresholds === rows[now.row].thresholds;
    const ahead = order.filter((i) => !same(i) && step * (rows[i].preference - now.preference) > 0);
    if (ahead.length) choose(rows[step > 0 ? ahead[0] : ahead[ahead.length - 1]].preference);
  });
  budget.addEventListener("input", () => {
    const most = Number(budget.value);
    if (budget.value.trim() === "" || !Number.isFinite(most)) { put("budget-note", ""); return; }
    const row = atBudget(most);
    if (row === undefined) {
      const least = rows.reduce((a, b) => a.fit_cost <= b.fit_cost ? a : b);
      put("budget-note", `No policy costs at most ${budget.value} ${data.unit}: the cheapest one costs ` +
        `${plain(least.fit_cost, 3)} ${data.unit}.`);
      return;
    }
    now = { row, preference: rows[row].preference, budget: most };
    put("budget-note", `Costs ${plain(rows[row].fit_cost, 3)} ${data.unit} on the fitting split.`);
    show();
  });
  byId("enlarge").addEventListener("change", () => draw());
  byId("copy").addEventListener("click", () => {
    const text = byId("snippet").textContent;
    const said = (worked) => { put("copy", worked ? "Copied" : "Press Ctrl+C"); setTimeout(() => put("copy", "Copy"), 1500); };
    const select = () => { window.getSelection().selectAllChildren(byId("snippet")); said(false); };
    if (navigator.clipboard) navigator.clipboard.writeText(text).then(() => said(true), select); else select();
  });
  let waiting = 0;
  window.addEventListener("resize", () => { cancelAnimationFrame(waiting); waiting = requestAnimationFrame(() => draw()); });
  // A sheet is narrower than most windows: text is drawn as large as it is to be read.
  window.addEventListener("beforeprint", () => draw(660, 310));
  window.addEventListener("afterprint", () => draw());

  document.querySelector(".chooser-controls").hidden = false;
  byId("choice").hidden = byId("chart-legend").hidden = false;
  document.querySelector(".toggle").hidden = data.floor === null;
  const first = data.chosen.row === null ? at(0.5) : data.chosen.row;
  choose(rows[first].preference);
})();
