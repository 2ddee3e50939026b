#!/bin/sh
# Generates every password that docker-compose.yml asks for: .env for compose, deploy/.secrets for the broker.
# Run it again after adding a system to the map: existing passwords stay (the volumes were made with them), missing
# ones are added.
set -eu
cd "$(dirname "$0")/.."
umask 077

MAP_DIR="${SOLESOURCE_MAP_DIR:-./map}"
ALL=deploy/.secrets/kafka-credentials.json
OWN=deploy/.secrets/broker-credentials.json

if [ ! -r "${MAP_DIR}/systems.yaml" ]; then
    echo "There is no ${MAP_DIR}/systems.yaml. Set SOLESOURCE_MAP_DIR to the folder of your ownership map." >&2
    exit 1
fi
# The names below `systems:`, at the first indentation. The broker reads the file properly and refuses what is wrong.
SYSTEMS="$(awk '/^systems:/ {in_it=1; next} /^[^ #]/ {in_it=0}
    in_it && match($0, /^ +[a-z][a-z0-9_-]*:/) { n=match($0, /[a-z]/); if (!first) first=n; if (n==first) {
        name=substr($0, n); sub(/:.*/, "", name); print name } }' "${MAP_DIR}/systems.yaml")"

new() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }

# One line per user, so that a user can be found and added without a JSON program.
write() { { echo "{"; sed '$!s/$/,/'; echo "}"; } > "$1"; }
lines() { sed -n 's/^ *\("[^"]*": "[0-9a-f]*"\),\{0,1\}$/\1/p' "$1"; }

mkdir -p deploy/.secrets
if [ ! -e .env ]; then
    cat > .env <<ENV
KAFKA_NODE_PASSWORD=$(new)
KAFKA_ADMIN_PASSWORD=$(new)
KAFKA_CONTROLLER_PASSWORD=$(new)
POSTGRES_PASSWORD=$(new)
GRAFANA_ADMIN_PASSWORD=$(new)
SOLESOURCE_MAP_DIR=${MAP_DIR}
ENV
fi

known="$([ ! -e "${ALL}" ] || lines "${ALL}")"
if [ -z "${known}" ]; then
    known="\"admin\": \"$(sed -n 's/^KAFKA_ADMIN_PASSWORD=//p' .env)\""
fi
added=""
for user in gate control console ${SYSTEMS}; do
    case "${known}" in
        *"\"${user}\": "*) ;;
        *) known="${known}
\"${user}\": \"$(new)\""; added="${added} ${user}" ;;
    esac
done

# Readable in the container by its own user (10001); on this machine the folder's mode keeps others out.
# Everybody's passwords, for `prepare` alone and for you; the processes get their own three.
rm -f "${ALL}" "${OWN}"
printf '%s\n' "${known}" | write "${ALL}"
printf '%s\n' "${known}" | grep -E '^"(gate|control|console)"' | write "${OWN}"
chmod 0444 "${ALL}" "${OWN}"
echo "Users with a new password:${added:- none}. Passwords: .env and ${ALL}."
