complete -W "--help" greeter
