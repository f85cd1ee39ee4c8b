# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# Completion of umf-run for bash. No option is written here: their names come from `umf-run --help`,
# keys and their words from `umf-run --keys`. Behind the program's name, files are completed.

# The names of the options, with `=` where a value must follow.
_umf_run_options() {
    "$1" --help 2>/dev/null | sed -nE 's/^ +(--[a-z-]+(=[A-Z])?).*/\1/p' | sed 's/=[A-Z]$/=/'
}

_umf_run_keys() {
    "$1" --keys 2>&1 | awk '$1 ~ /^[a-z.]+$/ && $2 == "=" { print $1 "=" }'
}

# The values of a key, where these are words: `key = a|b|c (default: a)`.
_umf_run_values() {
    "$1" --keys 2>&1 | awk -v key="$2" '$1 == key && $2 == "=" && $3 ~ /\|/ { gsub(/\|/, "\n", $3); print $3; exit }'
}

_umf_run_presets() {
    local file folder
    folder=$(dirname -- "$(readlink -f -- "$(command -v -- "$1")")")
    for file in "$folder"/../share/umf/*.conf "$folder"/../config/*.conf; do
        [ ! -e "$file" ] || basename -- "$file" .conf
    done
}

# What can follow `OPTION=`: COMMAND OPTION TEXT.
_umf_run_value() {
    local words
    case $2 in
    --file | --config | --library | --devdax)
        compgen -f -- "$3"
        return
        ;;
    --attach) words=$(ps -u "$UID" -o pid= 2>/dev/null) ;;
    --preset) words=$(_umf_run_presets "$1") ;;
    --huge) words='2M 1G' ;;
    --shared) words='shm fd' ;;
    --leaks) words=$(_umf_run_values "$1" leak) ;;
    --on-exhausted) words=$(_umf_run_values "$1" on.exhausted) ;;
    --set) words=$(_umf_run_keys "$1") ;;
    *) words=$(_umf_run_values "$1" "${2#--}") ;;
    esac
    compgen -W "$words" -- "$3"
}

_umf_run() {
    local command=$1 word=${COMP_WORDS[COMP_CWORD]} option='' setting='' index
    COMPREPLY=()
    # `=` is a word of its own: --set key=te is --set, key, =, te; --pool=sl is --pool, =, sl.
    for ((index = 1; index < COMP_CWORD; index++)); do
        case ${COMP_WORDS[index]} in
        --set) option=--set setting='' ;;
        --?*) option=${COMP_WORDS[index]} setting='' ;;
        =) ;;
        *)
            # A value, unless no option waits for one: then it is the program.
            if [ -z "$option" ]; then
                mapfile -t COMPREPLY < <(compgen -f -c -- "$word")
                return
            fi
            setting=${COMP_WORDS[index]}
            [ "$option" = --set ] && [ "${COMP_WORDS[index + 1]}" = = ] || option=''
            ;;
        esac
    done
    [ "$word" != = ] || word=''
    if [ -n "$setting" ] && [ "$option" = --set ]; then
        mapfile -t COMPREPLY < <(compgen -W "$(_umf_run_values "$command" "$setting")" -- "$word")
    elif [ "${COMP_WORDS[COMP_CWORD - 1]}" = = ] || [ "${COMP_WORDS[COMP_CWORD]}" = = ] || [ "$option" = --set ]; then
        mapfile -t COMPREPLY < <(_umf_run_value "$command" "$option" "$word")
    elif [[ $word == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$(_umf_run_options "$command")" -- "$word")
    else
        mapfile -t COMPREPLY < <(compgen -c -- "$word"; compgen -f -- "$word")
    fi
    [[ ${COMPREPLY[0]-} != *= ]] || compopt -o nospace 2>/dev/null
}

complete -F _umf_run umf-run
