
_bentoml() {
    emulate -L zsh
    setopt null_glob
    local current="${words[CURRENT]}" word=''
    local -a before wanted
    before=("${(@)words[2,CURRENT-1]}")
    wanted=(${=$(_bentoml_wanted "$current" "${before[@]}" 2>/dev/null)})
    compset -P '--*='
    for word in $wanted; do
        case "$word" in
        '<free>') ;;
        '<files>') _files ;;
        '<bentos>' | '<models>') compadd -- ${(f)"$(_bentoml_tags "${${word#<}%>}" 2>/dev/null)"} ;;
        *) compadd -- "$word" ;;
        esac
    done
    return 0
}

if [ "${funcstack[1]}" = _bentoml ]; then
    _bentoml "$@"
elif (( $+functions[compdef] )); then
    compdef _bentoml bentoml
fi
