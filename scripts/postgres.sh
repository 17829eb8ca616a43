#!/usr/bin/env bash
# Sees to it that the tests of adapter/postgres find a Postgres: they start a server of
# their own and need initdb and postgres, in the PATH or from Debian's package.
#
# What is missing is installed where that is possible without asking: on Debian and its
# kin, as root. No cluster of the system is made or started. Elsewhere a message says that
# the tests are going to be skipped; with CI=true that is an error.
set -euo pipefail

have() {
	command -v initdb >/dev/null || compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null
}

without() {
	echo "Without Postgres, $1: the tests of adapter/postgres are skipped." >&2
	echo "On Debian or Ubuntu: sudo apt-get install postgresql" >&2
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
echo "installing postgresql, which the tests of adapter/postgres start"
install() {
	DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$@"
}
apt-get update -qq && install postgresql-common || without "which could not be installed"
# The next package would make a cluster and start it, unless this file says otherwise. It
# is put back afterwards.
settings=/etc/postgresql-common/createcluster.conf
cp -p "$settings" "$settings.before"
trap 'mv -f "$settings.before" "$settings"' EXIT
sed -i 's/^#\?create_main_cluster.*/create_main_cluster = false/' "$settings"
install postgresql || without "which could not be installed"
have || without "whose initdb is in no place that is known"
