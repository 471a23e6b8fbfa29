#!/bin/sh
# Hatchway hook: qBittorrent listens on the port that was opened for it.
#
#   [[hook]]
#   run = ["/etc/hatchway/qbittorrent-port.sh", "http://127.0.0.1:8080", "/etc/hatchway/qbittorrent-login"]
#   on = ["opened", "changed"]
#   forward = "torrent"
#
# The second file holds one line, `data = "username=NAME&password=PASSWORD"`, and only Hatchway's user may read it.
# Leave it out when qBittorrent's "Bypass authentication for clients on localhost" is on. Outside and inside port must
# be the same: qBittorrent announces the port it listens on.
set -eu
web=$1
login=${2:-}
port=$HATCHWAY_EXTERNAL_PORT

if [ "$HATCHWAY_INTERNAL_PORT" != "$port" ]; then
  echo "the forward leads from port $port to $HATCHWAY_INTERNAL_PORT: make them the same" >&2
  exit 1
fi

# Each of the two requests of one command has its options; the session's cookie stays in memory between them.
options="--silent --show-error --fail --max-time 10 --cookie /dev/null"
settings="json={\"listen_port\":$port,\"random_port\":false,\"upnp\":false}"
set -- $options --header "Referer: $web" --data "$settings" "$web/api/v2/app/setPreferences"
if [ -n "$login" ]; then
  exec curl $options --header "Referer: $web" --config "$login" --output /dev/null "$web/api/v2/auth/login" --next "$@"
fi
exec curl "$@"
