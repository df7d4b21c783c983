#!/usr/bin/env bash
# Add the bundle to a release, where the next run finds its baseline.
#   EDGEKD_BUNDLE      the student in one file
#   EDGEKD_PUBLISH_TO  tag of the release
set -euo pipefail

bundle=${EDGEKD_BUNDLE:?}
tag=${EDGEKD_PUBLISH_TO:?}
if [[ $tag == -* ]]; then
  printf 'publish.sh: got the tag %q, want a name\n' "$tag" >&2
  exit 2
fi
gh release upload "$tag" "$bundle" --repo "${GITHUB_REPOSITORY:?}" --clobber
