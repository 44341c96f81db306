#!/usr/bin/env bash
# A TPU slice on Google Kubernetes Engine, from nothing to a job on all its hosts, by xpk (`pip install
# xpk`); the only way to TPU7x (Ironwood), which the Cloud TPU API does not have:
#
#   bash scripts/tpu/gke.sh ACTION --name CLUSTER --zone ZONE --project PROJECT [--dry_run] ...
#
#   create --accelerator_type TYPE [--spot | --reservation NAME] [--bucket BUCKET]
#                               a cluster with one slice; BUCKET is mounted at /mnt/runs in every job
#   run --accelerator_type TYPE --workload JOB [--base_docker_image IMAGE] -- python -m prompt_tuning.train ...
#                               runs the command on every host, with the committed tree installed in IMAGE
#   state                       the cluster's jobs
#   log --workload JOB [--lines 20]
#   stop --workload JOB         ends it; the name is free again
#   delete                      the cluster; what is in the bucket stays
#
# TYPE: v5litepod-16, v5p-16, v6e-16, tpu7x-16, or with a topology, such as tpu7x-2x2x2. A job whose hosts
# are preempted or lost is started again, and goes on from its last save; xpk does not start one that ends
# with 1 or 2 again. --dry_run prints the commands and runs none.
set -euo pipefail
# shellcheck source=scripts/launching.sh
source "$(dirname "${BASH_SOURCE[0]}")/../launching.sh"

name='' zone='' project='' accelerator_type='' spot=false reservation='' bucket=''
workload='' base_docker_image=python:3.12 lines=20
tree="$project_root/build/prompt_tuning"
RESTARTS=50
LOST=75 # the exit code of a process that lost another, prompt_tuning/cli/cluster.py

create() {
  local capacity=--on-demand
  if $spot; then capacity=--spot; fi
  if [ -n "$reservation" ]; then capacity=--reservation=$reservation; fi
  run xpk cluster create "${cluster[@]}" --tpu-type="$accelerator_type" --num-slices=1 "$capacity"
}

# As worker.sh mounts it.
mount_bucket() {
  run xpk storage attach runs "${cluster[@]}" --type=gcsfuse --bucket="$bucket" --size=1 \
    --mount-point=/mnt/runs --readonly=false --auto-mount=true --no-prefetch-metadata \
    --mount-options=implicit-dirs,metadata-cache:ttl-secs:0,metadata-cache:negative-ttl-secs:0,write:enable-streaming-writes:false
}

start() {
  pack_tree
  run rm -rf "$tree" # of the call before
  run mkdir -p "$tree"
  run tar -xzf "$archive" -C "$tree"
  run xpk workload create "${cluster[@]}" --workload="$workload" --tpu-type="$accelerator_type" \
    --base-docker-image="$base_docker_image" --script-dir="$tree" --max-restarts="$RESTARTS" \
    --restart-on-exit-codes="$LOST" \
    --command="pip install --quiet '.[tpu]' && $(quoted "${command[@]}")"
}

action=${1:-}
[ $# -eq 0 ] || shift
[[ $action != --help ]] || show_help
read_flags "name zone project accelerator_type spot reservation bucket workload base_docker_image lines" "$@"
need name zone project
name_bucket
cluster=(--cluster="$name" --zone="$zone" --project="$project")
case $action in
  create)
    need accelerator_type
    create
    if [ -n "$bucket" ]; then mount_bucket; fi
    ;;
  run)
    need accelerator_type workload
    need_command
    start
    ;;
  state) run xpk workload list "${cluster[@]}" ;;
  log)
    need workload
    run xpk workload list "${cluster[@]}" # has kubectl ask this cluster
    run kubectl logs --selector="jobset.sigs.k8s.io/jobset-name=$workload" --all-containers --prefix \
      --tail="$lines"
    ;;
  stop)
    need workload
    run xpk workload delete "${cluster[@]}" --workload="$workload"
    ;;
  delete) run xpk cluster delete "${cluster[@]}" ;;
  *) fail "there is no action '$action'" ;;
esac
