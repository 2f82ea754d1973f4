// Hello prints a friendly greeting.
package main

import (
	"flag"
	"fmt"
	"net/http"
	"os"
	"strings"
)

var version = "unknown"

func main() {
	config := flag.String("config", "/etc/hello.conf", "file with the greeting")
	serve := flag.String("serve", "", "address to greet at over HTTP")
	show := flag.Bool("version", false, "print the version")
	flag.Parse()
	if *show {
		fmt.Println("hello " + version)
		return
	}
	greeting := "Hello, world"
	if b, err := os.ReadFile(*config); err == nil {
		for _, line := range strings.Split(string(b), "\n") {
			if v, ok := strings.CutPrefix(line, "greeting="); ok {
				greeting = v
			}
		}
	}
	if *serve == "" {
		fmt.Println(greeting)
		return
	}
	err := http.ListenAndServe(*serve, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, greeting) }))
	fmt.Fprintln(os.Stderr, "hello:", err)
	os.Exit(1)
}
