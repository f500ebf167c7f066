#!/bin/bash
# The object cache from outside: what is trained from it is what is trained without, by processes side by side, after
# damage, and where nothing can be written.
# shellcheck source=tests/support/tool.sh
source "$(dirname "$0")/../support/tool.sh"

small_data data.txt
small_config config.yaml
# run NAME CACHE: one epoch, compiled with the cache CACHE
run() {
  MOIRE_CACHE=$2 "$MOIRE" train config.yaml --data data.txt --out "$1" --overwrite --set epochs=1 >/dev/null 2>"$1.log"
}
same() {
  cmp -s plain/best.safetensors "$1/best.safetensors" || complain "$1: another result: $(cat "$1.log")"
}
objects() {
  MOIRE_CACHE=$1 "$MOIRE" cache --json | sed 's/.*"objects":\([0-9]*\).*/\1/'
}

run plain off || complain "$(cat plain.log)"
for i in 1 2 3; do run "side$i" "$work/cache" & done
wait
for i in 1 2 3; do same "side$i"; done
n=$(objects "$work/cache")
((n > 20)) || complain "only $n objects were kept"
find cache -name '*.tmp' | grep -q . && complain 'temporary files were left'

find cache -type f -newer plain.log >before.txt
touch mark
run cached "$work/cache"
same cached
[[ -z $(find cache -type f -newer mark) ]] || complain 'what was there was written again'

# Damage of every kind; afterwards everything is as it was.
i=0
while read -r f; do
  case $((i++ % 5)) in
    0) : >"$f" ;;
    1) truncate -s 100 "$f" ;;
    2) truncate -s -1 "$f" ;;
    3) head -c 5000 /dev/urandom >"$f" ;;
    4) printf x | dd of="$f" bs=1 seek=500 conv=notrunc status=none ;;
  esac
done < <(find cache -type f)
run damaged "$work/cache" || complain "after damage: $(cat damaged.log)"
same damaged
[[ $(objects "$work/cache") == "$n" ]] || complain 'after damage: not as many as before'

chmod -R a-w cache
run readonly "$work/cache" && same readonly
chmod -R u+w cache
echo >file
for place in "$work/file/under" /proc/nowhere; do
  run nowhere "$place" || complain "with the cache $place: $(cat nowhere.log)"
  same nowhere
done

# Folders that others can change are not used, and that is said once; what was there before stays.
mkdir shared photos
head -c 600000 /dev/zero >photos/1.jpg
for i in {0..9} {a..f}; do for j in {0..9} {a..f}; do ln -s ../photos "shared/$i$j"; done; done
run linked "$work/shared"
same linked
[[ $(grep -c 'symbolic link' linked.log) == 1 ]] || complain "links are not said to be there once: $(cat linked.log)"
MOIRE_CACHE=$work/shared "$MOIRE" cache --clear >/dev/null 2>&1
[[ $(ls photos) == 1.jpg ]] || complain "behind links there are $(ls photos)"
mkdir open
chmod 777 open
run opened "$work/open"
same opened
grep -q 'open can be written to by others' opened.log || complain "an open folder is not named: $(cat opened.log)"
[[ -z $(ls open) ]] || complain 'a folder that others can write to is used'

MOIRE_CACHE=$work/cache "$MOIRE" cache --clear >/dev/null || complain 'cache --clear fails'
[[ $(objects "$work/cache") == 0 ]] || complain 'cache --clear leaves something'
XDG_CACHE_HOME=$work/xdg run xdg '' # off
[[ ! -e xdg/moire ]] || complain 'an empty MOIRE_CACHE is a cache'
(unset MOIRE_CACHE && XDG_CACHE_HOME=$work/home "$MOIRE" eval --checkpoint plain/best.safetensors --data data.txt >/dev/null)
[[ -d home/moire ]] || complain 'XDG_CACHE_HOME is not heard'
refused 2 'wanted no argument' -- "$MOIRE" cache all
[[ $(MOIRE_CACHE=off "$MOIRE" cache) == *'off'* ]] || complain 'a cache that is off is not said to be'
((failures == 0))
