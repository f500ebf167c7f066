/* Charts: plain SVG. Every chart gets the element it fills and the report, and marks kernels by data-kernel, so that
 * one handler selects, names and highlights them wherever they are drawn. */

const SVG = "http://www.w3.org/2000/svg";

function svg(tag, attributes, ...children) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes || {})) if (value !== null) node.setAttribute(name, value);
  node.append(...children.filter(child => child !== null));
  return node;
}

function html(tag, attributes, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) if (value !== null) node.setAttribute(name, value);
  node.append(...children.filter(child => child !== null));
  return node;
}

function canvas(width, height, label) {
  return svg("svg", {viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label});
}

function fill(element, ...children) { element.replaceChildren(...children); }

/* 1234567 and "FLOP" give "1.23 MFLOP". */
function quantity(value, unit, digits = 3) {
  if (!isFinite(value)) return "–";
  const steps = ["", "k", "M", "G", "T"];
  let i = 0;
  while (Math.abs(value) >= 999.5 && i < steps.length - 1) { value /= 1000; i++; }
  return `${Number(value.toPrecision(digits))} ${steps[i]}${unit}`;
}

function duration(ns) {
  if (ns >= 1e9) return `${(ns / 1e9).toPrecision(3)} s`;
  if (ns >= 1e6) return `${(ns / 1e6).toPrecision(3)} ms`;
  return `${(ns / 1e3).toPrecision(3)} µs`;
}

function percent(share) { return `${(100 * share).toFixed(share < 0.0995 ? 2 : 1)} %`; }

function bytes(n) {
  if (n >= 1 << 20) return `${(n / (1 << 20)).toPrecision(3)} MiB`;
  return n >= 1024 ? `${(n / 1024).toPrecision(3)} KiB` : `${n} B`;
}

function kernelMark(kernel, tag, attributes) {
  return svg(tag, {class: `mark ${kernel.kind}`, "data-kernel": kernel.id, ...attributes});
}

function legend(report) {
  const used = ["forward", "backward", "optimizer"].filter(kind => report.kernels.some(kernel => kernel.kind === kind));
  return html("div", {class: "legend"}, ...used.map(kind => html("span", {}, html("span", {class: `dot ${kind}`}), kind)));
}

/* ---- roofline ---- */

function decades(low, high) {
  const list = [];
  for (let e = Math.ceil(Math.log10(low)); e <= Math.floor(Math.log10(high)); e++) list.push(10 ** e);
  return list;
}

function drawRoofline(element, report) {
  const W = 640, H = 430, left = 58, right = 14, top = 12, bottom = 40;
  const points = report.kernels.filter(k => k.flop > 0 && k.bytes > 0 && k.rate > 0);
  const peaks = report.peaks;
  if (!points.length) {
    fill(element, html("p", {class: "hint"}, "This profile has no counts of operations and bytes."));
    return;
  }
  const xs = points.map(k => k.flop / k.bytes), ys = points.map(k => k.rate);
  const roof = peaks ? peaks.flops : Math.max(...ys);
  const x0 = Math.min(0.02, ...xs) / 1.5, x1 = Math.max(100, ...xs) * 1.5;
  const y0 = Math.max(Math.min(...ys) / 2, roof / 3e5), y1 = roof * 2.2;
  const x = v => left + (W - left - right) * Math.log(v / x0) / Math.log(x1 / x0);
  const y = v => H - bottom - (H - top - bottom) * Math.log(Math.max(v, y0) / y0) / Math.log(y1 / y0);
  const drawing = canvas(W, H, "Roofline plot");
  for (const v of decades(x0, x1)) {
    drawing.append(svg("line", {class: "axis", x1: x(v), x2: x(v), y1: top, y2: H - bottom}),
      svg("text", {x: x(v), y: H - bottom + 16, "text-anchor": "middle"}, `${v}`));
  }
  for (const v of decades(y0, y1)) {
    drawing.append(svg("line", {class: "axis", x1: left, x2: W - right, y1: y(v), y2: y(v)}),
      svg("text", {x: left - 7, y: y(v) + 4, "text-anchor": "end"}, quantity(v, "").trim()));
  }
  drawing.append(svg("text", {x: (left + W - right) / 2, y: H - 6, "text-anchor": "middle"}, "FLOP per byte"),
    svg("text", {transform: `translate(13 ${(top + H - bottom) / 2}) rotate(-90)`, "text-anchor": "middle"}, "FLOP / s"));
  if (peaks) drawRoofs(drawing, peaks, {x, y, x0, x1, y0});
  const most = Math.max(...points.map(k => k.total));
  for (const k of [...points].sort((a, b) => b.total - a.total)) {
    const r = 2.2 + 17 * Math.sqrt(k.total / most);
    drawing.append(kernelMark(k, "circle", {cx: x(k.flop / k.bytes), cy: y(k.rate), r}));
  }
  const speeds = html("div", {class: "legend"}, ...(peaks ? peaks.levels : []).map(level => html("span", {}, `${level.name} ${quantity(level.read, "B/s")}`)));
  fill(element, drawing, legend(report), speeds);
}

