# What scripts share that train over MPI. Sourced after tool.sh and small_tasks.sh.
# shellcheck shell=bash

# find_launchers: sets `launchers`, the libraries with a module in the build and an mpirun; skips where there is none.
find_launchers() {
  local library
  launchers=()
  for library in openmpi mpich; do
    [[ -r $BUILD_DIR/moire-$library.so ]] && command -v mpirun.$library >/dev/null && launchers+=($library)
  done
  ((${#launchers[@]})) || skip 'no MPI: there is neither mpirun.openmpi nor mpirun.mpich, or the build has found none'
  # As root, on fewer processors than processes, without other machines.
  export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1
  export OMPI_MCA_hwloc_base_binding_policy=none OMPI_MCA_btl_vader_single_copy_mechanism=none OMPI_MCA_plm=isolated
}

# list_trainings: sets `tasks`, and for each an array of its name with its options, of what small_tasks has made.
list_trainings() {
  tasks=(qia pswrec semantic_id tensors ratings)
  # shellcheck disable=SC2034 # read by name
  {
    qia=(qia.yaml --data data.txt)
    pswrec=(pswrec.yaml --data data.txt)
    semantic_id=(semantic_id.yaml "${features[@]}")
    tensors=(tensors.yaml --data signals.safetensors)
    ratings=(hybrid.yaml --data ratings --set views=graph)
    language=(indra.yaml)
  }
  [[ -z $indra ]] || tasks+=(language)
}

# processes_of DIR: those of the training that writes there, without what waits for their end (runtime/team/voice.h).
processes_of() {
  local process
  for process in $(pgrep -f "^$MOIRE train .*--out $1( |\$)"); do
    [[ $(cat "/proc/$process/comm" 2>/dev/null) != moire ]] || echo "$process"
  done
}

# await_voices DIR: until those have ended that wait for the end of the training's processes, and say what these could not.
await_voices() {
  local i
  for ((i = 0; i < 200; i++)); do
    pgrep -f "^$MOIRE train .*--out $1( |\$)" >/dev/null || return 0
    sleep 0.05
  done
}

# rank_of PROCESS: its number, from what the launcher left in its environment.
rank_of() { { tr '\0' '\n' <"/proc/$1/environ" | sed -n 's/^\(OMPI_COMM_WORLD_RANK\|PMI_RANK\)=//p'; } 2>/dev/null; }

# survivors_spoke RANKS VICTIM: each of the others has said a sentence in log.txt.
survivors_spoke() {
  local rank
  for ((rank = 0; rank < $1; rank++)); do
    [[ $rank == "$2" ]] || grep -q "^moire train: rank $rank of $1: " log.txt || complain "rank $rank of $1 said nothing: $(cat log.txt)"
  done
}

# losses DIR: what metrics.jsonl says but for times.
losses() { sed 's/"[a-z]*_seconds":[0-9.]*//g' "$1/metrics.jsonl"; }

# alone TASK OPTION...: what one process gives.
alone() {
  local task=$1
  shift
  "$MOIRE" train "$@" --out "$task.alone" --quiet --set batch_groups=32 >/dev/null 2>log.txt || complain "$task: $(cat log.txt)"
}

# compare TASK DIR WHAT: the run in DIR is that of `alone TASK`, to the bits.
compare() {
  local file
  for file in last.safetensors best.safetensors; do
    cmp "$1.alone/$file" "$2/$file" || complain "$1, $3: another $file"
  done
  cmp <(losses "$1.alone") <(losses "$2") || complain "$1, $3: other losses or measures"
  for file in ranks.txt values.safetensors; do
    [[ ! -e $1.alone/$file ]] || cmp "$1.alone/$file" "$2/$file" || complain "$1, $3: another $file"
  done
}

# together LIBRARY RANKS THREADS TASK OPTION...: several give the same.
together() {
  local library=$1 ranks=$2 threads=$3 task=$4
  shift 4
  rm -rf shared_run
  timeout 200 mpirun.$library -n "$ranks" "$MOIRE" train "$@" --out shared_run --threads "$threads" >out.txt 2>log.txt ||
    complain "$task, $ranks ranks of $library: $(cat log.txt)"
  grep -q "^$ranks processes over .*32 groups" log.txt || complain "$task: $ranks ranks of $library are not said"
  compare "$task" shared_run "$ranks ranks of $library, $threads threads"
}
