/* Appended to a report by tests/tools/report.sh: uses the page as a reader would, and leaves a verdict in it. */
const failures = [];
addEventListener("error", event => failures.push(event.message));
addEventListener("securitypolicyviolation", event => failures.push(`refused: ${event.blockedURI}`));

function expect(what, holds) { if (!holds) failures.push(what); }
function press(key, target) { (target || document.body).dispatchEvent(new KeyboardEvent("keydown", {key, bubbles: true, cancelable: true})); }
function all(selector) { return [...document.querySelectorAll(selector)]; }

function check() {
  const n = report.kernels.length, title = () => document.querySelector("#kernel h2").textContent;
  const groups = () => all("#kernels tbody tr[data-group]"), shut = () => groups().find(row => row.getAttribute("aria-expanded") === "false");
  expect("kernels of one code are one row", all("#kernels tbody tr").length < n && groups().length > 0);
  for (let i = 0; i < n && shut(); i++) shut().click();
  expect("an open table has a row for each kernel", all("#kernels tbody tr[data-kernel]").length === n);
  for (const id of ["scopes", "memory", "graph", "timeline"]) expect(`${id} draws kernels`, all(`#${id} svg .mark`).length > 0);
  expect("the graph has every kernel", all("#graph svg circle").length === n);
  if (report.peaks) {
    expect("the roofline has its roofs", all("#roofline svg .roof").length > report.peaks.levels.length);
    expect("the roofline has kernels", all("#roofline svg circle").length > 0);
  }
  expect("no picture has a coordinate that is none", !document.querySelector("main").innerHTML.includes("NaN"));

  const rows = all("#kernels tbody tr[data-kernel]"), wanted = report.rows[1];
  rows[1].click();
  expect("a click chooses a kernel", report.chosen === wanted.id && title() === wanted.name);
  expect("it is marked in the graph", all("#graph .chosen").length === 1);
  const other = all("#graph svg circle").find(circle => Number(circle.dataset.kernel) !== wanted.id);
  other.dispatchEvent(new MouseEvent("click", {bubbles: true}));
  expect("a click in a picture chooses, too", report.chosen === Number(other.dataset.kernel));

  const counted = report.kernels.find(kernel => kernel.lines.length && kernel.code !== undefined && / complex_linear| linear/.test(kernel.name)) || wanted;
  choose(counted.id);
  for (const [key, words] of [["1", "kernel @"], ["2", "define "], ["3", "ret"]]) {
    press(key);
    const pane = all("#kernel .code")[1], text = pane ? pane.textContent : "";
    expect(`tab ${key} shows ${words}`, text.includes(words));
    expect(`tab ${key} shows the model's lines`, all("#kernel .pane:last-child [data-line]").length > 0 && all("#kernel .pane:first-child [data-line]").length > 0);
    expect(`tab ${key} has no leftovers`, !/!dbg|\.loc\b|\.cfi/.test(text));
  }
  expect("the model's text is there", all("#kernel .pane:first-child .code").some(pane => pane.textContent.includes("moire_")));

  const first = report.rows[0].id;
  choose(first);
  press("j");
  expect("j goes down", report.chosen === report.rows[1].id);
  press("ArrowUp");
  expect("the arrow goes up", report.chosen === first);
  const theme = document.documentElement.dataset.theme;
  press("t");
  expect("t changes the theme", document.documentElement.dataset.theme !== theme);
  press("t");
  const view = {...report.view};
  press("+", document.querySelector("#timeline .chart"));
  expect("+ looks closer", report.view.to - report.view.from < view.to - view.from);
  press("0", document.querySelector("#timeline .chart"));
  const filter = document.getElementById("filter");
  filter.value = "no such kernel";
  filter.dispatchEvent(new Event("input"));
  expect("the filter filters", all("#kernels tbody tr").length === 0);
  filter.value = "";
  filter.dispatchEvent(new Event("input"));
  if (report.profile.lines) expect("lines of the model have rows", all("#lines tbody tr").length === report.profile.lines.length);
}

/* The trace: slices of whole numbers of rows, and those of the threads within those of the steps. */
function checkTrace() {
  const events = JSON.parse(document.getElementById("trace").textContent).traceEvents, slices = events.filter(event => event.ph === "X");
  const steps = slices.filter(event => event.cat === "step"), names = new Set(events.filter(event => event.ph === "M").map(event => event.tid));
  expect("the trace has a step", steps.length > 0);
  expect("slices have times", slices.every(event => event.ts >= 0 && event.dur >= 0 && event.pid === 1));
  expect("every row of the trace has a name", slices.every(event => names.has(event.tid)));
  expect("kernels run within steps", slices.every(event => steps.some(step => event.ts >= step.ts - 0.001 && event.ts + event.dur <= step.ts + step.dur + 0.001)));
  expect("slices name kernels", slices.every(event => event.cat === "step" || report.kernels.some(kernel => kernel.name === event.name)));
}

try { check(); checkTrace(); } catch (error) { failures.push(`${error.message} ${error.stack}`); }
const verdict = document.createElement("pre");
verdict.id = "verdict";
verdict.textContent = failures.length ? failures.join("; ").replace(/\s+/g, " ") : "all is well";
document.body.append(verdict);
