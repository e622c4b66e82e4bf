# Completion of `bentoml`, made by `bentoml completion`; it starts no program: tags are read from the store's folders.

_bentoml_commands() {
    case "$1" in
@COMMANDS@
    esac
}

_bentoml_options() {
    case "$1" in
@OPTIONS@
    esac
}

_bentoml_values() {
    case "$1 $2" in
@VALUES@
    esac
}

_bentoml_arguments() {
    case "$1" in
@ARGUMENTS@
    esac
}

# Print what may stand where the cursor is: _bentoml_wanted CURRENT-WORD WORDS-BEFORE...
_bentoml_wanted() {
    local current="$1" named='' option='' word=''
    shift
    for word in "$@"; do
        if [ -n "$option" ]; then
            option=''
            continue
        fi
        case "$word" in
        -*=*) ;;
        -*) [ -z "$(_bentoml_values "$named" "$word")" ] || option="$word" ;;
        *) [ -z "$(_bentoml_commands "$named")" ] || named="${named:+$named }$word" ;;
        esac
    done
    if [ -n "$option" ]; then
        _bentoml_values "$named" "$option"
        return
    fi
    case "$current" in
    --*=*) _bentoml_values "$named" "${current%%=*}" ;;
    -*) _bentoml_options "$named" ;;
    *)
        _bentoml_commands "$named"
        _bentoml_arguments "$named"
        ;;
    esac
}

# Print names, tags and aliases of `models` or `bentos`.
_bentoml_tags() {
    local home="${BENTOML_HOME:-$HOME/bentoml}" item=''
    for item in "$home/$1"/*/*/"${1%s}.yaml"; do
        item="${item#"$home/$1/"}"
        item="${item%/*}"
        case "$item" in *\**) continue ;; esac
        printf '%s\n' "${item%%/*}" "${item%%/*}:${item#*/}"
    done
    for item in "$home/aliases/$1"/*/*; do
        item="${item#"$home/aliases/$1/"}"
        case "$item" in *\**) continue ;; esac
        printf '%s\n' "${item%%/*}@${item#*/}"
    done
}
