#!/bin/sh
# Generates every password that docker-compose.yml asks for, once: .env for compose, deploy/.secrets for the broker.
# Existing ones are never overwritten: they are what the volumes were made with.
set -eu
cd "$(dirname "$0")/.."
umask 077

if [ -e .env ] || [ -e deploy/.secrets ]; then
    echo "There are secrets already (.env, deploy/.secrets). To begin anew: docker compose down -v, delete both." >&2
    exit 1
fi

new() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }

admin="$(new)"
cat > .env <<ENV
KAFKA_NODE_PASSWORD=$(new)
KAFKA_ADMIN_PASSWORD=${admin}
KAFKA_CONTROLLER_PASSWORD=$(new)
POSTGRES_PASSWORD=$(new)
GRAFANA_ADMIN_PASSWORD=$(new)
SOLESOURCE_MAP_DIR=${SOLESOURCE_MAP_DIR:-./map}
ENV

# Readable in the container by its own user (10001); on this machine the folder's mode keeps others out.
mkdir deploy/.secrets
printf '{"admin": "%s", "gate": "%s", "control": "%s", "console": "%s"}\n' "${admin}" "$(new)" "$(new)" "$(new)" \
    > deploy/.secrets/kafka-credentials.json
chmod 0444 deploy/.secrets/kafka-credentials.json
echo "Wrote .env and deploy/.secrets/kafka-credentials.json. Set SOLESOURCE_MAP_DIR in .env to your map's folder."
