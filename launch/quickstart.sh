#!/usr/bin/env bash
# From a fresh clone to a trained model: installs, builds, trains the MMoE of
# configs/kuairand-mmoe.yaml on 1 server and 2 workers, says what to do next.
# Runs again at once: nothing is installed or built twice, and a finished
# training is only evaluated.
set -euo pipefail
export LC_ALL=C
cd "$(dirname "${BASH_SOURCE[0]}")/.."

config=configs/kuairand-mmoe.yaml
mtps=build/release/bin/mtps

echo "== 1/3 packages"
launch/install.sh

echo "== 2/3 build (build/release)"
launch/build.sh build/release -DCMAKE_BUILD_TYPE=Release -DMTPS_TESTS=OFF

echo "== 3/3 train: 1 server, 2 workers, $config"
launch/local.sh 3 "$mtps" train -c "$config" --servers 1

cat <<NEXT

The model is in runs/kuairand-mmoe (config, metrics, checkpoints). Next:
  $mtps ckpt ls runs/kuairand-mmoe
  $mtps predict --ckpt runs/kuairand-mmoe --keep user_id,video_id -o scores.csv
  $mtps train -c $config --set model.type=cgc --run-dir runs/cgc
  $mtps config explain train.batch_size
README.md goes on from here with data of your own.
NEXT
