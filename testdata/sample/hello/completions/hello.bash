complete -W "-config -serve -version" hello
