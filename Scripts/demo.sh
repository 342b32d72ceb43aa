#!/usr/bin/env bash
# What `make demo` does: from a checkout to two trained models. Writes below build/demo only.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf '\n== %s\n' "$*"; }

Scripts/install-packages.sh run

say "Building semg-train for release"
swift build -c release --product semg-train
semg_train=.build/release/semg-train

rm -rf build/demo
mkdir -p build/demo

say "Synthesizing recordings in build/demo/recordings"
"$semg_train" synthesize build/demo/recordings --subjects "${SEMG_DEMO_SUBJECTS:-3}" --trials 4

say "Training both models on them, for at most ${SEMG_DEMO_MINUTES:-2} minutes"
"$semg_train" --data build/demo/recordings --output build/demo/artifacts \
  --max-minutes "${SEMG_DEMO_MINUTES:-2}"

say "Done. The artifacts are in build/demo/artifacts"
ls -l build/demo/artifacts
cat <<'TEXT'

These recordings are synthetic and the training was short: for figures that mean something, put
real recordings below data/ and run
  .build/release/semg-train --data data
TEXT
