#!/usr/bin/env bash
# Sees to it that the tests of internal/dashboard find a browser: they look at its pages in
# a Chromium of their own, without a display.
#
# What is missing is installed where that is possible without asking: on Debian and its
# kin, as root. Elsewhere a message says that the tests are going to be skipped; with
# CI=true that is an error.
set -euo pipefail

have() {
	command -v chromium || command -v chromium-browser || command -v google-chrome || command -v google-chrome-stable
} >/dev/null

without() {
	echo "Without Chromium, $1: the tests of the dashboard in a browser are skipped." >&2
	echo "On Debian or Ubuntu: sudo apt-get install chromium" >&2
	if [[ ${CI-} == true ]]; then
		exit 1
	fi
	exit 0
}

if have; then
	exit 0
fi
if [[ $(id -u) -ne 0 ]] || ! command -v apt-get >/dev/null; then
	without "which only root can install, with apt-get"
fi
echo "installing chromium, in which the tests look at the dashboard"
install() {
	DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$@"
}
# Without a font there is nothing to see.
apt-get update -qq && install chromium fonts-dejavu-core >/dev/null || without "which could not be installed"
have || without "which is in no place that is known"
