# Two machines of one: network namespaces that are joined by a line with a delay and a loss.
# Sourced after tool.sh, mpi.sh; needs root.
# shellcheck shell=bash

space_a=moire-a-$$ space_b=moire-b-$$
address_a=10.77.0.1 address_b=10.77.0.2

remove_spaces() {
  local space
  [[ -z ${link:-} ]] || kill "$link" 2>/dev/null || true
  for space in "$space_a" "$space_b"; do
    ip netns pids "$space" 2>/dev/null | xargs -r kill -KILL 2>/dev/null || true
    ip netns del "$space" 2>/dev/null || true
  done
}

# join_by_netem MILLISECONDS PERCENT: fails where the kernel has no netem.
join_by_netem() {
  local space
  ip -n "$space_a" link add join type veth peer name join netns "$space_b" || return
  for space in a b; do
    tc -n "moire-$space-$$" qdisc add dev join root netem delay "$1ms" loss "$2%" || return
  done
}

# join_by_link MILLISECONDS PERCENT: the same by a program that carries the packets.
join_by_link() {
  ip -n "$space_a" link del join 2>/dev/null || true
  gcc -O2 -D_GNU_SOURCE "$SOURCE_DIR/tests/support/mpi/link.c" -o link
  ./link "$space_a" "$space_b" "$1" "$2" "${seed:-1}" >link.txt 2>&1 &
  link=$!
  for _ in {1..100}; do
    ! grep -q ready link.txt || return 0
    sleep 0.05
  done
  skip "no line between network namespaces: $(cat link.txt)"
}

# make_spaces MILLISECONDS PERCENT: joined with such a delay and loss in each direction. `joined` says by what.
make_spaces() {
  local space
  [[ $(id -u) == 0 ]] || skip 'network namespaces are made by root alone'
  for space in ip tc unshare gcc; do command -v $space >/dev/null || skip "there is no $space (Debian: iproute2, util-linux, gcc)"; done
  trap 'exit 143' TERM INT HUP
  trap 'remove_spaces; chmod -R u+rwx "$work"; rm -rf "$work"' EXIT
  ip netns add "$space_a" 2>log.txt || skip "no network namespaces here: $(cat log.txt)"
  ip netns add "$space_b"
  joined='netem of the kernel'
  join_by_netem "$1" "$2" 2>log.txt || {
    joined="a program that carries the packets, since the kernel has no netem ($(tail -1 log.txt))"
    join_by_link "$1" "$2"
  }
  ip -n "$space_a" address add $address_a/24 dev join
  ip -n "$space_b" address add $address_b/24 dev join
  for space in a b; do
    ip -n "moire-$space-$$" link set lo up
    ip -n "moire-$space-$$" link set join up
  done
  # What mpirun starts on the other machine, as ssh would: launch [-OPTION...] ADDRESS COMMAND...
  cat >launch <<LAUNCH
#!/bin/bash
while [[ \$1 == -* ]]; do shift; done
space=$space_a
[[ \$1 == $address_a ]] || space=$space_b
shift
exec ip netns exec \$space unshare --uts sh -c "hostname \$space; cd '$work'; \$*"
LAUNCH
  chmod +x launch
}

# start_there LIBRARY A B COMMAND...: mpirun in the first, with A processes there and B in the second. Its process is that
# of this shell, so that it can be put into the background.
start_there() {
  local library=$1 a=$2 b=$3 hosts
  shift 3
  hosts=$address_a:$a,$address_b:$b
  ((b)) || hosts=$address_a:$a
  if [[ $library == openmpi ]]; then
    unset OMPI_MCA_plm
    exec ./launch $address_a exec mpirun.openmpi --mca plm rsh --mca plm_rsh_agent "$work/launch" --mca btl tcp,self \
      --mca btl_tcp_if_include 10.77.0.0/24 --mca oob_tcp_if_include 10.77.0.0/24 \
      --host "$hosts" -n $((a + b)) "$@"
  fi
  export UCX_TLS=tcp,self UCX_NET_DEVICES=join
  exec ./launch $address_a exec mpirun.mpich -launcher ssh -launcher-exec "$work/launch" \
    -iface join -hosts "$hosts" -n $((a + b)) "$@"
}
