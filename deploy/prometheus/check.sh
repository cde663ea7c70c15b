#!/bin/sh
# Checks the alerts and their tests. Needs no network once install.sh has run.
set -eu
cd "$(dirname "$0")"
./install.sh
../../bin/promtool check rules alerts.yaml
../../bin/promtool test rules alerts_test.yaml alerts_days_test.yaml
