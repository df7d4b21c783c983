#!/usr/bin/env bash
# Put the table on the pull request; the comment of an earlier run is replaced.
#   EDGEKD_SUMMARY       Markdown that opens with the mark below
#   EDGEKD_PULL_REQUEST  its number
# A token that may not write (a fork's) is a warning: it changes no verdict.
set -euo pipefail

summary=${EDGEKD_SUMMARY:?}
number=${EDGEKD_PULL_REQUEST:?}
repository=${GITHUB_REPOSITORY:?}
mark='<!-- edgekd-gate -->'
if [[ ! $number =~ ^[0-9]+$ ]]; then
  printf 'comment.sh: got %q, want the number of a pull request\n' "$number" >&2
  exit 2
fi

comments=repos/$repository/issues/$number/comments
query=".[] | select(.user.type == \"Bot\" and (.body | startswith(\"$mark\"))) | .id"
warn() {
  printf '::warning title=edgekd comment::%s\n' "$1"
  exit 0
}
found=$(gh api --paginate "$comments" --jq "$query") || warn "comments cannot be read"
id=${found%%$'\n'*}
if [[ $id =~ ^[0-9]+$ ]]; then
  gh api --method PATCH "repos/$repository/issues/comments/$id" --field "body=@$summary" \
    > /dev/null || warn "the comment cannot be changed"
else
  gh api --method POST "$comments" --field "body=@$summary" \
    > /dev/null || warn "no comment can be written"
fi
