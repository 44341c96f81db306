#!/usr/bin/env bash
# A Cloud TPU slice (v2 to v6e), from nothing to a job on all its workers, by gcloud:
#
#   bash scripts/tpu/slice.sh ACTION --name NAME --zone ZONE --project PROJECT [--dry_run] ...
#
#   create --accelerator_type v5litepod-16 [--spot] [--runtime_version VERSION]    asks for it
#   state                       of that request; the slice is there when it says ACTIVE
#   install [--bucket BUCKET]   installs the committed tree on every worker, mounts BUCKET at /mnt/runs
#           [--repository URL [--ref REF]]    what is in a git repository instead
#   run -- python -m prompt_tuning.train ...  starts the command on every worker, and comes back
#   log [--lines 20]            whether it runs, and the end of its log, of every worker
#   stop                        ends it as SIGTERM does: a training run saves first
#   delete                      the slice and the request; what is in the bucket stays
#
# After a preemption: delete, create, install and the same run, which goes on from its last save.
# --dry_run prints the commands and runs none.
set -euo pipefail
# shellcheck source=scripts/launching.sh
source "$(dirname "${BASH_SOURCE[0]}")/../launching.sh"

name='' zone='' project='' accelerator_type='' runtime_version='' spot=false
bucket='' repository='' ref=HEAD lines=20

choose_runtime_version() {
  case $accelerator_type in
    v5litepod-*) runtime_version=v2-alpha-tpuv5-lite ;;
    v5p-*) runtime_version=v2-alpha-tpuv5 ;;
    v6e-*) runtime_version=v2-alpha-tpuv6e ;;
    v[234]-*) runtime_version=tpu-ubuntu2204-base ;;
    tpu7*) fail "--accelerator_type $accelerator_type exists on GKE only: use scripts/tpu/gke.sh" ;;
    *) fail "missing: --runtime_version, which has no default for $accelerator_type" ;;
  esac
}

create() {
  local request=(--node-id="$name" --accelerator-type="$accelerator_type")
  request+=(--runtime-version="$runtime_version")
  if $spot; then request+=(--spot); fi
  run gcloud compute tpus queued-resources create "$name" "${request[@]}" "${where[@]}"
}

# on_workers LINE: runs a line of shell on every worker.
on_workers() {
  run gcloud compute tpus tpu-vm ssh "$name" "${where[@]}" --worker=all --command="$1"
}

# worker WORD...: runs an action of worker.sh on every worker.
worker() {
  on_workers "$(quoted bash prompt_tuning/scripts/tpu/worker.sh "$@")"
}

copy_tree() {
  pack_tree
  run gcloud compute tpus tpu-vm scp "$archive" "$name:" "${where[@]}" --worker=all
  on_workers "mkdir -p prompt_tuning && find prompt_tuning -mindepth 1 -maxdepth 1 ! -name .venv\
 ! -name runs -exec rm -rf {} + && tar -xzf prompt_tuning.tar.gz -C prompt_tuning"
}

fetch_repository() {
  local git="git -C prompt_tuning"
  on_workers "git init --quiet prompt_tuning &&\
 $git fetch --quiet --depth=1 $(quoted "$repository" "$ref") &&\
 $git checkout --quiet --force FETCH_HEAD"
}

action=${1:-}
[ $# -eq 0 ] || shift
[[ $action != --help ]] || show_help
read_flags "name zone project accelerator_type runtime_version spot bucket repository ref lines" "$@"
need name zone project
name_bucket
where=(--zone="$zone" --project="$project")
case $action in
  create)
    need accelerator_type
    [ -n "$runtime_version" ] || choose_runtime_version
    create
    ;;
  state)
    run gcloud compute tpus queued-resources describe "$name" "${where[@]}" --format='value(state.state)'
    ;;
  install)
    if [ -n "$repository" ]; then fetch_repository; else copy_tree; fi
    worker install
    if [ -n "$bucket" ]; then worker mount "$bucket"; fi
    ;;
  run)
    need_command
    worker start "${command[@]}"
    ;;
  log) worker log "$lines" ;;
  stop) worker stop ;;
  delete) run gcloud compute tpus queued-resources delete "$name" "${where[@]}" --force ;;
  *) fail "there is no action '$action'" ;;
esac
