#!/usr/bin/env bash
# Fuzzes every target of the module in turn, FUZZTIME each (30s by default), and stops
# at the first failure: the input is then in the package's testdata/fuzz.
#
#   scripts/fuzz.sh [PACKAGES]    FUZZTIME=5m FUZZ='^FuzzSSE$' scripts/fuzz.sh ./wire
set -euo pipefail
cd "$(dirname "$0")/.."

fuzztime=${FUZZTIME:-30s}
pattern=${FUZZ:-^Fuzz}
if (($# == 0)); then
	set -- ./...
fi

# For each package, go test -list prints its targets and then "ok", its name, the time.
listing=$(go test -list "$pattern" "$@")
targets=()
while read -r first second _; do
	case $first in
	Fuzz*) targets+=("$first") ;;
	ok)
		for target in "${targets[@]}"; do
			echo "== $second $target ($fuzztime)"
			go test -run '^$' -fuzz "^$target\$" -fuzztime "$fuzztime" "$second"
		done
		targets=()
		;;
	esac
done <<<"$listing"
