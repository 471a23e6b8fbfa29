#!/bin/sh
# Hatchway hook: Transmission listens on the port that was opened for it.
#
#   [[hook]]
#   run = ["/etc/hatchway/transmission-port.sh", "127.0.0.1:9091"]
#   on = ["opened", "changed"]
#   forward = "torrent"
#
# With a password: write `machine 127.0.0.1 login NAME password PASSWORD` into a file that only Hatchway's user may
# read, and name it as one more argument. Outside and inside port must be the same: Transmission announces the port it listens on.
set -eu
rpc=$1
port=$HATCHWAY_EXTERNAL_PORT

if [ "$HATCHWAY_INTERNAL_PORT" != "$port" ]; then
  echo "the forward leads from port $port to $HATCHWAY_INTERNAL_PORT: make them the same" >&2
  exit 1
fi
exec transmission-remote "$rpc" ${2:+--netrc "$2"} --port "$port"
