/* The report: reads the profile, draws everything, and keeps one kernel chosen in all of it. */

const report = {profile: JSON.parse(document.getElementById("profile").textContent), sources: {}, chosen: null, tab: 0,
  sort: {column: "total", down: true}, open: new Set(), view: {from: 0, to: 1}, sample: 0};
const byId = id => document.getElementById(id);
const chart = id => byId(id).querySelector(".chart");

/* The profile's own members in the words of the report: times are those of one step. */
function readProfile() {
  const p = report.profile, sources = JSON.parse(byId("sources").textContent);
  for (const [file, text] of Object.entries(sources)) report.sources[file] = text.split("\n");
  const steps = Math.max(1, p.steps);
  report.kernels = p.kernels.map(k => {
    const at = k.name.indexOf(": "), roof = k.roofline || {};
    return {id: k.id, name: k.name, what: at > 0 ? k.name.slice(at + 2) : k.name, scope: k.scope, kind: k.direction || "forward",
      total: k.total_ns / steps, median: k.median_ns, share: k.share, balance: k.balance, pieces: k.pieces, block: k.block,
      words: k.words || [], uses: k.buffers || [], code: k.code, lines: k.lines || [], decisions: k.decisions,
      flop: k.flop || 0, bytes: k.bytes ? k.bytes.touched : 0, memory: k.bytes ? k.bytes.memory : 0, roof: roof.share, bound: roof.bound, exceeds: roof.exceeds,
      rate: k.flop && k.median_ns ? k.flop / k.median_ns * 1e9 : 0};
  });
  const samples = p.timeline || []; /* the quickest says most of the code, and least of the machine's other programs */
  report.sample = samples.reduce((best, sample, i) => sample.end_ns < samples[best].end_ns ? i : best, 0);
  const machine = p.machine;
  if (machine) report.peaks = {flops: machine.fma[1], matrix: machine.matrix[1], levels: machine.levels.map(l => ({name: l.name, read: l.read[1]}))};
}

/* ---- head ---- */

function drawHead() {
  const p = report.profile;
  document.title = `${p.model}, ${p.mode}: Moire profile`;
  byId("title").textContent = `${p.model}, ${p.mode}`;
  byId("subtitle").textContent = `${p.steps} steps of ${p.batch} on ${p.threads} thread${p.threads === 1 ? "" : "s"} · ${p.target}` +
    `${p.machine ? ` · ${p.machine.cpu}` : ""} · Moire ${p.moire}`;
  const flop = report.kernels.reduce((sum, k) => sum + k.flop, 0), figures = [
    ["a step, median", duration(p.time.step.median_ns)], ["of it in kernels", percent(p.time.kernels_ns / Math.max(1, p.time.step.total_ns))],
    ["kernels", `${report.kernels.length}`], ["workspace", bytes(p.workspace_bytes || 0)]];
  if (flop) figures.splice(2, 0, ["work of a step", quantity(flop, "FLOP")], ["speed", quantity(flop / p.time.step.median_ns * 1e9, "FLOP/s")]);
  fill(byId("remarks"), ...(p.remarks || []).map(text => html("p", {}, text)));
  fill(byId("figures"), ...figures.map(([name, value]) => html("div", {}, html("dt", {}, name), html("dd", {}, value))));
}

/* ---- the tables ---- */

const columns = [
  {key: "name", title: "kernel", text: true, show: k => html("span", {}, html("span", {class: `dot ${k.kind}`}), k.name)},
  {key: "total", title: "a step", show: k => duration(k.total)},
  {key: "share", title: "share", show: k => html("span", {}, percent(k.share), html("span", {class: `share ${k.kind}`,
    style: `width: ${(60 * k.share / report.most).toFixed(1)}px; margin-right: ${(60 - 60 * k.share / report.most).toFixed(1)}px`}))},
  {key: "rate", title: "FLOP/s", needs: "flop", show: k => k.rate ? quantity(k.rate, "") : "–"},
  {key: "roof", title: "of its roof", needs: "roof", show: k => k.roof === undefined || k.roof === null ? "–" : html("span", k.exceeds ? {class: "exceeds", title: "above its roof: what was counted lay nearer than assumed, or the peaks are too low"} : {}, `${percent(k.roof)}${k.exceeds ? " !" : ""}`)},
];

function matches(kernel, words) {
  const text = `${kernel.name} ${kernel.scope} ${kernel.words.join(" ")} ${kernel.lines.map(l => `${l.file}:${l.line}`).join(" ")}`.toLowerCase();
  return words.every(word => text.includes(word));
}

