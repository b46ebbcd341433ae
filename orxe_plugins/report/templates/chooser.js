(function () {
  const byId = (id) => document.getElementById(id);
  const data = JSON.parse(byId("chooser-data").textContent);
  const rows = data.rows;
  const slider = byId("preference");
  const budget = byId("budget");
  const box = byId("chart-box");
  const drawn = chart(data, box);
  // The different policies in the order of their preferences: what arrow keys go through.
  const order = rows.map((_, i) => i).sort((a, b) => rows[a].preference - rows[b].preference || a - b)
    .filter((i, k, all) => !k || rows[i].policy !== rows[all[k - 1]].policy);
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
    const fits = rows.map((_, i) => i).filter((i) => rows[i].fit_cost !== null && rows[i].fit_cost <= most);
    const safe = fits.filter((i) => rows[i].cost_error !== null && rows[i].fit_cost + rows[i].cost_error <= most);
    return (safe.length ? safe : fits).sort((a, b) => rows[b].fit_score - rows[a].fit_score ||
      rows[a].fit_cost - rows[b].fit_cost || rows[a].preference - rows[b].preference)[0];
  }

  // A number without an exponent, with all of its digits.
  function decimal(value) {
    const [, sign, whole, part = "", power = "0"] = String(value).match(/^(-?)(\d+)(?:\.(\d+))?(?:e([+-]\d+))?$/);
    const digits = whole + part, point = whole.length + Number(power);
    if (point <= 0) return `${sign}0.${"0".repeat(-point)}${digits}`;
    const all = digits.padEnd(point, "0");
    return sign + all.slice(0, point) + (all.length > point ? `.${all.slice(point)}` : "");
  }

  // A number of few digits that is no lower: as a budget, it is enough.
  function upward(value) {
    if (!(value > 0)) return decimal(value);
    let near = Number(value.toPrecision(4));
    if (near < value) near = Number((near + Math.pow(10, Math.floor(Math.log10(value)) - 3)).toPrecision(4));
    return decimal(near);
  }

  // What a reader typed: a number, or what is wrong with it. A comma may be a decimal sign or stand between thousands.
  function amount(typed) {
    const text = typed.trim().replace(/[\s_]/g, "");
    if (/^[+-]?\d{1,3},\d{3}$/.test(text) && !/^[+-]?0,/.test(text)) {
      return { wrong: `${typed.trim()} can be read in two ways: write ${text.replace(",", "")} or ${text.replace(",", ".")}.` };
    }
    const thousands = /^[+-]?\d{1,3}(,\d{3})+(\.\d*)?$/.test(text) && !/^[+-]?0,/.test(text);
    const clean = thousands ? text.replaceAll(",", "") : text.replace(",", ".");
    if (!/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(clean)) return { wrong: `${typed.trim()} is no number: write one such as 1.5.` };
    const value = Number(clean);
    return Number.isFinite(value) ? { value } : { wrong: `${typed.trim()} is too large a number.` };
  }

  // The shortest number that picks the row; null if another row has the same preference.
  function written(row, wanted) {
    for (let digits = 1; digits <= 17; digits++) {
      const number = Number(wanted.toPrecision(digits));
      if (at(number) === row) return decimal(number);
    }
    return at(rows[row].preference) === row ? decimal(rows[row].preference) : null;
  }

  function snippet() {
    const same = written(now.row, now.preference);
    const lines = [];
    if (now.budget !== null) {
      lines.push(data.safety ? `cascade.set_preference(budget=${decimal(now.budget)})`
        : `cascade.set_preference(Selection(budget=${decimal(now.budget)}, safety=0))`);
    } else if (same !== null) lines.push(`cascade.set_preference(${same})`);
    if (same !== null && data.classifies) {
      lines.push(`timm.create_model("orxe_metamodel", cascade=cascade_folder, preference=${same})`);
    }
    return lines.join("\n");
  }

  function put(id, text) { byId(id).textContent = text; }

  function show() {
    const row = rows[now.row];
    const score = row.score[0] === null ? "not known" : row.text.score + (data.percent ? " %" : "");
    slider.value = now.preference;
    put("preference-value", now.preference.toFixed(3));
    slider.setAttribute("aria-valuetext", `preference ${now.preference.toFixed(3)}: ${row.text.cost} ${data.unit}, ` +
      `${data.metric} ${score}`);
    put("choice-cost", row.text.cost);
    put("choice-cost-note", row.text.cost_interval);
    put("choice-score", score);
    put("choice-score-note", row.text.score_interval || "no interval was computed");
    put("choice-difference", row.text.change + " cost");
    put("choice-difference-note", row.text.difference ? `${data.metric} ${row.text.difference}` : "");
    put("choice-extras", Object.entries(row.extras).map(([name, text]) => `${name}: ${text}`).join("; "));
    put("choice-thresholds", row.thresholds);
    put("snippet", snippet());
    shares(row.share, row.text.shares);
    draw();
  }

  function shares(share, texts) {
    const place = byId("choice-shares");
    place.replaceChildren();
    const used = share ? share.map((_, i) => i).filter((i) => share[i] > 0) : [];
    const said = used.map((i) => `#${i + 1} ${data.experts[i].name} ${texts[i]} %`);
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

  function draw(across = box.clientWidth, tall = 400) {
    const row = rows[now.row];
    // What the reader chose is always seen: below the enlarged part, the whole is drawn.
    const below = row.score[0] !== null && row.score[0] < data.floor;
    drawn(row, data.floor !== null && byId("enlarge").checked && !below, across, tall);
  }

  // --- what the reader does --------------------------------------------------------------------------

  function note(text, wrong = false) {
    put("budget-note", text);
    budget.setAttribute("aria-invalid", wrong);
  }

  function choose(preference) {
    now = { row: at(preference), preference, budget: null };
    budget.value = "";
    note("");
    show();
  }

  function spend() {
    if (budget.value.trim() === "") {
      // The policy stays, and no longer as that of a budget.
      now = { ...now, budget: null };
      note("");
      show();
      return;
    }
    const { value: most, wrong } = amount(budget.value);
    if (wrong) { note(`${wrong} The choice stays as it is.`, true); return; }
    const row = atBudget(most);
    if (row === undefined) {
      const known = rows.filter((each) => each.fit_cost !== null).map((each) => each.fit_cost);
      note(`No policy costs at most ${decimal(most)} ${data.unit}` + (known.length ? `: the cheapest one costs ` +
        `${upward(Math.min(...known))} ${data.unit}.` : ".") + " The choice stays as it is.", true);
      return;
    }
    now = { row, preference: rows[row].preference, budget: most };
    note(`Costs ${rows[row].text.fit_cost} ${data.unit} on the fitting split.`);
    show();
  }

  slider.addEventListener("input", () => choose(Number(slider.value)));
  slider.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 }[event.key];
    if (!step || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    const same = (i) => rows[i].policy === rows[now.row].policy;
    const ahead = order.filter((i) => !same(i) && step * (rows[i].preference - now.preference) > 0);
    if (ahead.length) choose(rows[step > 0 ? ahead[0] : ahead[ahead.length - 1]].preference);
  });
  budget.addEventListener("input", spend);
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
