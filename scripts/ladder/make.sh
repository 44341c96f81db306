#!/usr/bin/env bash
# Makes the ladder of small T5s, in build/ladder: each of the sizes given (all, if none is) in two stages,
# with the model of every 100th step of the second. Hours on two CPU cores for the larger ones; what is
# done is skipped, what was stopped goes on. Runs where the project is installed, after fetch.sh,
# make_corpus.py and make_adaptation.py of scripts/pocket_t5, whose texts it reads; the vocabulary is
# the one that ships.
#
#   bash scripts/ladder/make.sh [0.25M 0.5M 1M 2M 3M 6M]
set -euo pipefail
cd "$(dirname "$0")/../.."
sizes=("$@")
[[ $# -gt 0 ]] || sizes=(0.25M 0.5M 1M 2M 3M 6M)
for size in "${sizes[@]}"; do
  sized=models/sizes/ladder/$size.gin
  out=build/ladder/$size
  python -m prompt_tuning.train --gin_file=runs/pretrain_pocket_t5.gin --gin_file="$sized" \
    --gin.MODEL_DIR="$out/pretrain"
  python -m prompt_tuning.train --gin_file=runs/lm_adapt_pocket_t5.gin --gin_file="$sized" \
    --gin.MODEL_DIR="$out/lm_adapt" --gin.INITIAL_CHECKPOINT_PATH="$out/pretrain/best" \
    --gin.ModelTuning.writes_every_save=True --gin.train.save_period=100
done
