#!/usr/bin/env bash
# Makes the pocket T5 again, from packages to weights, in build/pocket_t5. Hours on two CPU cores; each
# step that is done is quick or goes on where it stopped. Runs where the project is installed.
set -euo pipefail
cd "$(dirname "$0")/../.."
bash scripts/pocket_t5/fetch.sh
python scripts/pocket_t5/make_corpus.py
python scripts/pocket_t5/make_vocabulary.py
python scripts/pocket_t5/make_adaptation.py
python scripts/pocket_t5/make_tasks.py
python -m prompt_tuning.train --gin_file=runs/pretrain_pocket_t5.gin --gin.MODEL_DIR=build/pocket_t5/pretrain
python -m prompt_tuning.train --gin_file=runs/lm_adapt_pocket_t5.gin --gin.MODEL_DIR=build/pocket_t5/lm_adapt \
  --gin.INITIAL_CHECKPOINT_PATH=build/pocket_t5/pretrain/best
cp build/pocket_t5/lm_adapt/best/{config.json,model.safetensors} prompt_tuning/assets/pocket_t5/
