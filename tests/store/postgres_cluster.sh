# To be sourced: starts a PostgreSQL of this test's own (unix socket only, fsync on), which goes when the test ends;
# leaves with 77 where there can be none. Sets INPAINT_TEST_POSTGRES and INPAINT_TEST_POSTGRES_RESTART.
programs=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -1)
if [ -z "$programs" ] || [ ! -x "$programs/initdb" ]; then
    echo "skipped: no PostgreSQL server here (Debian package: postgresql)"
    exit 77
fi
as_owner() { "$@"; }
if [ "$(id -u)" = 0 ]; then
    if ! id postgres >/dev/null 2>&1; then
        echo "skipped: PostgreSQL does not run as root, and there is no user postgres"
        exit 77
    fi
    as_owner() { runuser -u postgres -- "$@"; }
fi

folder=$(mktemp -d /tmp/inpaintd-pg-XXXXXX)
cluster() { as_owner "$programs/pg_ctl" -D "$folder/data" -s -w -m "${2:-fast}" -l "$folder/log" \
    -o "-c listen_addresses= -c unix_socket_directories=$folder -c fsync=on -c max_connections=60" "$1"; }
stop() {
    cluster stop immediate >/dev/null 2>&1
    rm -rf "$folder"
}
trap stop EXIT
[ "$(id -u)" != 0 ] || chown postgres "$folder"
chmod 711 "$folder"
as_owner "$programs/initdb" -D "$folder/data" -U postgres -A trust -E UTF8 --locale=C.UTF-8 >"$folder.initdb" 2>&1 || {
    cat "$folder.initdb"
    rm -f "$folder.initdb"
    exit 1
}
rm -f "$folder.initdb"
cluster start || {
    cat "$folder/log"
    exit 1
}

# What the tests use to restart it: fast (connections are dropped) or immediate (as if it had crashed).
restart=$folder/restart
{
    echo '#!/usr/bin/env bash'
    declare -f as_owner cluster
    echo "folder='$folder' programs='$programs'"
    echo 'cluster restart "$1"'
} >"$restart"
chmod 755 "$restart"
export INPAINT_TEST_POSTGRES="postgres://postgres@/postgres?host=$folder" INPAINT_TEST_POSTGRES_RESTART="$restart"
