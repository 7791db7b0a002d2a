#!/usr/bin/env bash
# Not run here: no Docker was at hand. Checked with bash -n, and with a program in Docker's place.
#
# Pull the images that the deployment is built from, and write their digests to deploy/.env. From then on the
# same bits are used everywhere, until this is run again. Commit the file to share it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

digest() {
    docker pull --quiet "$1" >/dev/null
    docker image inspect --format '{{index .RepoDigests 0}}' "$1"
}

python=$(digest python:3.12-slim)
postgres=$(digest postgres:17)
for image in "$python" "$postgres"; do
    [[ $image =~ ^[a-z0-9./:_-]+@sha256:[0-9a-f]{64}$ ]] || { echo "no digest: $image" >&2; exit 1; }
done
printf 'PYTHON_IMAGE=%s\nPOSTGRES_IMAGE=%s\n' "$python" "$postgres" >.env
cat .env
