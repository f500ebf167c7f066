#!/bin/bash
# The published PSWRec, PM-SSD and WEARec as libraries: the published test metrics by the program that evaluates QIA.
# shellcheck source=tests/support/tool.sh
source "$(dirname "$0")/../support/tool.sh"
[[ -z ${MOIRE_SANITIZE:-} ]] || skip 'published models are for the release build'

# check MODEL HR@10 NDCG@10: the program calls its library qia, whatever is in it.
check() {
  need_shared "checkpoints/$1_lastfm.safetensors" data/LastFM.txt
  mkdir "$1"
  "$MOIRE" compile --checkpoint "$shared/checkpoints/$1_lastfm.safetensors" -o "$1/qia" 2>log.txt ||
    complain "$1: $(cat log.txt)"
  gcc -O2 -D_GNU_SOURCE -I"$1" "$SOURCE_DIR/docs/examples/aot/evaluate.c" -o "$1/evaluate" "$1/qia.so" \
    -Wl,-rpath,"$work/$1" -lm
  "$1/evaluate" "$shared/data/LastFM.txt" >got.txt || complain "$1: evaluate failed"
  grep -qF "1090 users: HR@10 $2, NDCG@10 $3" got.txt || complain "$1: $(cat got.txt)"
}

check pswrec_v13 0.0743 0.0434
check pm_ssd 0.0431 0.0246
check wearec 0.0899 0.0465
finish
