// Napper is a program with a function to mark, for tests that look for its process.
package main

import (
	"os"
	"time"
)

//go:noinline
func marked(n int) int { return step(n) + 1 }

//go:noinline
func step(n int) int { return n * n }

func main() {
	time.Sleep(time.Duration(marked(len(os.Args))) * time.Minute)
}
