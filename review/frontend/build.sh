#!/bin/sh
# Builds the style sheet of the review page from GOV.UK Frontend. The result is
# part of the repository, so that the program is built without npm; run this
# only after a change here.
set -eu
cd "$(dirname "$0")"
npm ci --ignore-scripts --no-audit --no-fund --silent
npx sass --no-source-map --style=compressed --quiet-deps pecrawler.scss ../assets/pecrawler.css
