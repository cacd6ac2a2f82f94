# Steps: what a person sees of the work. Sourced by ./dev.
#
# One line per step, with the seconds it took; its output goes into a log and
# is shown only when the step fails. On a terminal the seconds count up.

LOGS=.cache/log
mkdir -p "$LOGS"
if [ -t 1 ]; then BOLD=$'\e[1m' RED=$'\e[31m' DIM=$'\e[2m' PLAIN=$'\e[0m'; else BOLD='' RED='' DIM='' PLAIN=''; fi
NOTES=()

headline() { printf '\n%s%s%s\n' "$BOLD" "$*" "$PLAIN"; }
say() { printf '  %s\n' "$*"; }
line() { printf '  %-66s %s\n' "$1" "$2"; }
there() { line "$1" "${DIM}already there$PLAIN"; }

# Something cannot be had: say it now, and once more at the end.
note() {
    printf '  %s! %s%s\n' "$RED" "$*" "$PLAIN"
    NOTES+=("$*")
}

die() {
    printf '%s%s%s\n' "$RED" "$*" "$PLAIN" >&2
    exit 1
}

# step LABEL COMMAND...: run it, tell how long it took; on failure the end of its log.
step() {
    local label=$1 log start=$SECONDS pid status=0
    shift
    log=$LOGS/$(printf '%s' "$label" | tr -cs 'a-zA-Z0-9.' '-' | cut -c1-50).log
    [ -t 1 ] || printf '  %-66s ' "$label"
    "$@" >"$log" 2>&1 </dev/null &
    pid=$!
    while [ -t 1 ] && kill -0 "$pid" 2>/dev/null; do
        printf '\r  %-66s %s' "$label" "$((SECONDS - start)) s"
        sleep 0.2
    done
    wait "$pid" || status=$?
    [ -t 1 ] && printf '\r  %-66s ' "$label"
    if [ "$status" -eq 0 ]; then
        printf '%s s\n' "$((SECONDS - start))"
    else
        printf '%s after %s s\n' "${RED}failed$PLAIN" "$((SECONDS - start))"
        tail -n 25 "$log" | sed 's/^/    | /'
    fi
    return "$status"
}
