complete -c hello -o config -r -d "file with the greeting"
complete -c hello -o serve -x -d "address to greet at"
complete -c hello -o version -d "print the version"
