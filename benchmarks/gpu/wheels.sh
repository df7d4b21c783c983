#!/usr/bin/env bash
# Wheels that a machine with PyTorch but without network may lack, for run.sh: `wheels.sh [PYTHON_VERSION]`
set -euo pipefail
cd "$(dirname "$0")/../.."
version=${1:-3.12}
ask=(python3 -m pip download --quiet --only-binary=:all: --python-version "$version" --implementation cp -d .whl)
for platform in manylinux_2_28_x86_64 manylinux_2_27_x86_64 manylinux_2_17_x86_64 manylinux2014_x86_64; do
  ask+=(--platform "$platform")
done
"${ask[@]}" pydantic platformdirs psutil   # with what they need, in versions that fit one another
"${ask[@]}" --no-deps lightning-fabric     # without torch, which is there
ls .whl
