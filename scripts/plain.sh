#!/usr/bin/env bash
# Runs, without the race detector, the tests that it would change: those that count
# allocations, and those that are not built under it. All others run once, under it.
set -euo pipefail
cd "$(dirname "$0")/.."

mapfile -t folders < <(
	find . -name '*_test.go' -not -path './conformance/*' \
		-exec grep -lE 'testing\.AllocsPerRun|^//go:build .*!race' {} + |
		xargs -r -n 1 dirname | sort -u
)
if ((${#folders[@]} == 0)); then
	echo "no test counts allocations"
	exit 0
fi
go test "$@" "${folders[@]}"
