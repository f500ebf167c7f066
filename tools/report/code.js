/* Code: the loop nest, LLVM IR and assembly of a kernel as rows that know the model's line they serve.
 *
 * The texts carry their lines in their own ways: `at "file":line` in loop nests, !dbg and !DILocation in LLVM IR, .file and
 * .loc in assembly. A row is {text, at}, `at` being "file:line" or null. */

/* The build may have named files from its own folder. */
function place(file, line) { return `${file.replace(/^(\.\/|\.\.\/)+/, "")}:${line}`; }

function loopRows(text) {
  return text.trimEnd().split("\n").map(row => {
    const found = row.match(/^(.*?) at "((?:[^"\\]|\\.)*)":(\d+)( \{)?$/);
    return found ? {text: found[1] + (found[4] || ""), at: place(found[2], found[3])} : {text: row, at: null};
  });
}

function llvmRows(text) {
  const files = new Map(), scopes = new Map(), places = new Map(), rows = [];
  for (const [, id, what] of text.matchAll(/^!(\d+) = (.*)$/gm)) {
    const member = name => (what.match(new RegExp(`\\b${name}: (?:"([^"]*)"|!?([\\w.]+))`)) || []).slice(1).find(v => v !== undefined);
    if (/!DIFile\(/.test(what)) files.set(id, member("filename"));
    else if (/!DISubprogram\(|!DILexicalBlockFile\(/.test(what)) scopes.set(id, member("file"));
    else if (/!DILocation\(/.test(what)) places.set(id, [member("scope"), member("line")]);
  }
  for (const row of text.split("\n")) {
    if (/^(!|attributes |source_filename|target |; Function Attrs|; ModuleID|declare )/.test(row)) continue;
    const found = row.match(/^(.*?),? !dbg !(\d+)(.*)$/), where = found && places.get(found[2]);
    const file = where && where[1] !== "0" && files.get(scopes.get(where[0]));
    rows.push({text: found ? found[1] + found[3] : row, at: file && !row.startsWith("define") ? place(file, where[1]) : null});
  }
  return squeeze(rows);
}

function assemblyRows(text) {
  const files = new Map(), rows = [];
  let at = null;
  for (const row of text.split("\n")) {
    const file = row.match(/^\s*\.file\s+(\d+)\s+(?:"[^"]*"\s+)?"([^"]*)"/), loc = row.match(/^\s*\.loc\s+(\d+)\s+(\d+)/);
    if (/^\s*\.section\s+\.debug/.test(row)) break;
    if (file) files.set(file[1], file[2]);
    else if (loc) at = loc[2] === "0" || !files.has(loc[1]) ? null : place(files.get(loc[1]), loc[2]);
    else if (/^\s*\.(?!L)|^\s*#|^\.L(tmp|func|cfi|CPI)|^\s*$/.test(row)) continue;
    else {
      const label = /^\S.*:/.test(row);
      if (label && !row.startsWith(".L")) at = null;
      rows.push({text: row.replace(/\t/g, "  ").replace(/^ {2}(\S+) +/, (all, op) => `  ${op.padEnd(13)} `).replace(/\s+#.*$/, ""), at: label ? null : at, counts: !label});
    }
  }
  return squeeze(rows);
}

function squeeze(rows) { return rows.filter((row, i) => row.text.trim() || (i && rows[i - 1].text.trim())); }

/* Colours of the lines, in the order in which they come. */
function tints(rows) {
  const lines = [...new Set(rows.map(row => row.at).filter(Boolean))].sort((a, b) => a.localeCompare(b, "en", {numeric: true}));
  return new Map(lines.map((line, i) => [line, `hsl(${(205 + 137.5 * i) % 360} 62% 55%)`]));
}

function codePane(rows, colours) {
  return html("div", {class: "code", tabindex: "0"}, ...rows.map(row => html("div", {"data-line": row.at, title: row.at,
    style: row.at && colours.has(row.at) ? `--tint: ${colours.get(row.at)}` : null}, row.text || " ")));
}

/* The model's files around the lines that are served; with the share of the kernel's instructions that serves each. */
function modelPane(report, rows, colours) {
  const counted = rows.filter(row => row.counts !== false), weights = new Map();
  for (const row of counted) if (row.at) weights.set(row.at, (weights.get(row.at) || 0) + 1);
  const all = [...weights.values()].reduce((sum, n) => sum + n, 0), wanted = new Map();
  for (const served of colours.keys()) {
    const at = served.lastIndexOf(":"), file = served.slice(0, at);
    wanted.set(file, [...(wanted.get(file) || []), Number(served.slice(at + 1))]);
  }
  const pane = html("div", {class: "code", tabindex: "0"});
  for (const [file, lines] of wanted) {
    pane.append(html("div", {class: "gap"}, file));
    const source = report.sources[file], shown = new Set();
    for (const line of lines) for (let near = line - 8; near <= line + 8; near++) shown.add(near);
    let last = 0;
    const indent = source ? Math.min(...[...shown].map(line => source[line - 1]).filter(text => text && text.trim()).map(text => text.search(/\S/))) : 0;
    for (const line of source ? [...shown].sort((a, b) => a - b) : lines) {
      if (line < 1 || (source && line > source.length)) continue;
      if (last && line !== last + 1) pane.append(html("div", {class: "gap"}, "⋯"));
      last = line;
      const here = `${file}:${line}`, served = colours.has(here);
      pane.append(html("div", {"data-line": served ? here : null, style: served ? `--tint: ${colours.get(here)}` : null},
        html("span", {class: "weight"}, weights.has(here) ? `${(100 * weights.get(here) / all).toFixed(0)}%` : ""),
        html("span", {class: "number"}, `${line}`), source ? source[line - 1].slice(indent) : ""));
    }
  }
  return pane;
}