function drawRoofs(drawing, peaks, scale) {
  const {x, y, x0, x1, y0} = scale;
  const ceiling = (flops, name, low) => drawing.append(
    svg("line", {class: `roof${low ? " low" : ""}`, x1: x(Math.min(flops / peaks.levels[0].read, x1)), x2: x(x1), y1: y(flops), y2: y(flops)}),
    svg("text", {x: x(x1) - 4, y: y(flops) + (low ? -5 : 13), "text-anchor": "end"}, `${name} ${quantity(flops, "FLOP/s")}`));
  ceiling(peaks.flops, "float32", false);
  if (peaks.matrix > 0) ceiling(peaks.matrix, "bf16", true);
  peaks.levels.forEach((level, i) => {
    const start = Math.max(x0, y0 / level.read), end = peaks.flops / level.read;
    const memory = i === peaks.levels.length - 1;
    drawing.append(svg("line", {class: `roof${memory ? "" : " low"}`, x1: x(start), y1: y(start * level.read), x2: x(end), y2: y(peaks.flops)}));
    const part = 0.3 + 0.5 * i / peaks.levels.length; /* one beside the other, since the lines lie close together */
    const at = Math.exp((1 - part) * Math.log(start) + part * Math.log(end));
    const angle = -Math.atan2(y(at * level.read) - y(2 * at * level.read), x(2 * at) - x(at)) * 180 / Math.PI;
    drawing.append(svg("text", {transform: `translate(${x(at)} ${y(at * level.read) - 4}) rotate(${angle})`, "text-anchor": "middle"},
      level.name));
  });
}

/* ---- timeline ---- */

function drawTimeline(element, report, sample, view) {
  const W = 1300, row = 26, gap = 6, left = 66, top = 4;
  const threads = Math.max(1, ...sample.spans.map(span => span[1] + 1));
  const H = top + threads * (row + gap) + 24;
  const end = sample.end_ns, from = view.from * end, to = view.to * end;
  const x = t => left + (W - left - 4) * (t - from) / (to - from);
  const drawing = canvas(W, H, "Timeline of the threads");
  const step = 10 ** Math.floor(Math.log10((to - from) / 4)), unit = [1, 2, 5].map(m => m * step).find(u => (to - from) / u <= 9) || 10 * step;
  for (let t = Math.ceil(from / unit) * unit; t <= to; t += unit) {
    drawing.append(svg("line", {class: "axis", x1: x(t), x2: x(t), y1: top, y2: H - 20}),
      svg("text", {x: x(t), y: H - 6, "text-anchor": "middle"}, t ? duration(t) : "0"));
  }
  const clip = svg("g", {});
  for (const [id, thread, begin, stop] of sample.spans) {
    if (stop < from || begin > to) continue;
    const a = Math.max(left, x(begin)), b = Math.min(W - 4, x(stop)), y = top + thread * (row + gap);
    const kernel = report.kernels[id];
    clip.append(kernelMark(kernel, "rect", {x: a, y, width: Math.max(0.6, b - a), height: row, rx: b - a > 6 ? 2 : 0,
      "data-note": `thread ${thread}: ${duration(stop - begin)} from ${duration(begin)}`}));
    if (b - a > 60) clip.append(svg("text", {class: "on", x: a + 5, y: y + 17}, cut(kernel.name, (b - a - 8) / 6.1)));
  }
  drawing.append(clip);
  for (let t = 0; t < threads; t++) drawing.append(svg("text", {x: left - 8, y: top + t * (row + gap) + 17, "text-anchor": "end"}, `thread ${t}`));
  fill(element, drawing);
  return {left: left / W, width: (W - left - 4) / W};
}

