package main

import "os"

// version is set when the program is linked.
var version = "unknown"

func main() { os.Exit(newApp().execute(os.Args[1:])) }
