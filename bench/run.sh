#!/usr/bin/env bash
# Measures the built gateway next to a plain reverse proxy, from outside: CPU time,
# memory, start-up, size. It takes about a minute and a half, ends by itself and takes
# what it started with it.
#
#   bench/run.sh [-case REGEXP] [-rounds 3] [-time 1s]
set -euo pipefail
cd "$(dirname "$0")/.."

if [[ $(uname -s) != Linux ]]; then
	echo "bench/run.sh: the built programs are measured on Linux only, through /proc"
	exit 0
fi
make --no-print-directory build
CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o bin/bench/reverseproxy ./bench/reverseproxy
go build -o bin/bench/binary ./bench/binary

# The programs get a core for themselves where there are two.
if (($(nproc) >= 2)) && command -v taskset >/dev/null; then
	exec taskset -c 0 bin/bench/binary -cpu 1 "$@"
fi
exec bin/bench/binary "$@"
