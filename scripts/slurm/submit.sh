#!/usr/bin/env bash
# A job on the GPUs of one node or several, under SLURM; run it where `sbatch` is, with the project
# installed in an environment that all nodes see (python -m venv .venv; .venv/bin/pip install ".[gpu]"):
#
#   bash scripts/slurm/submit.sh --nodes 2 --gpus_per_node 8 [--cpus_per_gpu 8] [--name NAME]
#     [--time 24:00:00] [--partition PARTITION] [--account ACCOUNT] [--environment .venv] [--dry_run]
#     -- python -m prompt_tuning.train ...
#
# The same call again goes on from the run's last save, which MODEL_DIR must have where all nodes see it.
# --dry_run prints the command and runs nothing.
set -euo pipefail
# shellcheck source=scripts/launching.sh
source "$(dirname "${BASH_SOURCE[0]}")/../launching.sh"

name=prompt_tuning nodes='' gpus_per_node='' cpus_per_gpu=8 time=24:00:00 partition='' account=''
environment="$project_root/.venv"

read_flags "name nodes gpus_per_node cpus_per_gpu time partition account environment" "$@"
need nodes gpus_per_node
need_counts nodes gpus_per_node cpus_per_gpu
need_command
options=(--job-name="$name" --nodes="$nodes" --time="$time")
options+=(--gpus-per-node="$gpus_per_node" --ntasks-per-node="$gpus_per_node")
options+=(--cpus-per-task="$cpus_per_gpu")
if [ -n "$partition" ]; then options+=(--partition="$partition"); fi
if [ -n "$account" ]; then options+=(--account="$account"); fi
run sbatch "${options[@]}" "$project_root/scripts/slurm/job.sbatch" "$environment" "${command[@]}"
