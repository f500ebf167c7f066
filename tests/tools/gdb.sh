#!/bin/bash
# gdb stops in a kernel by its name and shows the line of the model that it serves, in this process (MOIRE_DEBUG=gdb) and
# in a compiled library (--debug-info).
# shellcheck source=tests/support/tool.sh
source "$(dirname "$0")/../support/tool.sh"
[[ -z ${MOIRE_SANITIZE:-} ]] || skip 'a sanitizer and a debugger do not go together'
command -v gdb >/dev/null || skip 'gdb is not installed'
small_data data.txt
small_config small.yaml
printf 'item_size: 81\n' | cat small.yaml - >sized.yaml
"$MOIRE" train small.yaml --data data.txt --out out --set epochs=1 >/dev/null 2>&1 || complain 'training fails'
name=$("$MOIRE" graph sized.yaml --goal infer --after lower | sed -n 's/^kernel @"\{0,1\}\([^"<(]*complex_linear[^"<(]*\)"\{0,1\} .*/\1/p' | head -1)
[[ -n $name ]] || complain 'no kernel has a complex product'

cat >commands.gdb <<COMMANDS
set confirm off
set debuginfod enabled off
set breakpoint pending on
break -function $name
run
info line *\$pc
backtrace 2
kill
COMMANDS
MOIRE_DEBUG=gdb timeout 120 gdb -nx -batch -x commands.gdb --args "$MOIRE" recommend --checkpoint out/best.safetensors --data data.txt \
  --threads 1 </dev/null >gdb.txt 2>&1 || true
if grep -qi 'ptrace\|not permitted' gdb.txt; then skip "gdb may not trace: $(grep -im1 'ptrace\|not permitted' gdb.txt)"; fi
grep -qE '^Breakpoint 1(\.[0-9]+)?, ' gdb.txt || complain "no stop in $name"
grep -qE 'Line [0-9]+ of ".*models/qia\.c"' gdb.txt || complain 'no line of the model'
grep -q 'moire_kernel' gdb.txt || complain 'the caller is not shown'
((failures == 0)) || tail -20 gdb.txt

# Ahead of time, where a C compiler is.
if command -v cc >/dev/null && command -v readelf >/dev/null; then
  mkdir lib plain
  "$MOIRE" compile --checkpoint out/best.safetensors --cpu host --debug-info -o lib/small || complain 'moire compile fails'
  readelf --debug-dump=decodedline lib/small.so >lines.txt 2>/dev/null
  grep -qE 'qia\.c +[1-9][0-9]*' lines.txt || complain 'the library has no lines of the model'
  readelf --debug-dump=info lib/small.so >info.txt 2>/dev/null
  grep -qF "$name" info.txt || complain 'the library does not name its kernels'
  "$MOIRE" compile --checkpoint out/best.safetensors --cpu host -o plain/small || complain 'moire compile fails'
  readelf -S plain/small.so >sections.txt
  if grep -q debug_line sections.txt; then complain 'debug information that nobody asked for'; fi
fi

# What else the variable may say.
MOIRE_DEBUG=gdb,lldb refused 1 'MOIRE_DEBUG' 'lldb' -- "$MOIRE" recommend --checkpoint out/best.safetensors --data data.txt
MOIRE_DEBUG=map "$MOIRE" recommend --checkpoint out/best.safetensors --data data.txt >/dev/null 2>&1 &
pid=$!
wait "$pid" || complain 'MOIRE_DEBUG=map fails'
grep -qF "$name" "/tmp/perf-$pid.map" || complain "the perf map does not name $name"
rm -f "/tmp/perf-$pid.map"
finish
