#!/usr/bin/env bash
# What takes hours, by hand: Keras and semg-train on the same split, seeds and machine. Every
# finished (side, model, seed) is kept in build/benchmarks, so a stopped run goes on where it was.
# Figures and their date go into Benchmarks/RESULTS.md by hand.
set -euo pipefail
cd "$(dirname "$0")/.."
python=build/venv/bin/python
data=${SEMG_DATA:-../shared/data/synapse}

swift build -c release --package-path Benchmarks --scratch-path build/benchmarks-swift
"$python" Benchmarks/keras/losses.py --data "$data"
"$python" Benchmarks/keras/speed.py --data "$data"
"$python" Benchmarks/ingest/compare.py --data "$data"
python3 Scripts/make_venv.py build/venv-torch Benchmarks/gpu/requirements.txt
build/venv-torch/bin/python Benchmarks/gpu/check_models.py --keras-python "$python"
"$python" Benchmarks/keras/accuracy.py --data "$data"
# Half precision on the OpenCL device that is there.
swift build -c release --product semg-train
python3 Benchmarks/precision/accuracy.py --data "$data"

# Broken kernels, one mutant a run: what the small cases notice of them.
for product in semg-kernel-check semg-opencl-layer; do
  swift build -c release -Xswiftc -enable-testing --scratch-path build/swift-test --product $product
done
python3 Scripts/mutate_kernels.py build/swift-test/release/semg-kernel-check \
  build/swift-test/release/libsemg-opencl-layer.so
