// Tiny is small.
package main

func main() {}
