#!/bin/bash
# No ring of files inside a room: a function of a.c calls one of b.c, and one of b.c, directly or through other files,
# one of a.c. What both need belongs into a file below both. This reads the objects of the last build, where a function
# that is only named counts as called; between rooms, tests/lint/rooms.sh keeps rings out.
# shellcheck source=tests/support/lint.sh
source "$(dirname "$0")/../support/lint.sh"

# The rings that may be, one a line: the files in the order of sort(1), a colon, and why they are one thing.
allowed=''

if [[ -n ${MOIRE_SANITIZE:-} ]]; then
  echo "skipped: a sanitizer adds calls of its own"
  exit 77
fi
objects=()
while read -r object; do
  file=${object#"$BUILD_DIR"/}
  file=${file/CMakeFiles\/*.dir\/}
  [[ -f ${file%.o} ]] && objects+=("$object") # else the file is gone, and its object was left behind
done < <(find "$BUILD_DIR"/{,tests/}CMakeFiles/moire*.dir -name '*.c.o' 2>/dev/null | LC_ALL=C sort)
if ((${#objects[@]} == 0)); then
  echo "no objects under $BUILD_DIR: build first"
  exit 1
fi

# Lines FILE ADDRESS KIND SYMBOL, where T is a global function; and FILE U SYMBOL of what it takes from others.
nm -gA "${objects[@]}" | sed "s|^$BUILD_DIR/||; s|CMakeFiles/[^/]*\.dir/||; s|\.o:| |" | allowed=$allowed awk '
function room_of(path,   part) {
  split(path, part, "/")
  if (path ~ /^(runtime\/(base|aot)|compiler\/[^\/]*)\//) return part[1] "/" part[2]
  return part[1]
}
# reach[a, b]: a file of the room, a, calls b, directly or through others of the room.
function close_over(room,   n, file, i, j, k) {
  n = split(files[room], file, " ")
  for (k = 1; k <= n; k++)
    for (i = 1; i <= n; i++) {
      if (!((file[i], file[k]) in reach)) continue
      for (j = 1; j <= n; j++)
        if ((file[k], file[j]) in reach) reach[file[i], file[j]] = 1
    }
}
function say_calls(ring,   n, file, i, j) {
  n = split(ring, file, " ")
  for (i = 1; i <= n; i++)
    for (j = 1; j <= n; j++)
      if ((file[i], file[j]) in calls) printf "  %s calls %s:%s\n", file[i], file[j], calls[file[i], file[j]]
}
function judge(room,   n, file, i, j, ring, in_ring) {
  close_over(room)
  n = split(files[room], file, " ")
  for (i = 1; i <= n; i++) {
    if (file[i] in in_ring || !((file[i], file[i]) in reach)) continue
    ring = file[i]
    for (j = i + 1; j <= n; j++)
      if ((file[i], file[j]) in reach && (file[j], file[i]) in reach) {
        ring = ring " " file[j]
        in_ring[file[j]] = 1
      }
    found[ring] = 1
    if (ring in reason) continue
    print "a ring: " ring
    say_calls(ring)
    complaints++
  }
}
!($1 in known) {
  known[$1] = 1
  room = room_of($1)
  files[room] = files[room] " " $1
}
$3 == "T" { home[$4] = $1 }
$2 == "U" {
  users[++wants] = $1
  wanted[wants] = $3
}
END {
  for (i = 1; i <= wants; i++) {
    from = users[i]
    to = home[wanted[i]]
    if (to == "" || to == from || room_of(to) != room_of(from)) continue
    reach[from, to] = 1
    calls[from, to] = calls[from, to] " " wanted[i]
  }
  n = split(ENVIRON["allowed"], line, "\n")
  for (i = 1; i <= n; i++)
    if (match(line[i], /: ./)) reason[substr(line[i], 1, RSTART - 1)] = 1
  for (room in files) judge(room)
  for (ring in reason)
    if (!(ring in found)) {
      print "no longer a ring, take it off the list: " ring
      complaints++
    }
  exit complaints > 0
}'
