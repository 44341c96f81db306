#!/usr/bin/env bash
# What slice.sh does on a worker of a slice, where this file's project is the folder ~/prompt_tuning:
#
#   worker.sh install            makes .venv and installs the project there, with JAX for TPU
#   worker.sh mount BUCKET       mounts a Cloud Storage bucket at /mnt/runs
#   worker.sh start COMMAND...   runs it in .venv, detached; its output goes to runs/job.log
#   worker.sh log LINES          says whether it runs, and prints the end of its log
#   worker.sh stop               sends it SIGTERM and waits for its end
#
# A job holds a lock on runs/job.lock while it lives, so a worker has one at a time.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
mkdir -p runs
log=runs/job.log lock=runs/job.lock pid=runs/job.pid
mount_point=/mnt/runs

# The image has Python 3.10 and no venv; JAX stopped at 0.6 for that one.
install_project() {
  python3 -m pip install --quiet --user uv
  [ -d .venv ] || python3 -m uv venv --quiet --seed --python 3.12 .venv
  # shellcheck source=scripts/environment.sh
  source scripts/environment.sh
  environment tpu
}

# Metadata is never cached: what one worker wrote, another must see at once. Nor are writes streamed: a
# file that a run keeps open, such as its scalars, would not be in the bucket before it is closed.
mount_bucket() {
  if mountpoint --quiet "$mount_point"; then return; fi
  command -v gcsfuse > /dev/null || install_gcsfuse
  sudo install --directory --owner="$USER" "$mount_point"
  gcsfuse --implicit-dirs --metadata-cache-ttl-secs=0 --metadata-cache-negative-ttl-secs=0 \
    --enable-streaming-writes=false "$1" "$mount_point"
}

install_gcsfuse() {
  local source=https://packages.cloud.google.com/apt key=/usr/share/keyrings/cloud.google.asc
  curl --silent --show-error --fail "$source/doc/apt-key.gpg" | sudo tee "$key" > /dev/null
  echo "deb [signed-by=$key] $source gcsfuse-$(lsb_release --codename --short) main" |
    sudo tee /etc/apt/sources.list.d/gcsfuse.list > /dev/null
  # A machine that has just started may be at it, and apt-get does not wait for that lock.
  for _ in {1..30}; do
    if sudo apt-get --quiet update; then break; fi
    sleep 10
  done
  sudo apt-get --quiet --yes --option DPkg::Lock::Timeout=300 install gcsfuse
}

runs() {
  ! flock --nonblock "$lock" true
}

start() {
  if [ -d "$mount_point" ] && ! mountpoint --quiet "$mount_point"; then # as after the machine's restart
    echo "$(hostname): $mount_point is not mounted: run slice.sh install --bucket again" >&2
    exit 1
  fi
  # shellcheck source=/dev/null
  source .venv/bin/activate
  exec 9> "$lock"
  flock --nonblock 9 || {
    echo "$(hostname): a job runs here already: stop it first" >&2
    exit 1
  }
  nohup "$@" >> "$log" 2>&1 < /dev/null &
  echo $! > "$pid"
  echo "$(hostname): started, process $!"
}

stop() {
  runs || {
    echo "$(hostname): no job runs"
    return
  }
  kill "$(cat "$pid")"
  flock "$lock" true
  echo "$(hostname): stopped"
}

show_log() {
  if runs; then echo "$(hostname): the job runs"; else echo "$(hostname): no job runs"; fi
  tail --lines="$1" "$log"
}

action=$1
shift
case $action in
  install) install_project ;;
  mount) mount_bucket "$1" ;;
  start) start "$@" ;;
  log) show_log "$1" ;;
  stop) stop ;;
  *) echo "worker.sh: there is no action '$action'" >&2 && exit 2 ;;
esac
