# Completion of `bentoml`, made by `bentoml completion`; it starts no program: tags are read from the store's folders.

function __bentoml_at --argument-names wanted
    set -l named
    for word in (commandline -opc)[2..]
        if string match -qv -- '-*' $word
            set -a named $word
            contains -- "$named" @GROUPS@; or break
        end
    end
    test "$named" = "$wanted"
end

function __bentoml_tags --argument-names kind
    set -l home $BENTOML_HOME
    test -n "$home"; or set home $HOME/bentoml
    set -l manifest (string replace -r 's$' '' $kind).yaml
    for item in $home/$kind/*/*/$manifest
        set -l parts (string split / $item)
        echo $parts[-3]
        echo $parts[-3]:$parts[-2]
    end
    for item in $home/aliases/$kind/*/*
        set -l parts (string split / $item)
        echo $parts[-2]@$parts[-1]
    end
end

complete -c bentoml -e
complete -c bentoml -f
@COMPLETIONS@
