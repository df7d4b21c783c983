#!/usr/bin/env bash
# Gate the run against its baseline. Ends with the gate's own exit code; the files are there anyway.
#   EDGEKD_RUN         folder of the run
#   EDGEKD_BASELINE    bundle or run; empty if there is none yet
#   EDGEKD_POLICY      the gates; empty for the usual ones
#   EDGEKD_UNRESOLVED  warn or fail; empty warns on a pull request, else the policy says
#   EDGEKD_GATE_ARGS   more arguments, one a line
# Outputs: verdict, summary (Markdown)
set -euo pipefail

run=${EDGEKD_RUN:?}
output=${GITHUB_OUTPUT:-/dev/stdout}
if [[ -z ${EDGEKD_BASELINE:-} ]]; then
  printf 'verdict=none\n' >> "$output"
  exit 0
fi

unresolved=${EDGEKD_UNRESOLVED:-}
if [[ -z $unresolved && ${GITHUB_EVENT_NAME:-} == pull_request* ]]; then
  unresolved=warn
fi
more=()
while IFS= read -r line; do
  if [[ $line == *[![:space:]]* ]]; then
    more+=("$line")
  fi
done <<< "${EDGEKD_GATE_ARGS:-}"

code=0
edgekd gate --baseline="$EDGEKD_BASELINE" ${EDGEKD_POLICY:+"--policy=$EDGEKD_POLICY"} \
  ${unresolved:+"--set=unresolved=$unresolved"} --junit="$run/gate.xml" --summary="$run/gate.md" --annotations \
  ${more[@]+"${more[@]}"} -- "$run" || code=$?

verdict=error
case $code in
  0) verdict=pass ;;
  1) verdict=fail ;;
  5) verdict=inconclusive ;;
esac
printf 'verdict=%s\n' "$verdict" >> "$output"
if [[ $verdict != error && -f $run/gate.md ]]; then
  cat "$run/gate.md" >> "${GITHUB_STEP_SUMMARY:-/dev/null}"
  printf 'summary=%s\n' "$run/gate.md" >> "$output"
fi
exit "$code"
