#!/usr/bin/env bash
# Makes the secrets of a new deployment, each a file of its own: passwords, tokens, the admin key, and the certificates
# by which the services prove themselves to each other and to clients. What is there already stays; to renew a
# certificate, delete its two files and run this again.
#   deploy/make-secrets.sh [DIRECTORY] [PUBLIC_NAME ...]     default: deploy/secrets localhost
set -euo pipefail
umask 077

directory=${1:-deploy/secrets}
public_names=("${@:2}")
[[ ${#public_names[@]} -gt 0 ]] || public_names=(localhost)
days=825  # what browsers and operating systems take at most from an authority of one's own
# The name of each service in docker-compose.yml and in the Kubernetes manifests.
services=(api-server scheduler indexer analysis photo-worker video-worker)

main() {
  command -v openssl > /dev/null || { echo "openssl is needed (on Debian and Ubuntu: apt install openssl)" >&2; exit 1; }
  mkdir -p "$directory"
  cd "$directory"
  for name in postgres_password application_password valkey_password \
    whodex_internal_token whodex_store_access_key whodex_store_secret_key; do
    write "$name" openssl rand -hex 24
  done
  write whodex_admin_key admin_key
  write whodex_receipt_key openssl rand -base64 32
  write whodex_database_owner_url echo "postgresql+psycopg://whodex:$(< postgres_password)@postgres:5432/whodex"
  write whodex_database_url echo "postgresql+psycopg://whodex_application:$(< application_password)@postgres:5432/whodex"
  write whodex_broker_url echo "redis://:$(< valkey_password)@valkey:6379/0"
  authority mesh_ca "Whodex services"
  for service in "${services[@]}"; do
    certificate "$service" mesh_ca "$service" localhost
  done
  authority public_ca "Whodex clients"
  certificate public public_ca "${public_names[@]}"
  # In a container another user reads them; nobody else gets past the directory. The authorities stay here.
  chmod 0644 -- *
  chmod 0600 -- *_ca.key
  chmod 0700 .
}

write() { # FILE COMMAND...
  [[ -s $1 ]] || "${@:2}" > "$1"
}

admin_key() {
  echo "wda_$(openssl rand -hex 32)"
}

authority() { # NAME TITLE
  [[ -s $1.pem && -s $1.key ]] || openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 \
    -subj "/CN=$2" -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign \
    -keyout "$1.key" -out "$1.pem" 2> /dev/null
}

certificate() { # NAME AUTHORITY DNS_NAME...
  [[ ! -s $1.pem || ! -s $1.key ]] || return 0
  local names
  names=$(printf ',DNS:%s' "${@:3}")
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$3" -keyout "$1.key" 2> /dev/null \
    | openssl x509 -req -CA "$2.pem" -CAkey "$2.key" -days "$days" -out "$1.pem" 2> /dev/null -extfile <(
      echo "subjectAltName=${names#,}"
      echo "basicConstraints=critical,CA:FALSE"
      echo "extendedKeyUsage=serverAuth,clientAuth"
    )
}

main
