#!/bin/bash
# ./dev mpi-network [KILLS]: training over a bad network, a delay of 5 ms in each direction and a loss of 1 %, between two
# network namespaces, with each MPI library. It gives the bits of one process; KILLS times (20) a process is killed at a
# random moment, whereupon each other ends with a sentence within 60 s, and another number of processes goes on to the
# same bits; and where the network is cut, no process stays. MOIRE_MPI_PATIENCE is 5 s. RANDOM_SEED repeats a run.
# shellcheck source=tests/support/tool.sh
source "$(dirname "$0")/../tool.sh"
# shellcheck source=tests/support/small_tasks.sh
source "$SOURCE_DIR/tests/support/small_tasks.sh"
# shellcheck source=tests/support/mpi.sh
source "$SOURCE_DIR/tests/support/mpi.sh"
# shellcheck source=tests/support/mpi/namespaces.sh
source "$SOURCE_DIR/tests/support/mpi/namespaces.sh"
kills=${1:-20}
seed=${RANDOM_SEED:-$$}
RANDOM=$seed
echo "RANDOM_SEED=$seed"
export MOIRE_MPI_PATIENCE=5
find_launchers
make_spaces 5 1
echo "A delay of 5 ms and a loss of 1 % each way, by $joined"
small_tasks
list_trainings

# over LIBRARY A B OPTION...: a training of A and B processes, in the background; its log is log.txt, `job` its process.
over() {
  local library=$1 a=$2 b=$3
  shift 3
  rm -f said.*
  (start_there "$library" "$a" "$b" ./rank.sh "$MOIRE" train "$@" --threads 1 >out.txt 2>launcher.txt) &
  job=$!
}

# gather_words: makes log.txt of what all have said.
gather_words() { cat launcher.txt said.* >log.txt 2>/dev/null || true; }

# end_of_job: waits for it, and gathers the words; its status.
end_of_job() {
  local status=0
  wait $job || status=$?
  gather_words
  return $status
}

# A rank's words go to a file, since a launcher that ends a job does not always pass on the last of them.
cat >rank.sh <<'END'
#!/bin/sh
exec "$@" 2>said.${OMPI_COMM_WORLD_RANK:-$PMI_RANK}
END
chmod +x rank.sh

# await_team: until the processes have found each other.
await_team() {
  local i
  for ((i = 0; i < 1200; i++)); do
    ! grep -qs 'processes over' said.0 || return 0
    kill -0 $job 2>/dev/null || return 1
    sleep 0.05
  done
  return 1
}

for library in "${launchers[@]}"; do
  for task in "${tasks[@]}"; do
    declare -n options=$task
    [[ -d $task.alone ]] || alone "$task" "${options[@]}"
    for split in '1 1' '2 1'; do
      rm -rf far
      # shellcheck disable=SC2086
      over $library $split "${options[@]}" --out far
      end_of_job || complain "$task, $split processes of $library: $(cat log.txt)"
      compare "$task" far "$split processes of $library over the network"
    done
  done
  echo "$library: ${#tasks[@]} tasks by 2 and 3 processes, $SECONDS s"
done

# --- a process that is killed
long=("${qia[@]}" --set epochs=12 --set patience=12 --set batch_size=8)
alone long "${long[@]}"

now() { date +%s%N; }

# find_rank R: its process.
find_rank() {
  local process
  for process in $(processes_of far); do
    [[ $(rank_of "$process") != "$1" ]] || echo "$process"
  done
}

# lasts LIBRARY: how long the training goes on once the team is there, in milliseconds.
lasts() {
  local begin
  rm -rf far
  over "$1" 2 1 "${long[@]}" --out far
  await_team || complain "$1: no team: $(cat launcher.txt said.* 2>&1)"
  begin=$(now)
  end_of_job || complain "$1: $(cat log.txt)"
  compare long far "$1, undisturbed"
  whole=$((($(now) - begin) / 1000000))
}

# lose LIBRARY: kills one of three at a random moment, and goes on with another number.
lose() {
  local moment=$((RANDOM * whole / 32768)) victim=$((RANDOM % 3)) process begin took next splits=('1 0' '1 1' '2 2' '3 2')
  rm -rf far
  over "$1" 2 1 "${long[@]}" --out far
  await_team || complain "$1: no team: $(cat launcher.txt said.* 2>&1)"
  sleep "$((moment / 1000)).$(printf '%03d' $((moment % 1000)))"
  process=$(find_rank $victim)
  if [[ -z $process ]]; then # it had ended before
    end_of_job || complain "$1, before a kill: $(cat log.txt)"
    compare long far "$1, ended before the kill"
    return 1
  fi
  kill -KILL "$process" 2>/dev/null || true
  begin=$(now)
  if end_of_job; then # its work was done
    compare long far "$1, killed when it had ended"
    return 1
  fi
  while [[ -n $(processes_of far) ]] && (($(now) - begin < 60000000000)); do sleep 0.1; done
  took=$((($(now) - begin) / 1000000))
  [[ -z $(processes_of far) ]] || complain "$1: a process is left after $took ms"
  ((took <= longest)) || longest=$took
  await_voices far
  gather_words
  survivors_spoke 3 $victim
  next=${splits[RANDOM % 4]}
  # shellcheck disable=SC2086
  over "$1" $next "${long[@]}" --out far --resume
  end_of_job || complain "$1, resumed by $next: $(cat log.txt)"
  compare long far "$1, killed after $moment ms and resumed by $next"
  echo "$1: rank $victim killed after $moment ms, the others ended $took ms later, resumed by $next"
}

for library in "${launchers[@]}"; do
  longest=0
  lasts $library
  for ((done = 0; done < kills;)); do lose $library && done=$((done + 1)); done
  echo "$library: $kills kills within $whole ms, the others ended within $longest ms, $SECONDS s"
done

# --- a network that is cut: no process of either side stays
cut_off() {
  local begin i
  rm -rf far
  over "$1" 2 1 "${long[@]}" --set epochs=1000 --set patience=1000 --out far
  await_team || complain "$1: no team: $(cat launcher.txt said.* 2>&1)"
  sleep 1
  ip -n "$space_b" link set join down
  begin=$SECONDS
  for ((i = 0; i < 600; i++)); do
    [[ -n $(processes_of far) ]] || break
    sleep 0.1
  done
  [[ -z $(processes_of far) ]] || complain "$1: processes stay where the network is cut"
  echo "$1: where the network is cut all ended within $((SECONDS - begin)) s"
  ip -n "$space_b" link set join up
  kill -KILL $job 2>/dev/null || true
  end_of_job 2>/dev/null || true
  await_voices far
  gather_words
  survivors_spoke 3 none
}
for library in "${launchers[@]}"; do cut_off $library; done
finish
