# What a reader's terminal is to a walk through a page (tests/harness/walk.py): sourced before each block.
# Commands that run until they are stopped are left running in the background, as they would in another terminal.

runs() { # a dead process whose new parent has not noticed does not
  kill -0 "$1" 2>/dev/null && ! grep -qs '^State:.*zombie' "/proc/$1/status"
}

stop_serving() {
  [ -f "$WALK/pid" ] || return 0
  kill "$(cat "$WALK/pid")" 2>/dev/null || true
  while runs "$(cat "$WALK/pid")"; do command sleep 0.02; done
  rm "$WALK/pid"
}

in_background() { # until it listens; one at a time, as they all take the same port
  stop_serving
  : >"$WALK/out"
  command promptlane "$@" >"$WALK/out" 2>"$WALK/err" &
  echo $! >"$WALK/pid"
  until grep -q 'listening on' "$WALK/out"; do
    runs "$(cat "$WALK/pid")" || { cat "$WALK/err" >&2; return 1; }
    command sleep 0.02
  done
  cat "$WALK/out"
}

until_it_says_something() {
  : >"$WALK/said"
  command promptlane "$@" >"$WALK/said" 2>"$WALK/err" &
  local pid=$!
  until [ -s "$WALK/said" ]; do
    runs $pid || { cat "$WALK/err" >&2; return 1; }
    command sleep 0.02
  done
  kill $pid
  wait $pid || true
  cat "$WALK/said"
}

with_patience() { # what has just ended is on disk within 100 ms; some lists are rightly empty
  local said tries
  for tries in 1 2 3 4 5 6 7 8 9 10; do
    said=$(command promptlane "$@")
    case "$said" in "" | "[]" | "None.") command sleep 0.1 ;; *) break ;; esac
  done
  echo "$said"
}

promptlane() {
  case "$* " in
    "serve "* | "demo "*) in_background "$@" ;;
    "top "*"--once "*) command promptlane "$@" --interval 0.2 ;;
    "top "* | "calls tail "* | "traces tail "*) until_it_says_something "$@" ;;
    "calls ls "* | "traces ls "* | "outbox ls "*) with_patience "$@" ;;
    "doctor "*) command promptlane "$@" || [ $? -eq 1 ] ;; # 1: it found something
    *) command promptlane "$@" ;;
  esac
}

make() { # what the targets do is tested elsewhere; that they exist, here
  case "$*" in
    run) promptlane demo --calls 0 ;;
    *) command make --directory "$WALK_ROOT" --dry-run "$@" >/dev/null ;;
  esac
}

# Programs that are no part of the project, and would need a network or a daemon.
pip() { :; }
docker() { :; }
kubectl() { :; }
systemctl() { :; }
journalctl() { :; }
nginx() { :; }
sudo() { "$@"; }
