# SPDX-License-Identifier: Apache-2.0
# Completion of simcast for bash.

_simcast() {
    local word=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
    local words="demo --help --version"

    if ((COMP_CWORD > 1)) && [[ ${COMP_WORDS[1]} == demo ]]; then
        case $previous in
        --codec) words="h264 jpeg" ;;
        --log-level) words="error warning info debug" ;;
        --size) words="640x480 1280x720 1920x1080" ;;
        --fps | --port | --seconds) words="" ;;
        *) words="--pattern --nats --port --codec --size --fps --log-level --seconds --json --help" ;;
        esac
    elif ((COMP_CWORD > 1)); then
        words=""
    fi
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
}

complete -F _simcast simcast
