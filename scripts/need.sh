#!/usr/bin/env bash
# Checks that a tool is there: need.sh go, need.sh cc.
#
# A missing C compiler, which only the race detector wants, is installed where that is
# possible without asking: on Debian and its kin, as root. Go is not: the message says
# how to get it.
set -euo pipefail
cd "$(dirname "$0")/.."

need_go() {
	local want have
	want=$(sed -n 's/^go //p' go.mod)
	if ! command -v go >/dev/null; then
		how_to_get_go "$want" "no go command was found"
	fi
	# A go command from 1.21 on fetches the version that go.mod asks for by itself,
	# unless GOTOOLCHAIN forbids it; then it reports its own.
	if ! have=$(go env GOVERSION); then
		how_to_get_go "$want" "$(command -v go) cannot say its version"
	fi
	if ! printf '%s\n%s\n' "$want" "${have#go}" | sort -V -C; then
		how_to_get_go "$want" "found ${have#go} at $(command -v go)"
	fi
}

how_to_get_go() {
	cat >&2 <<-END
		llmproxy needs Go $1 or newer: $2.
		Take the archive for this machine from https://go.dev/dl/, then:
		    rm -rf /usr/local/go && tar -C /usr/local -xzf go*.linux-*.tar.gz
		    export PATH=/usr/local/go/bin:\$PATH
		With any Go from 1.21 on, GOTOOLCHAIN=auto fetches the right one by itself.
	END
	exit 1
}

need_cc() {
	local cc
	cc=$(go env CC)
	if command -v "${cc%% *}" >/dev/null; then
		return
	fi
	if [[ $(id -u) -ne 0 ]] || ! command -v apt-get >/dev/null; then
		echo "The race detector needs a C compiler and $cc is not there." >&2
		echo "On Debian or Ubuntu: sudo apt-get install gcc libc6-dev" >&2
		exit 1
	fi
	echo "installing gcc, which the race detector needs"
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends gcc libc6-dev
}

case "${1-}" in
go) need_go ;;
cc) need_go && need_cc ;;
*)
	echo "usage: $0 go|cc" >&2
	exit 2
	;;
esac
