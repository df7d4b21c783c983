#!/usr/bin/env bash
# Everything that needs a GPU, in at most ten minutes, in order of worth; each part's result is written when it is done.
#
#   benchmarks/gpu/run.sh [--tiny] [--output FILE] [--seconds N]
#
# --tiny: small networks and few steps, to try it on a CPU. PYTHON: the interpreter, `python3` by default.
# On a machine without network: `benchmarks/gpu/wheels.sh` on one that has it puts what is missing into .whl/ here.
set -euo pipefail
cd "$(dirname "$0")/../.."
python=${PYTHON:-python3}
export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}"
needed="import click, lightning_fabric, numpy, onnx, platformdirs, psutil, pydantic, safetensors, torch, yaml"
if ! "$python" -c "$needed" 2>/dev/null; then
  site=$(mktemp -d)
  if compgen -G '.whl/*.whl' >/dev/null; then
    "$python" -m pip install -q --no-index --no-deps --no-compile --no-cache-dir --upgrade --target "$site" .whl/*.whl || true
  else
    "$python" -m pip install -q --no-cache-dir --target "$site" pydantic platformdirs safetensors lightning-fabric psutil click PyYAML || true
  fi
  export PYTHONPATH="$PYTHONPATH:$site"
  "$python" -c "$needed" || { echo "gpu: packages are missing: benchmarks/gpu/wheels.sh brings them" >&2; exit 3; }
fi
exec "$python" benchmarks/gpu/run.py "$@"