function cut(text, length) {
  return text.length <= length ? text : text.slice(0, Math.max(1, Math.floor(length) - 1)) + "…";
}

/* ---- scopes ---- */

function scopeTree(report) {
  const root = {name: "step", total: 0, children: new Map(), kernel: null};
  for (const kernel of report.kernels) {
    const path = kernel.scope ? kernel.scope.split(".") : ["(no scope)"];
    let node = root;
    node.total += kernel.total;
    for (const part of path) {
      if (!node.children.has(part)) node.children.set(part, {name: part, total: 0, children: new Map(), kernel: null});
      node = node.children.get(part);
      node.total += kernel.total;
    }
    node.children.set(`#${kernel.id}`, {name: kernel.what, total: kernel.total, children: new Map(), kernel});
  }
  return root;
}

function drawScopes(element, report) {
  const W = 1300, row = 23, root = scopeTree(report);
  let depth = 0;
  const drawing = canvas(W, 10, "Time by scope");
  const place = (node, level, from, path) => {
    const width = W * node.total / root.total;
    if (width < 0.4) return;
    depth = Math.max(depth, level);
    const box = {x: from, y: level * row, width: Math.max(0.4, width - 0.8), height: row - 1.5, rx: width > 6 ? 3 : 0};
    if (node.kernel) drawing.append(kernelMark(node.kernel, "rect", box));
    else drawing.append(svg("rect", {...box, class: "scope", fill: "var(--wash)", stroke: "var(--rule)",
      "data-note": `${path}: ${percent(node.total / root.total)}`}));
    if (width > 34) drawing.append(svg("text", {class: node.kernel ? "on" : "name", x: from + 5, y: level * row + 15},
      cut(width > 150 ? `${node.name}  ${percent(node.total / root.total)}` : node.name, (width - 8) / 6.1)));
    for (const child of [...node.children.values()].sort((a, b) => b.total - a.total)) {
      place(child, level + 1, from, path === "step" ? child.name : `${path}.${child.name}`);
      from += W * child.total / root.total;
    }
  };
  place(root, 0, 0, "step");
  drawing.setAttribute("viewBox", `0 0 ${W} ${(depth + 1) * row}`);
  fill(element, drawing, legend(report));
}

/* ---- memory ---- */

