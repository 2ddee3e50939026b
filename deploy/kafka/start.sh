#!/bin/bash
# Kafka in the container: the same single secured node as the embedded one (broker/embedded/properties.py).
# Runs in the image apache/kafka as its own user. Its own entry point knows no SCRAM users at format time, so this
# writes server.properties, formats the storage once with the two super users, and starts.
set -eu
umask 077

: "${KAFKA_NODE_PASSWORD:?}" "${KAFKA_ADMIN_PASSWORD:?}" "${KAFKA_CONTROLLER_PASSWORD:?}"
HOME_DIR="${KAFKA_HOME_DIR:-/opt/kafka}"
DATA_DIR="${KAFKA_DATA_DIR:-/var/lib/kafka/data}"
CONFIG_DIR="${KAFKA_CONFIG_DIR:-/tmp}"
INNER_HOST="${KAFKA_INNER_HOST:-kafka}"
INNER="${INNER_HOST}:${KAFKA_INNER_PORT:-19092}"
OUTER_PORT="${KAFKA_OUTER_PORT:-9092}"
CONTROLLER="${INNER_HOST}:${KAFKA_CONTROLLER_PORT:-19093}"
SCRAM="org.apache.kafka.common.security.scram.ScramLoginModule required"
PLAIN="org.apache.kafka.common.security.plain.PlainLoginModule required"

cat > "${CONFIG_DIR}/server.properties" <<PROPERTIES
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@${CONTROLLER}
listeners=INNER://${INNER},OUTER://0.0.0.0:${OUTER_PORT},CONTROLLER://${CONTROLLER}
advertised.listeners=INNER://${INNER},OUTER://127.0.0.1:${OUTER_PORT}
listener.security.protocol.map=INNER:SASL_PLAINTEXT,OUTER:SASL_PLAINTEXT,CONTROLLER:SASL_PLAINTEXT
controller.listener.names=CONTROLLER
inter.broker.listener.name=INNER
sasl.enabled.mechanisms=SCRAM-SHA-512
sasl.mechanism.inter.broker.protocol=SCRAM-SHA-512
sasl.mechanism.controller.protocol=PLAIN
listener.name.inner.scram-sha-512.sasl.jaas.config=${SCRAM} username="broker" password="${KAFKA_NODE_PASSWORD}";
listener.name.outer.scram-sha-512.sasl.jaas.config=${SCRAM};
listener.name.controller.sasl.enabled.mechanisms=PLAIN
listener.name.controller.plain.sasl.jaas.config=${PLAIN} username="broker" password="${KAFKA_CONTROLLER_PASSWORD}" user_broker="${KAFKA_CONTROLLER_PASSWORD}";
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:broker;User:admin
allow.everyone.if.no.acl.found=false
auto.create.topics.enable=false
log.dirs=${DATA_DIR}
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
message.max.bytes=8388608
transaction.max.timeout.ms=120000
PROPERTIES

# For the health check, and for an administrator inside the container.
cat > "${CONFIG_DIR}/admin.properties" <<PROPERTIES
security.protocol=SASL_PLAINTEXT
sasl.mechanism=SCRAM-SHA-512
sasl.jaas.config=${SCRAM} username="admin" password="${KAFKA_ADMIN_PASSWORD}";
PROPERTIES

if [ ! -e "${DATA_DIR}/meta.properties" ]; then
    "${HOME_DIR}/bin/kafka-storage.sh" format \
        --cluster-id "$("${HOME_DIR}/bin/kafka-storage.sh" random-uuid)" \
        --config "${CONFIG_DIR}/server.properties" \
        --add-scram "SCRAM-SHA-512=[name=broker,password=${KAFKA_NODE_PASSWORD}]" \
        --add-scram "SCRAM-SHA-512=[name=admin,password=${KAFKA_ADMIN_PASSWORD}]"
fi

exec "${HOME_DIR}/bin/kafka-server-start.sh" "${CONFIG_DIR}/server.properties"
