#!/bin/bash
# The report of a profile: what is written, and, in a browser, that it works: no error on the console, no request to any
# network, and everything in its place.
# shellcheck source=tests/support/tool.sh
source "$(dirname "$0")/../support/tool.sh"
[[ -z ${MOIRE_SANITIZE:-} ]] || skip 'the report is that of the other builds'
small_data data.txt
small_config small.yaml
"$MOIRE" profile small.yaml --data data.txt --threads 2 --steps 3 --warmup 1 -o out >table.txt 2>log.txt ||
  complain "moire profile: $(cat log.txt)"
for file in profile.json report.html trace.json stacks.txt; do
  [[ -s out/$file ]] || complain "there is no $file"
done

# Formats of others.
grep -q '"ph":"X"' out/trace.json || complain 'the trace has no slices'
grep -q '"thread_name"' out/trace.json || complain 'the trace does not name its threads'
grep -qvE '^qia;[^ ].* [0-9]+$' out/stacks.txt && complain "a line of stacks.txt is no stack: $(grep -vE '^qia;[^ ].* [0-9]+$' out/stacks.txt | head -1)"
[[ $(wc -l <out/stacks.txt) == $(grep -c '"pieces":' out/profile.json) ]] ||
  complain 'stacks.txt has not a line for each kernel'
if grep -oE '(src|href)="[^"]*"' out/report.html | grep -v 'data:,'; then complain 'the report points outside itself'; fi

# In a browser.
browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome) ||
  skip 'there is no chromium (./dev report installs it)'
{
  sed '/<\/body>/,$d' out/report.html
  echo '<script type="application/json" id="trace">'
  cat out/trace.json
  echo '</script><script>'
  cat "$SOURCE_DIR/tests/support/report_check.js"
  echo '</script></body></html>'
} >checked.html
browse() {
  timeout 120 "$browser" --headless=new --no-sandbox --disable-gpu --disable-background-networking --no-first-run \
    --user-data-dir="$work/browser" --enable-logging=stderr --v=0 "$@"
}
browse --log-net-log="$work/net.json" --virtual-time-budget=5000 --dump-dom "file://$work/checked.html" >dom.html 2>console.txt ||
  complain "chromium fails: $(tail -3 console.txt)"
verdict=$(sed -n 's/.*<pre id="verdict">\(.*\)<\/pre>.*/\1/p' dom.html)
[[ $verdict == 'all is well' ]] || complain "in the browser: ${verdict:-the page did not come to its end}"
if grep CONSOLE console.txt; then complain 'the console is not empty'; fi
# The browser's own requests have no page behind them.
if grep -E '"initiator":"[^"]*".*"url":"(http|ws)' net.json | grep -v '"initiator":"not an origin"' | grep -oE '"url":"[^"]*"' | head -3 | grep .; then
  complain 'something was asked of the network'
fi

browse --hide-scrollbars --window-size=1400,2700 --screenshot="$work/report.png" "file://$work/out/report.html" >/dev/null 2>&1 || true
[[ -s report.png ]] || complain 'there is no screenshot'
finish
