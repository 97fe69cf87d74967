// Command reader is nothing but the reader of package foreign.
package main

import _ "lapwing/probes/foreign"

func main() {}
