complete -c greeter -l help
