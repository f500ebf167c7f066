#!/bin/bash
# ./dev mpi-matrix: 1, 2, 3, 4, 7 and 8 processes of one and of two threads each, over each MPI library, train models of
# every task for 20 steps and more to the files of one process. `moire train` takes minutes for all of it on two cores.
# shellcheck source=tests/support/tool.sh
source "$(dirname "$0")/../tool.sh"
# shellcheck source=tests/support/small_tasks.sh
source "$SOURCE_DIR/tests/support/small_tasks.sh"
# shellcheck source=tests/support/mpi.sh
source "$SOURCE_DIR/tests/support/mpi.sh"
find_launchers
small_tasks
list_trainings
# At least 20 steps of each.
declare -A steps=([qia]=batch_size=8 [pswrec]=batch_size=8 [semantic_id]=epochs=10 [tensors]=batch_size=12
  [ratings]=epochs=8 [language]=epochs=2)
declare -A more=([semantic_id]=patience=10 [ratings]=patience=8)
[[ -n $indra ]] || echo 'without indra: there is no ../shared/data/tok512/stories_valid.safetensors'
runs=0
for task in "${tasks[@]}"; do
  declare -n options=$task
  options+=(--set "${steps[$task]}")
  [[ -z ${more[$task]:-} ]] || options+=(--set "${more[$task]}")
  alone "$task" "${options[@]}"
  for library in "${launchers[@]}"; do
    for ranks in 1 2 3 4 7 8; do
      for threads in 1 2; do
        together "$library" $ranks $threads "$task" "${options[@]}"
        runs=$((runs + 1))
      done
    done
    echo "$task over $library: 12 runs, $(((failures)) && echo "$failures failures so far" || echo equal), $SECONDS s"
  done
done
echo "$runs runs"
finish
