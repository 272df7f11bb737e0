#!/bin/sh
# Runs `aqueduct project` as a consumer of the conformance kit: gives its configuration what the kit's environment says.
# project.sh COMMAND ARGS…
set -eu
export AQUEDUCT_EVENTSTORE__SOURCE=conformance
export AQUEDUCT_HTTP__PROJECT="$AQUEDUCT_HTTP__CONSUMER"
# The groups are <prefix>.projection.<name>.
export AQUEDUCT_KAFKA__PREFIX="$AQUEDUCT_KAFKA__GROUP"
export AQUEDUCT_PROJECTION__SESSION_TIMEOUT_MS="$AQUEDUCT_KAFKA__PROPERTIES__SESSION_TIMEOUT_MS"
# A trial's topics are <trial>.<name>.
export AQUEDUCT_PROJECTION__TOPIC_PREFIX="${AQUEDUCT_TOPICS%%.*}"
if [ -n "${AQUEDUCT_BATCH:-}" ]; then
    export AQUEDUCT_PROJECTION__BATCH_SIZE="$AQUEDUCT_BATCH"
fi
unset AQUEDUCT_KAFKA__PROPERTIES__SESSION_TIMEOUT_MS
exec "$@"