/* Kernels of one code are one row, which opens: the same layer again, or the same work on another weight. */
function groupsOf(kernels) {
  const byCode = new Map();
  for (const k of kernels) byCode.set(k.code, [...(byCode.get(k.code) || []), k]);
  return [...byCode].map(([code, list]) => {
    const sum = key => list.reduce((all, k) => all + (k[key] || 0), 0), most = list.reduce((a, b) => b.total > a.total ? b : a);
    return {...most, kernels: list, code, name: list.length > 1 ? `${list.length} × ${common(list.map(k => k.name))}` : most.name,
      total: sum("total"), share: sum("share"), rate: sum("total") ? sum("flop") / sum("median") * 1e9 : 0};
  });
}

/* What the names have in common, word by word; "…" where they differ. */
function common(names) {
  const words = names.map(name => name.split(/(?<=[.: ])/)), first = words[0];
  if (words.some(other => other.length !== first.length)) return names[0].replace(/^[^:]*: /, "… ");
  return first.map((word, i) => words.every(other => other[i] === word) ? word : word.replace(/[^.: ]+/, "…")).join("");
}

function drawTable() {
  const table = byId("kernels").querySelector("table"), {column, down} = report.sort;
  const shown = columns.filter(c => !c.needs || report.kernels.some(k => k[c.needs]));
  const words = byId("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
  report.most = Math.max(1e-9, ...report.kernels.map(k => k.share));
  const order = (a, b) => column === "name" ? a.name.localeCompare(b.name) : (a[column] || 0) - (b[column] || 0);
  report.groups = groupsOf(report.kernels.filter(k => matches(k, words))).sort((a, b) => (down ? -1 : 1) * order(a, b) || a.kernels[0].id - b.kernels[0].id);
  for (const group of report.groups) group.kernels.sort((a, b) => (down ? -1 : 1) * order(a, b) || a.id - b.id);
  report.rows = report.groups.flatMap(group => group.kernels);
  fill(table.tHead, html("tr", {}, ...shown.map(c => {
    const head = html("th", {class: c.text ? "text" : null, scope: "col", "aria-sort": c.key === column ? (down ? "descending" : "ascending") : null}, c.title);
    head.onclick = () => { report.sort = {column: c.key, down: c.key === column ? !down : !c.text}; drawTable(); };
    return head;
  })));
  const row = (k, attributes) => html("tr", {tabindex: "-1", ...attributes}, ...shown.map(c => html("td", {class: c.text ? "text" : null, title: c.text ? k.name : null}, c.show(k))));
  const member = k => row(k, {"data-kernel": k.id, "aria-selected": `${k.id === report.chosen}`});
  fill(table.tBodies[0], ...report.groups.flatMap(group => {
    if (group.kernels.length === 1) return [member(group.kernels[0])];
    const open = report.open.has(group.code), head = row(group, {"data-group": group.code, "aria-expanded": `${open}`});
    head.onclick = () => { report.open[open ? "delete" : "add"](group.code); drawTable(); };
    return open ? [head, ...group.kernels.map(k => { const inner = member(k); inner.classList.add("inner"); return inner; })] : [head];
  }));
  const share = report.rows.reduce((sum, k) => sum + k.share, 0);
  byId("count").textContent = words.length ? `${report.rows.length} of ${report.kernels.length}, ${percent(share)}` : `${report.rows.length} in ${report.groups.length} codes`;
}

/* By line of the model, if the profile says so. */
function drawLines() {
  const lines = report.profile.lines;
  byId("lines").hidden = !lines || !lines.length;
  if (!lines) return;
  const table = byId("lines").querySelector("table"), heads = ["line", "forward", "backward", "optimizer", "share", "model"];
  fill(table.tHead, html("tr", {}, ...heads.map((h, i) => html("th", {class: i === 0 || i === 5 ? "text" : null, scope: "col"}, h))));
  const text = l => (report.sources[l.file] || [])[l.line - 1] || "";
  fill(table.tBodies[0], ...[...lines].sort((a, b) => b.share - a.share).map(l => {
    const row = html("tr", {"data-find": `${l.file}:${l.line}`}, html("td", {class: "text"}, `${l.file}:${l.line}`),
      ...[l.forward_ns, l.backward_ns, l.optimizer_ns].map(ns => html("td", {}, ns ? duration(ns / report.profile.steps) : "–")),
      html("td", {}, percent(l.share)), html("td", {class: "text", style: "max-width: none; font-family: ui-monospace, monospace"}, text(l).trim()));
    row.onclick = () => { byId("filter").value = row.dataset.find; drawTable(); byId("kernels").scrollIntoView({block: "start"}); };
    return row;
  }));
}

/* ---- one kernel ---- */

function facts(k) {
  const list = [["a step", duration(k.total)], ["share", percent(k.share)], ["median of a call", duration(k.median)],
    ["in", `${k.pieces} piece${k.pieces === 1 ? "" : "s"} of ${k.block}`], ["balance", k.balance.toFixed(2)]];
  if (k.flop) list.push(["work", quantity(k.flop, "FLOP")], ["speed", quantity(k.rate, "FLOP/s")]);
  if (k.bytes) list.push(["touches", bytes(k.bytes)], ["of that from memory", bytes(k.memory)], ["intensity", `${(k.flop / k.bytes).toPrecision(3)} FLOP/B`]);
  if (k.roof) list.push(["of its roof", `${percent(k.roof)}${k.exceeds ? " (more than the machine can: counted farther away than it lay)" : ""}, bound by ${k.bound}`]);
  return html("dl", {}, ...list.map(([name, value]) => html("div", {}, html("dt", {}, name), html("dd", {}, value))));
}

function decisions(d) {
  const list = [`${d.nodes} node${d.nodes === 1 ? "" : "s"} of the graph in one kernel; ${d.schedule}`];
  if (d.way) list.push(d.way);
  if (d.loops) list.push(`loops: ${d.loops.replace(/ > /g, " › ").replace(/(\d+) x /g, "$1 × ")}`);
  if (d.local_bytes) list.push(`${bytes(d.local_bytes)} of rows and tiles of its own`);
  return list.concat((d.apart || []).slice(0, 6));
}

function drawKernel() {
  const section = byId("kernel"), k = report.kernels[report.chosen];
  section.hidden = !k;
  if (!k) return;
  const code = (report.profile.codes || [])[k.code];
  const top = html("div", {class: "top"}, html("h2", {}, html("span", {class: `dot ${k.kind}`}), k.name), facts(k));
  const why = k.decisions ? html("ul", {class: "why"}, ...decisions(k.decisions).map(text => html("li", {}, text))) : null;
  if (!code) { fill(section, ...[top, why].filter(Boolean)); return; }
  const texts = [["Loop nest", loopRows, code.loop], ["LLVM IR", llvmRows, code.llvm], ["Assembly", assemblyRows, code.assembly]];
  const rows = texts[report.tab][1](texts[report.tab][2]), colours = tints(rows);
  const tabs = html("div", {class: "bar", role: "tablist"}, ...texts.map(([title], i) => {
    const tab = html("button", {role: "tab", "aria-selected": `${i === report.tab}`}, title);
    tab.onclick = () => { report.tab = i; drawKernel(); };
    return tab;
  }), html("span", {}, `${rows.length} lines`));
  const left = html("div", {class: "pane"}, html("div", {class: "bar"}, html("h3", {}, "The model's lines"), html("span", {}, "share of the text at the right")), modelPane(report, rows, colours));
  fill(section, ...[top, why, html("div", {class: "panes"}, left, html("div", {class: "pane"}, tabs, codePane(rows, colours)))].filter(Boolean));
}

function lightLine(event) {
  const row = event.target.closest(".code div[data-line]"), line = row && row.dataset.line;
  for (const other of byId("kernel").querySelectorAll(".code div[data-line]")) other.classList.toggle("lit", other.dataset.line === line);
  const pane = row && row.closest(".pane"), far = pane && [...byId("kernel").querySelectorAll(".pane")].find(p => p !== pane);
  if (event.type !== "click" || !far) return;
  const first = [...far.querySelectorAll(".code div[data-line]")].find(other => other.dataset.line === line);
  if (first) first.scrollIntoView({block: "nearest"});
}

/* ---- choosing ---- */

function mark() {
  for (const old of document.querySelectorAll(".chosen")) old.classList.remove("chosen");
  for (const now of document.querySelectorAll(`svg [data-kernel="${report.chosen}"]`)) now.classList.add("chosen");
  for (const row of byId("kernels").querySelectorAll("tbody tr")) row.setAttribute("aria-selected", `${row.dataset.kernel === `${report.chosen}`}`);
}

function choose(id) {
  report.chosen = id;
  const group = (report.groups || []).find(g => g.kernels.length > 1 && g.kernels.some(k => k.id === id));
  if (group && !report.open.has(group.code)) { report.open.add(group.code); drawTable(); }
  drawKernel();
  mark();
  const row = byId("kernels").querySelector(`tr[data-kernel="${id}"]`);
  if (row) row.scrollIntoView({block: "nearest"});
  history.replaceState(null, "", `#kernel-${id}`);
}

function move(by) {
  const at = report.rows.findIndex(k => k.id === report.chosen), next = report.rows[Math.min(report.rows.length - 1, Math.max(0, at + by))];
  if (next) choose(next.id);
}

function tip(event) {
  const box = byId("tip"), target = event.target.closest && event.target.closest("svg [data-kernel], svg [data-note]");
  box.hidden = !target;
  if (!target) return;
  const k = report.kernels[target.dataset.kernel];
  box.textContent = [k && k.name, k && `${duration(k.total)} a step, ${percent(k.share)}`, k && k.rate && quantity(k.rate, "FLOP/s"), target.dataset.note].filter(Boolean).join("\n");
  box.style.left = `${Math.min(event.clientX + 14, innerWidth - box.offsetWidth - 8)}px`;
  box.style.top = `${event.clientY + 18 + box.offsetHeight > innerHeight ? event.clientY - box.offsetHeight - 10 : event.clientY + 18}px`;
}

/* ---- the timeline's view ---- */

let frame = {left: 0, width: 1}; /* of the chart, where time is */

function redrawTimeline() {
  const samples = report.profile.timeline || [];
  byId("timeline").hidden = !samples.length;
  if (!samples.length) return;
  frame = drawTimeline(chart("timeline"), report, samples[report.sample], report.view);
  fill(byId("samples"), ...samples.map((sample, i) => {
    const button = html("button", {"aria-pressed": `${i === report.sample}`}, `step ${sample.step}: ${duration(sample.end_ns)}`);
    button.onclick = () => { report.sample = i; redrawTimeline(); mark(); };
    return button;
  }));
  mark();
}

function setView(from, to) {
  const width = Math.min(1, Math.max(1e-5, to - from)), start = Math.min(1 - width, Math.max(0, from));
  report.view = {from: start, to: start + width};
  redrawTimeline();
}

function zoom(factor, at) {
  const {from, to} = report.view, center = from + (to - from) * at, width = (to - from) * factor;
  setView(center - width * at, center + width * (1 - at));
}

function watchTimeline() {
  const element = chart("timeline");
  const where = event => {
    const box = element.getBoundingClientRect();
    return ((event.clientX - box.left) / box.width - frame.left) / frame.width;
  };
  let drag = null;
  element.addEventListener("wheel", event => { event.preventDefault(); zoom(event.deltaY > 0 ? 1.25 : 0.8, where(event)); }, {passive: false});
  element.addEventListener("pointerdown", event => { drag = {at: where(event), ...report.view}; });
  addEventListener("pointerup", () => { drag = null; });
  element.addEventListener("pointermove", event => {
    if (!drag || Math.abs(where(event) - drag.at) < 0.005) return;
    const by = (drag.at - where(event)) * (drag.to - drag.from);
    setView(drag.from + by, drag.to + by);
  });
  element.addEventListener("keydown", event => {
    const {from, to} = report.view, step = (to - from) / 5;
    const act = {"+": () => zoom(0.7, 0.5), "=": () => zoom(0.7, 0.5), "-": () => zoom(1.4, 0.5), "0": () => setView(0, 1),
      ArrowLeft: () => setView(from - step, to - step), ArrowRight: () => setView(from + step, to + step)}[event.key];
    if (act) { event.preventDefault(); act(); }
  });
}

/* ---- everything ---- */

function setTheme(dark) { document.documentElement.dataset.theme = dark ? "dark" : "light"; }

function watch() {
  const choice = event => {
    const target = event.target.closest("[data-kernel]");
    if (target) choose(Number(target.dataset.kernel));
  };
  document.addEventListener("click", choice);
  document.addEventListener("pointermove", tip);
  byId("kernel").addEventListener("pointerover", lightLine);
  byId("kernel").addEventListener("click", lightLine);
  byId("filter").addEventListener("input", drawTable);
  byId("theme").onclick = () => setTheme(document.documentElement.dataset.theme !== "dark");
  document.addEventListener("keydown", event => {
    if (event.target.tagName === "INPUT") {
      if (event.key === "Escape" || event.key === "Enter") event.target.blur();
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest(".code")) return;
    const act = {j: () => move(1), k: () => move(-1), ArrowDown: () => move(1), ArrowUp: () => move(-1), t: () => byId("theme").click(),
      "/": () => byId("filter").focus(), 1: () => { report.tab = 0; drawKernel(); }, 2: () => { report.tab = 1; drawKernel(); },
      3: () => { report.tab = 2; drawKernel(); }}[event.key];
    if (act) { event.preventDefault(); act(); }
  });
}

setTheme(matchMedia("(prefers-color-scheme: dark)").matches);
readProfile();
drawHead();
drawRoofline(chart("roofline"), report);
drawTable();
drawLines();
drawScopes(chart("scopes"), report);
drawMemory(chart("memory"), report);
drawGraph(chart("graph"), report);
redrawTimeline();
watchTimeline();
watch();
const asked = location.hash.match(/^#kernel-(\d+)$/);
choose(asked && report.kernels[asked[1]] ? Number(asked[1]) : (report.rows[0] || {id: 0}).id);
