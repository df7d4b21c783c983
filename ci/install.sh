#!/usr/bin/env bash
# A virtual environment with edgekd and its extras, put first on the path of the steps that follow.
#   EDGEKD_PACKAGE  what pip installs; empty for the checkout this script lies in
#   EDGEKD_EXTRAS   names separated by commas
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
package=${EDGEKD_PACKAGE:-}
extras=${EDGEKD_EXTRAS:-}
venv=${RUNNER_TEMP:-${TMPDIR:-/tmp}}/edgekd-venv

if [[ ! $extras =~ ^[a-z0-9,]*$ ]]; then
  printf 'install.sh: extras: got %q, want names separated by commas\n' "$extras" >&2
  exit 2
fi
package=${package:-$root}
if [[ $package == -* ]]; then
  printf 'install.sh: edgekd: got %q, want a package or a folder\n' "$package" >&2
  exit 2
fi

"${PYTHON:-python3}" -m venv "$venv"
wanted=$package${extras:+[$extras]}
if [[ $package == *@* || $package == *=* ]]; then  # "edgekd==0.1", "edgekd @ git+https://...": as it is
  wanted=$package
fi
constraints=()
if [[ $package == "$root" && -f $root/constraints.txt ]]; then
  constraints=(--constraint "$root/constraints.txt")
fi
"$venv/bin/python" -m pip --disable-pip-version-check install ${constraints[@]+"${constraints[@]}"} "$wanted"
printf '%s\n' "$venv/bin" >> "${GITHUB_PATH:-/dev/null}"
