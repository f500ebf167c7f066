#!/bin/bash
# Includes point one way: which room may include which is the table below (docs/architecture.md says why).
# shellcheck source=tests/support/lint.sh
source "$(dirname "$0")/../support/lint.sh"

mapfile -t files < <(lint_files '*.c' '*.h')

awk '
function room_of(path,   part) {
  if (path ~ /^docs\/examples\//) return "docs/examples"
  if (path ~ /^include\/moire\//) return "include"
  if (path ~ /^runtime\/base\//) return "runtime/base"
  split(path, part, "/")
  if (path ~ /^compiler\/(ir|pass|codegen|driver|profile|import)\//) return "compiler/" part[2]
  if (path ~ /^(runtime|ops|models|tasks|tools|tests)\//) return part[1]
  return ""
}
function exists(path,   line) {
  if (!(path in known)) {
    known[path] = (getline line < path) >= 0
    close(path)
  }
  return known[path]
}
function complain(text) {
  printf "%s:%d: %s\n", FILENAME, FNR, text
  complaints++
}
BEGIN {
  compiler = "include runtime/base compiler/ir"
  allowed["include"] = "include"
  allowed["runtime/base"] = "include runtime/base"
  allowed["runtime"] = "include runtime/base runtime"
  allowed["compiler/ir"] = compiler " op-rows"
  allowed["ops"] = compiler " ops op-rows"
  allowed["compiler/pass"] = compiler " compiler/pass"
  allowed["compiler/codegen"] = compiler " compiler/codegen"
  allowed["compiler/driver"] = compiler " compiler/pass compiler/codegen compiler/driver"
  allowed["tasks"] = "include runtime/base runtime tasks"
  allowed["compiler/profile"] = "include runtime/base runtime compiler/ir compiler/pass compiler/codegen compiler/driver compiler/profile"
  allowed["compiler/import"] = "include runtime/base runtime compiler/ir compiler/import"
  allowed["models"] = "include models"
  allowed["docs/examples"] = "include"
  allowed["tools"] = allowed["tests"] = "*"
}
FNR == 1 {
  room = room_of(FILENAME)
  if (room == "") complain("the file lies in no room")
  folder = FILENAME
  sub(/[^\/]*$/, "", folder)
}
/^[ \t]*#[ \t]*include[ \t]*</ {
  header = $0
  sub(/^[^<]*</, "", header)
  sub(/>.*/, "", header)
  if (header ~ /^llvm/ && room != "compiler/codegen")
    complain(room " may not include <" header ">: only compiler/codegen knows LLVM")
  if (header ~ /^zip\.h$/ && room !~ /^compiler\/(import|driver)$/)
    complain(room " may not include <" header ">: only compiler/import and compiler/driver know libzip")
  if (header ~ /^criterion\// && room != "tests")
    complain(room " may not include <" header ">: only tests/ knows Criterion")
  if (header ~ /^(moire|runtime|compiler|ops|models|tasks)\//)
    complain("<" header ">: headers of ours go between double quotes")
}
/^[ \t]*#[ \t]*include[ \t]*"/ {
  header = $0
  sub(/^[^"]*"/, "", header)
  sub(/".*/, "", header)
  if (header ~ /\.\.\//) complain("\"" header "\": write the path from the root of the project")
  else if (exists(folder header)) target = folder header
  else if (exists("include/" header)) target = "include/" header
  else if (exists(header)) target = header
  else complain("\"" header "\" is not there (headers from outside go between < and >)")
  if (target != "" && room != "" && allowed[room] != "*") {
    to = target ~ /^ops\/[a-z0-9_]*\.def$/ ? "op-rows" : room_of(target)
    if (index(" " allowed[room] " ", " " to " ") == 0)
      complain(room " may not include " target " (it may include: " allowed[room] ")")
  }
  target = ""
}
END {
  if (complaints) printf "%d include(s) against the rules\n", complaints
  exit complaints > 0
}' "${files[@]}"
