#!/bin/bash
# Training over MPI: any number of processes gives the files and the losses of one process with as many groups, with
# each MPI that the build has found; a lost process ends the others with a sentence, and what it left goes on with
# another number of processes to the same bits; what ranks do not share is refused on all of them.
# shellcheck source=tests/support/tool.sh
source "$(dirname "$0")/../support/tool.sh"
# shellcheck source=tests/support/small_tasks.sh
source "$SOURCE_DIR/tests/support/small_tasks.sh"
# shellcheck source=tests/support/mpi.sh
source "$SOURCE_DIR/tests/support/mpi.sh"
find_launchers
small_tasks
list_trainings

for task in "${tasks[@]}"; do
  declare -n options=$task
  alone "$task" "${options[@]}"
  for library in "${launchers[@]}"; do together $library 3 1 "$task" "${options[@]}"; done
done
for ranks in 1 2 4 7 8; do together "${launchers[0]}" $ranks $((ranks % 2 + 1)) qia "${qia[@]}"; done

# --- refused: what all ranks must have alike, more ranks than groups, samples that depend on each other
run=(mpirun.${launchers[0]} -n)
cat >differ.sh <<'END'
#!/bin/sh
rank=${OMPI_COMM_WORLD_RANK:-$PMI_RANK}
exec "$MOIRE" train qia.yaml --data data.txt --out refused --set lr=0.00$((rank + 1))
END
chmod +x differ.sh
timeout 60 "${run[@]}" 2 ./differ.sh >/dev/null 2>log.txt && complain 'two configurations train together'
(($(grep -c 'do not have the same configuration: rank 0 has' log.txt) == 2)) || complain "other configurations: $(cat log.txt)"
timeout 60 "${run[@]}" 4 "$MOIRE" train "${qia[@]}" --out refused --set batch_groups=3 >/dev/null 2>log.txt && complain '3 groups by 4 ranks'
grep -q 'batch_groups: a batch of 3 groups cannot be shared by 4 processes' log.txt || complain "too few groups: $(cat log.txt)"
timeout 60 "${run[@]}" 2 "$MOIRE" train hybrid.yaml --data ratings --out refused >/dev/null 2>log.txt && complain 'a contrast in the batch is shared'
grep -q 'samples of a batch depend on each other' log.txt || complain "a contrast in the batch: $(cat log.txt)"
timeout 60 "${run[@]}" 2 "$MOIRE" sweep "${qia[@]}" --grid lr=0.1,0.01 --out refused >/dev/null 2>log.txt && complain 'a sweep by two ranks'
(($(grep -c 'moire sweep: trains each combination by one process' log.txt) == 2)) || complain "a sweep: $(cat log.txt)"
[[ -e refused/last.safetensors ]] && complain 'what was refused left a run'

# --- a lost process, after some epochs; then another number of processes goes on
long=("${qia[@]}" --set epochs=40 --set patience=40 --set batch_size=8)
alone long "${long[@]}"
lose() { # LIBRARY EPOCHS: one of three is killed after so many, and two go on
  local job victim rank begin
  rm -rf lost
  mpirun.$1 -n 3 "$MOIRE" train "${long[@]}" --out lost >/dev/null 2>log.txt &
  job=$!
  for _ in {1..600}; do
    [[ -r lost/metrics.jsonl ]] && (($(wc -l <lost/metrics.jsonl) >= $2)) && break
    sleep 0.05
  done
  victim=$(processes_of lost | tail -1)
  [[ -n $victim ]] || complain "after $2 epochs nobody is left to kill"
  rank=$(rank_of "$victim")
  kill -KILL "$victim" || complain "after $2 epochs the victim is gone"
  begin=$SECONDS
  wait $job && complain 'a lost process is no failure'
  ((SECONDS - begin <= 60)) || complain "the others took $((SECONDS - begin)) s to end"
  await_voices lost
  survivors_spoke 3 "$rank" # also where mpirun has killed them
  timeout 100 mpirun.$1 -n 2 "$MOIRE" train "${long[@]}" --out lost --resume --quiet >/dev/null 2>log.txt ||
    complain "--resume: $(cat log.txt)"
  cmp long.alone/best.safetensors lost/best.safetensors || complain "killed after $2 epochs and resumed, other bits"
}
for library in "${launchers[@]}"; do lose $library 3; done
lose "${launchers[0]}" 11
finish
