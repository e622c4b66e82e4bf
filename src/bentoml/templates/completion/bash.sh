
_bentoml() {
    local line="${COMP_LINE:0:COMP_POINT}" current='' start='' cut='' breaks='' word='' tag=''
    local -a words=()
    read -ra words <<<"$line"
    case "$line" in
    *[[:space:]]) ;;
    *)
        current="${words[${#words[@]} - 1]}"
        unset "words[${#words[@]}-1]"
        ;;
    esac
    case "$current" in --*=*) start="${current%%=*}=" ;; esac
    # readline takes a part of a word for a word of its own; only what comes behind it is inserted
    for word in : @ =; do
        case "$COMP_WORDBREAKS" in *"$word"*) breaks="$breaks$word" ;; esac
    done
    [ -z "$breaks" ] || cut="${current%"${current##*[$breaks]}"}"
    cut="${cut%@}" # which readline, alone of them, counts for the word behind it
    COMPREPLY=()
    for word in $(_bentoml_wanted "$current" "${words[@]:1}" 2>/dev/null); do
        case "$word" in
        '<free>') ;;
        '<files>') compopt -o default 2>/dev/null ;;
        '<bentos>' | '<models>')
            word="${word#<}"
            while read -r tag; do
                case "$start$tag" in "$current"*) tag="$start$tag" && COMPREPLY+=("${tag#"$cut"}") ;; esac
            done < <(_bentoml_tags "${word%>}" 2>/dev/null)
            ;;
        *)
            case "$start$word" in "$current"*) word="$start$word" && COMPREPLY+=("${word#"$cut"}") ;; esac
            ;;
        esac
    done
    return 0
}

complete -F _bentoml bentoml
