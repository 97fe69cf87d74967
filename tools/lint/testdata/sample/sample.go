package sample

import (
	"fmt"
	"os"
)

func Removes(f *os.File) {
	defer f.Close()
	fmt.Fprintln(f, "done")
	os.Remove("a")
	//lint:ignore errcheck it may not be there
	os.Remove("b")
	os.Remove("c") //lint:ignore errcheck nor this
	//lint:ignore errcheck
	os.Remove("d")
}

//lint:ignore unused it is not
func Waits(done chan error) int {
	<-done
	return int(len("recieve"))
}

func idle() {}

func Long(n int) int {
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	n++
	return n
}
