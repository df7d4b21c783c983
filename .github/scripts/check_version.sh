#!/usr/bin/env bash
# A release's tag, v0.2.0, names the version that edgekd has.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
tag=${1:?a tag, such as v0.2.0}
version=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' "$root/edgekd/__init__.py")
if [[ $tag != "v$version" ]]; then
  printf 'check_version.sh: got tag %q, want v%s\n' "$tag" "$version" >&2
  exit 2
fi
