// Released is released.
package main

func main() {}