function drawMemory(element, report) {
  const W = 640, H = 330, left = 58, right = 8, top = 8, bottom = 34;
  const placed = report.profile.buffers.filter(b => b.offset !== undefined && b.bytes > 0 && b.last_kernel >= 0);
  const size = report.profile.workspace_bytes || Math.max(1, ...placed.map(b => b.offset + b.bytes)), n = report.kernels.length;
  const x = k => left + (W - left - right) * k / n, y = v => H - bottom - (H - top - bottom) * v / size;
  const drawing = canvas(W, H, "Memory plan");
  for (let i = 0; i <= 4; i++) {
    drawing.append(svg("line", {class: "axis", x1: left, x2: W - right, y1: y(size * i / 4), y2: y(size * i / 4)}),
      svg("text", {x: left - 7, y: y(size * i / 4) + 4, "text-anchor": "end"}, i ? bytes(size * i / 4) : "0"));
  }
  drawing.append(svg("text", {x: (left + W - right) / 2, y: H - 8, "text-anchor": "middle"}, `kernels 0 to ${n - 1}`));
  for (const b of placed) {
    const maker = report.kernels[Math.max(0, b.first_kernel)];
    drawing.append(kernelMark(maker, "rect", {x: x(b.first_kernel), y: y(b.offset + b.bytes), width: x(b.last_kernel + 1) - x(b.first_kernel),
      height: Math.max(0.5, y(b.offset) - y(b.offset + b.bytes)), "fill-opacity": 0.78,
      "data-note": `${b.name} ${b.type}, ${bytes(b.bytes)}, kernels ${b.first_kernel} to ${b.last_kernel}`}));
  }
  const outside = report.profile.buffers.filter(b => b.offset === undefined).reduce((sum, b) => sum + b.bytes, 0);
  fill(element, drawing, html("div", {class: "legend"},
    html("span", {}, `workspace ${bytes(size)}`), html("span", {}, `states and inputs ${bytes(outside)}`),
    html("span", {}, "coloured by the kernel that makes it")));
}

/* ---- graph ---- */

/* Kernels in layers: one after the last of those it reads from. */
function layers(report) {
  const writer = new Map(), before = report.kernels.map(() => new Set());
  report.kernels.forEach((kernel, id) => {
    for (const use of kernel.uses) if (use.access !== "out" && writer.has(use.id)) before[id].add(writer.get(use.id));
    for (const use of kernel.uses) if (use.access !== "in") writer.set(use.id, id);
  });
  const depth = [];
  before.forEach((from, id) => { depth[id] = Math.max(-1, ...[...from].map(other => depth[other])) + 1; });
  return {before, depth};
}

function drawGraph(element, report) {
  const W = 640, H = 330, pad = 16, {before, depth} = layers(report);
  const columns = Math.max(...depth) + 1, rows = Array.from({length: columns}, () => []);
  depth.forEach((column, id) => rows[column].push(id));
  const place = report.kernels.map(() => 0.5);
  for (let sweep = 0; sweep < 4; sweep++) {
    for (const row of rows) {
      const pull = id => before[id].size ? [...before[id]].reduce((sum, other) => sum + place[other], 0) / before[id].size : place[id];
      row.sort((a, b) => pull(a) - pull(b) || a - b).forEach((id, i) => { place[id] = (i + 0.5) / row.length; });
    }
  }
  const x = id => pad + (W - 2 * pad) * depth[id] / Math.max(1, columns - 1), y = id => pad + (H - 2 * pad) * place[id];
  const drawing = canvas(W, H, "Graph of the kernels"), most = Math.max(...report.kernels.map(kernel => kernel.total));
  before.forEach((from, id) => {
    for (const other of from) {
      const middle = (x(other) + x(id)) / 2;
      drawing.append(svg("path", {class: "edge", d: `M${x(other)},${y(other)} C${middle},${y(other)} ${middle},${y(id)} ${x(id)},${y(id)}`}));
    }
  });
  for (const kernel of [...report.kernels].sort((a, b) => a.total - b.total)) {
    const heat = Math.sqrt(kernel.total / most);
    drawing.append(kernelMark(kernel, "circle", {cx: x(kernel.id), cy: y(kernel.id), r: 1.8 + 10 * heat,
      style: `fill: color-mix(in oklab, var(--hot) ${(100 * heat).toFixed(0)}%, var(--cold))`}));
  }
  fill(element, drawing, html("div", {class: "legend"}, html("span", {}, `${report.kernels.length} kernels`),
    html("span", {}, `longest chain ${columns}`)));
}
