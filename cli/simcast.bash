# SPDX-License-Identifier: Apache-2.0
# Completion of simcast for bash.

# Names of rings, as their sockets are called.
_simcast_rings() {
    local socket
    for socket in "${SIMCAST_IPC_DIR:-/dev/shm/sdr_os_ipc}"/*.{frames,packets,state,actions,gate}; do
        [[ -S $socket ]] && echo "${socket##*/}"
    done
}

# Completes a path.
_simcast_files() {
    compopt -o filenames
    mapfile -t COMPREPLY < <(compgen -f -- "$1")
}

_simcast_ring() {
    case $COMP_CWORD:${COMP_WORDS[2]} in
    2:*) echo list watch snapshot bench --help ;;
    *:list) echo --json --ipc-dir --help ;;
    3:watch | 3:snapshot) _simcast_rings ;;
    *:watch) echo --seconds --ipc-dir --help ;;
    *:snapshot) echo --timeout --ipc-dir --help ;;
    esac
}

_simcast_bus() {
    local link="--bus --ipc-dir --timeout --bus-login --bus-ca --bus-cert --bus-key --help --version"

    case $COMP_CWORD:${COMP_WORDS[2]} in
    2:*) echo show sub pub replay setup --help ;;
    *:show) echo --seconds --json "$link" ;;
    *:sub) echo --record --seconds --count --json "$link" ;;
    *:pub) echo "$link" ;;
    *:replay) echo --speed --only --since --commands --motion "$link" ;;
    *:setup) echo --jetstream --record --megabytes-max --forget "$link" ;;
    esac
}

_simcast() {
    local word=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
    local words="bus demo doctor hal ring source top --help --version"

    if ((COMP_CWORD > 1)); then
        case ${COMP_WORDS[1]}:$previous in
        *:--codec) words="h264 jpeg" ;;
        *:--log-level) words="error warning info debug" ;;
        *:--log-format) words="auto text json journal" ;;
        *:--bus) words="nats://127.0.0.1:4222" ;;
        *:--size) words="640x480 1280x720 1920x1080" ;;
        *:--fps | *:--port | *:--seconds | *:--seed | *:--timeout | *:--count | *:--speed | *:--since | *:--server | *:--interval) words="" ;;
        *:--ipc-dir | *:--legacy | *:--input | *:--bus-* | *:--record | *:--token-file) _simcast_files "$word" && return ;;
        bus:*)
            if ((COMP_CWORD == 3)) && [[ ${COMP_WORDS[2]} == replay && $word != -* ]]; then
                _simcast_files "$word" && return
            fi
            words=$(_simcast_bus)
            ;;
        doctor:*) words="--ipc-dir --stream --port --json --bus --bus-login --bus-ca --bus-cert --bus-key --help --version" ;;
        demo:*) words="--pattern --nats --policy --port --codec --size --fps --log-level --seconds --json --help" ;;
        ring:*)
            if ((COMP_CWORD == 4)) && [[ ${COMP_WORDS[2]} == snapshot && $word != -* ]]; then
                _simcast_files "$word" && return
            fi
            words=$(_simcast_ring)
            ;;
        source:*) words="--legacy --ring --size --fps --seconds --ipc-dir --codec --input --no-crc --garble --seed --help" ;;
        top:*) words="--server --token-file --ipc-dir --interval --once --json --help --version" ;;
        hal:*) words="dump --help" ;;
        *) words="" ;;
        esac
    fi
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
}

complete -F _simcast simcast
