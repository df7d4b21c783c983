#!/usr/bin/env bash
# Run a recipe, then pack its bundle into one file.
#   EDGEKD_RECIPE         the recipe; empty if the run is there already
#   EDGEKD_RUN            folder of the run
#   EDGEKD_COMPRESS_ARGS  more arguments, one a line
# Output: bundle (the student in one file, in that folder)
set -euo pipefail

run=${EDGEKD_RUN:?}
more=()
while IFS= read -r line; do
  if [[ $line == *[![:space:]]* ]]; then
    more+=("$line")
  fi
done <<< "${EDGEKD_COMPRESS_ARGS:-}"

if [[ -n ${EDGEKD_RECIPE:-} ]]; then
  # the workspace may hold the run of another commit
  edgekd compress --run-dir="$run" --replace ${more[@]+"${more[@]}"} -- "$EDGEKD_RECIPE"
fi
edgekd bundle --replace -o "$run/student.edgekd" -- "$run"
printf 'bundle=%s\n' "$run/student.edgekd" >> "${GITHUB_OUTPUT:-/dev/stdout}"
