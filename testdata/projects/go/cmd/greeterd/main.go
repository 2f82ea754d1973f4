// Greeterd greets for ever.
package main

func main() {}
