#!/usr/bin/env bash
# Find what the run is compared with: a path of the workspace, or an asset of a release.
#   EDGEKD_BASELINE           a bundle or run; empty looks for a release
#   EDGEKD_RELEASE            its tag; empty for the newest
#   EDGEKD_PUBLISH_TO         a tag that is not it: the release that is being made
#   EDGEKD_ASSET              pattern among its assets
#   EDGEKD_BASELINE_REQUIRED  whether none at all is a failure
# Output: path, empty if there is none
set -euo pipefail

say() { printf 'path=%s\n' "$1" >> "${GITHUB_OUTPUT:-/dev/stdout}"; }

none() {
  if [[ ${EDGEKD_BASELINE_REQUIRED:-false} == true ]]; then
    printf '::error title=edgekd baseline::%s\n' "$1"
    exit 2
  fi
  printf '::notice title=edgekd baseline::%s: nothing is compared\n' "$1"
  say ""
  exit 0
}

if [[ -n ${EDGEKD_BASELINE:-} ]]; then
  if [[ ! -e $EDGEKD_BASELINE ]]; then
    printf 'baseline.sh: got no %q, want a bundle or a run\n' "$EDGEKD_BASELINE" >&2
    exit 2
  fi
  say "$EDGEKD_BASELINE"
  exit 0
fi

tag=${EDGEKD_RELEASE:-}
pattern=${EDGEKD_ASSET:?}
repository=${GITHUB_REPOSITORY:?}
if [[ -z $tag ]]; then
  tags=$(gh release list --repo "$repository" --exclude-drafts --exclude-pre-releases --limit 30 \
    --json tagName --jq '.[].tagName')
  while IFS= read -r line; do
    if [[ -z $tag && $line != "${EDGEKD_PUBLISH_TO:-}" ]]; then
      tag=$line
    fi
  done <<< "$tags"
fi
if [[ -z $tag ]]; then
  none "no release holds a baseline yet"
fi
if [[ $tag == -* ]]; then
  printf 'baseline.sh: got the tag %q, want a name\n' "$tag" >&2
  exit 2
fi
folder=$(mktemp -d "${RUNNER_TEMP:-${TMPDIR:-/tmp}}/edgekd-baseline.XXXXXX")
if ! gh release download "$tag" --repo "$repository" --pattern "$pattern" --dir "$folder"; then
  none "the release has no bundle"
fi
shopt -s nullglob dotglob
found=("$folder"/*)
if [[ ${#found[@]} -ne 1 ]]; then
  printf 'baseline.sh: got %d assets like %q, want one\n' "${#found[@]}" "$pattern" >&2
  exit 2
fi
say "${found[0]}"
