#!/usr/bin/env bash
# Wheels that a machine with PyTorch but without network may lack, for run.sh: `wheels.sh [PYTHON_VERSION] [PACKAGE...]`
set -euo pipefail
cd "$(dirname "$0")/../.."
version=${1:-3.12}; shift || true
[ $# -gt 0 ] || set -- pydantic pydantic-core annotated-types typing-inspection platformdirs lightning-fabric psutil
platforms=(); for glibc in 28 27 17; do platforms+=(--platform "manylinux_2_${glibc}_x86_64"); done
versions=$(python3 -m pip download --quiet --no-deps --only-binary=:all: --python-version "$version" \
  --implementation cp "${platforms[@]}" --platform manylinux2014_x86_64 -d .whl "$@" 2>&1) || { echo "$versions" >&2; exit 1; }
ls .whl
